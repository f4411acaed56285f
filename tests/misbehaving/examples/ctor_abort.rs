//! Dies of SIGABRT in a constructor.

use ipa_misbehaving::*;

extern "C" fn constructor() {
    std::process::abort();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

#[derive(Default)]
struct CtorAbort;

impl Fault for CtorAbort {}

export_fault! { CtorAbort, name = "ctor_abort" }
