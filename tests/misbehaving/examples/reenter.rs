//! Asks the dispatcher for its own step, without end.

use ipa_misbehaving::*;

#[derive(Default)]
struct Reenter;

impl Fault for Reenter {
    fn misbehave(&self, cx: &Cx<'_>) -> HwResult<Value> {
        cx.dispatch("misbehave", json!({}))
    }
}

export_fault! { Reenter, name = "reenter" }
