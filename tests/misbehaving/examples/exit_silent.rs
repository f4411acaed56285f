//! Calls `_exit(7)` in a step: no handler runs, nothing is flushed.

use ipa_misbehaving::*;

#[derive(Default)]
struct ExitSilent;

impl Fault for ExitSilent {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: `_exit` takes any status.
        unsafe { libc::_exit(7) }
    }
}

export_fault! { ExitSilent, name = "exit_silent" }
