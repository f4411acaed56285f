//! Panics when it is asked for its support.

use ipa_misbehaving::*;

#[derive(Default)]
struct PanicEvaluate;

impl Fault for PanicEvaluate {
    fn evaluate(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        panic!("the register file is empty")
    }
}

export_fault! { PanicEvaluate, name = "panic_evaluate" }
