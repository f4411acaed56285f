//! Panics in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct PanicStep;

impl Fault for PanicStep {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        panic!("controller 4 answered 0x11")
    }
}

export_fault! { PanicStep, name = "panic_step" }
