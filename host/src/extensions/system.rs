//! Commands about the running system as a whole.

use ipa_plugin_api::error::HwResult;
use serde_json::Value;

use super::{CommandSpec, Extension, Invocation, Kind};

pub(super) static EXTENSION: Extension = Extension {
    name: "system",
    commands: &[CommandSpec {
        changes_machine: true,
        ..CommandSpec::new("lockdown", Kind::Sync, |call| Box::pin(lockdown(call)))
    }],
};

/// Answers, and then cuts the machine off: see [`Agent::lockdown_tail`](crate::agent::Agent::lockdown_tail).
async fn lockdown(call: Invocation) -> HwResult<Value> {
    call.agent.lock_down();
    Ok(Value::Null)
}
