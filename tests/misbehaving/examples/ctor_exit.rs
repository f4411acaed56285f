//! Ends the process in a constructor.

use ipa_misbehaving::*;

extern "C" fn constructor() {
    std::process::exit(0);
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

#[derive(Default)]
struct CtorExit;

impl Fault for CtorExit {}

export_fault! { CtorExit, name = "ctor_exit" }
