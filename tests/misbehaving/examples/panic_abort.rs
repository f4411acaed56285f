//! Panics in a step; built with `panic = "abort"`, as some vendors do, it dies of that.

use ipa_misbehaving::*;

#[derive(Default)]
struct PanicAbort;

impl Fault for PanicAbort {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        panic!("no unwinding here")
    }
}

export_fault! { PanicAbort, name = "panic_abort" }
