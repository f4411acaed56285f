//! Listing and executing steps; the same for cleaning, deployment and service.

mod deadlines;
mod dedup;
mod execute;
mod versions;

use ipa_plugin_api::error::HwResult;
use ipa_plugin_api::step::StepKind;
use serde_json::{Value, json};
use slog::debug;

use super::{CommandSpec, Invocation, Kind};
use crate::commands::Redacted;
use crate::managers::BoxFuture;

pub(crate) use deadlines::Deadlines;
pub(super) use execute::execute;

type Run = fn(Invocation) -> BoxFuture<'static, HwResult<Value>>;

/// The command that lists steps.
pub(super) const fn list_spec(name: &'static str, run: Run) -> CommandSpec {
    CommandSpec { required: &["node", "ports"], ..CommandSpec::new(name, Kind::Sync, run) }
}

/// The command that executes one step; arguments it does not know go to the step.
pub(super) const fn execute_spec(name: &'static str, version: &'static [&'static str], run: Run) -> CommandSpec {
    CommandSpec {
        required: &["step", "node", "ports"],
        optional: version,
        open: true,
        changes_machine: true,
        ..CommandSpec::new(name, Kind::Async, run)
    }
}

/// Asks every manager for its steps and settles who performs which.
pub(super) async fn list(mut call: Invocation, kind: StepKind) -> HwResult<Value> {
    let (node, ports) = (call.take("node"), call.take("ports"));
    let managers = call.agent.managers();
    call.agent.cache_node(&node).await;
    let args = json!({"node": node, "ports": ports});
    let answers = managers.dispatch_all(&call.call, kind.list_method(), args).await?;
    let listing = dedup::deduplicate(kind, answers)?;
    call.agent.deadlines().replace(kind, listing.deadlines);
    let steps = Value::Object(listing.steps);
    debug!(call.agent.log(), "steps listed"; "kind" => kind.name(), "steps" => %Redacted(&steps));
    Ok(json!({
        (format!("{}_steps", kind.name())): steps,
        "hardware_manager_version": managers.versions(),
    }))
}
