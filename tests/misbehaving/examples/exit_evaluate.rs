//! Ends its process when it is asked for its support, each time anew.

use ipa_misbehaving::*;

#[derive(Default)]
struct ExitEvaluate;

impl Fault for ExitEvaluate {
    fn evaluate(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        std::process::exit(3)
    }
}

export_fault! { ExitEvaluate, name = "exit_evaluate" }
