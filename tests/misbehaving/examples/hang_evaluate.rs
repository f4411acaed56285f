//! Hangs when it is asked for its support.

use ipa_misbehaving::*;

#[derive(Default)]
struct HangEvaluate;

impl Fault for HangEvaluate {
    fn evaluate(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        hang()
    }
}

export_fault! { HangEvaluate, name = "hang_evaluate" }
