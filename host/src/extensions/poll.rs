//! Commands of a standalone agent: what the machine is, and which node it belongs to.

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Value, json};

use super::{CommandSpec, Extension, Invocation, Kind};

pub(super) static EXTENSION: Extension = Extension {
    name: "poll",
    commands: &[
        CommandSpec::new("get_hardware_info", Kind::Sync, |call| Box::pin(get_hardware_info(call))),
        CommandSpec {
            optional: &["node_info"],
            ..CommandSpec::new("set_node_info", Kind::Sync, |call| Box::pin(set_node_info(call)))
        },
    ],
};

/// The inventory, read anew.
async fn get_hardware_info(call: Invocation) -> HwResult<Value> {
    call.agent.managers().dispatch(&call.call, "list_hardware_info", json!({})).await
}

/// Takes what a lookup would have answered.
async fn set_node_info(mut call: Invocation) -> HwResult<Value> {
    if !call.agent.is_standalone() {
        return Err(HwError::invalid_command(
            "Node lookup data can only be set when the Ironic Python Agent is running in standalone mode.",
        ));
    }
    let info = call.take("node_info");
    call.agent.accept_node_info(info).await?;
    Ok(Value::Null)
}
