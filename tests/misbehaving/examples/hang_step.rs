//! Hangs in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct HangStep;

impl Fault for HangStep {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        hang()
    }
}

export_fault! { HangStep, name = "hang_step" }
