//! Dies of SIGABRT in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct Abort;

impl Fault for Abort {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        std::process::abort()
    }
}

export_fault! { Abort, name = "abort" }
