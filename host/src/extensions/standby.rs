//! The end of a deployment: flush, power off, or boot what was written.

use ipa_plugin_api::error::HwResult;
use serde_json::{Value, json};

use super::{CommandSpec, Extension, Invocation, Kind};
use crate::power::{self, Action};

pub(super) static EXTENSION: Extension = Extension {
    name: "standby",
    commands: &[
        CommandSpec {
            changes_machine: true,
            ..CommandSpec::new("power_off", Kind::Async, |call| Box::pin(end(call, Action::PowerOff)))
        },
        CommandSpec {
            changes_machine: true,
            ..CommandSpec::new("run_image", Kind::Async, |call| Box::pin(end(call, Action::Reboot)))
        },
        CommandSpec { changes_machine: true, ..CommandSpec::new("sync", Kind::Sync, |call| Box::pin(sync(call))) },
    ],
};

async fn end(call: Invocation, action: Action) -> HwResult<Value> {
    power::run(&call.agent, &call.call, action).await.map(|()| Value::Null)
}

/// Has every manager flush what it holds. Ironic cuts the power after it.
async fn sync(call: Invocation) -> HwResult<Value> {
    call.agent.managers().dispatch_all(&call.call, "full_sync", json!({})).await.map(|_| Value::Null)
}
