//! Hangs in a constructor, that is while the dynamic loader loads it.

use ipa_misbehaving::*;

extern "C" fn constructor() {
    hang();
}

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

#[derive(Default)]
struct CtorHang;

impl Fault for CtorHang {}

export_fault! { CtorHang, name = "ctor_hang" }
