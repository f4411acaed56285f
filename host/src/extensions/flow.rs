//! Several commands in one.

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Map, Value};
use slog::info;

use super::{CommandSpec, Extension, Invocation, Kind, Params};
use crate::agent::Agent;
use crate::commands::{Engine, split_name};
use crate::errors;

pub(super) static EXTENSION: Extension = Extension {
    name: "flow",
    commands: &[CommandSpec {
        optional: &["flow"],
        validate: Some(validate),
        ..CommandSpec::new("start_flow", Kind::Async, |call| Box::pin(start_flow(call)))
    }],
};

/// Gives the commands of a flow in order, as name and arguments.
fn tasks(flow: &Value) -> HwResult<Vec<(&str, &Map<String, Value>)>> {
    let shape = || {
        HwError::invalid_command_params("flow must be a list of objects {\"<extension>.<command>\": {<parameters>}}")
    };
    let mut tasks = Vec::new();
    for task in flow.as_array().ok_or_else(shape)? {
        for (name, params) in task.as_object().ok_or_else(shape)? {
            tasks.push((name.as_str(), params.as_object().ok_or_else(shape)?));
        }
    }
    Ok(tasks)
}

/// Looks up every command before the first one runs.
fn validate(agent: &Agent, params: &Params) -> HwResult<()> {
    for (name, _) in tasks(params.get("flow").unwrap_or(&Value::Null))? {
        let (extension, command) = split_name(name)?;
        agent
            .extension(extension)
            .ok_or_else(|| errors::object_not_found("Extension", extension))?
            .command(command)
            .ok_or_else(|| {
                HwError::invalid_command_params(format!("Extension {extension} doesn't provide {command} method"))
            })?;
    }
    Ok(())
}

/// Runs the commands one after the other and stops at the first that fails. None of them is recorded.
async fn start_flow(mut call: Invocation) -> HwResult<Value> {
    let flow = call.take("flow");
    for (name, params) in tasks(&flow)? {
        info!(call.agent.log(), "running a command of a flow"; "command" => name);
        Engine::invoke(&call.agent, &call.call, name, params.clone())
            .await
            .map_err(|error| HwError::command_execution(format!("{name} failed: {error}")))?;
    }
    Ok(Value::Null)
}
