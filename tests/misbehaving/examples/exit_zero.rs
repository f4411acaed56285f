//! Calls `exit(0)` in a step, which runs exit handlers and looks like success.

use ipa_misbehaving::*;

#[derive(Default)]
struct ExitZero;

impl Fault for ExitZero {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        std::process::exit(0)
    }
}

export_fault! { ExitZero, name = "exit_zero" }
