//! From a name and parameters to a recorded command.

use std::sync::Arc;

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Value, json};
use slog::{debug, error, info};
use tokio::sync::Mutex;

use super::{Begin, Command, History, Redacted};
use crate::agent::Agent;
use crate::errors;
use crate::extensions::{CommandSpec, Invocation, Kind, Params};
use crate::managers::CallContext;

/// Runs commands one at a time and remembers them.
#[derive(Debug, Default)]
pub struct Engine {
    history: History,
    /// Held while a request is dispatched, and thereby while a synchronous command works: that others wait for it is
    /// what clients see and rely on. It guards no data.
    dispatch: Mutex<()>,
}

impl Engine {
    /// The commands so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Asks the running command to end. It ends as failed once its manager gives way.
    pub fn cancel_running(&self) {
        if let Some(last) = self.history.last().filter(|last| last.is_running()) {
            last.call().cancel();
        }
    }

    /// Runs the command `<extension>.<command>`. A synchronous one is done when this returns.
    ///
    /// Dropping the returned future cancels nothing.
    ///
    /// # Errors
    /// The command was refused and not recorded: a malformed or unknown name, wrong parameters, or another command
    /// that still runs. All later failures are part of the command.
    pub async fn execute(agent: &Arc<Agent>, name: String, params: Params) -> HwResult<Arc<Command>> {
        let work = tokio::spawn(dispatch(agent.clone(), name, params));
        work.await.unwrap_or_else(|failure| Err(task_failure(failure)))
    }

    /// Runs a command inside another one and gives back its value. It is neither recorded nor counted as running.
    ///
    /// # Errors
    /// Whatever the command fails with.
    pub async fn invoke(agent: &Arc<Agent>, call: &CallContext, name: &str, params: Params) -> HwResult<Value> {
        let spec = find(agent, name)?;
        if let Some(validate) = spec.validate {
            validate(agent, &params)?;
        }
        run(spec, agent.clone(), call.clone(), params).await
    }
}

/// Splits `<extension>.<command>` at the first dot.
pub(crate) fn split_name(name: &str) -> HwResult<(&str, &str)> {
    name.split_once('.').ok_or_else(|| HwError::invalid_command("Command name must be of the form <extension>.<name>"))
}

fn find(agent: &Agent, name: &str) -> HwResult<&'static CommandSpec> {
    let (extension, command) = split_name(name)?;
    agent
        .extension(extension)
        .ok_or_else(|| errors::object_not_found("Extension", extension))?
        .command(command)
        .ok_or_else(|| HwError::invalid_command(format!("Unknown command: {command}")))
}

async fn dispatch(agent: Arc<Agent>, name: String, params: Params) -> HwResult<Arc<Command>> {
    let engine = agent.engine();
    let _turn = engine.dispatch.lock().await;
    let params = Value::Object(params);
    debug!(agent.log(), "executing command"; "command" => &name, "params" => %Redacted(&params));
    let Value::Object(params) = params else { return Err(HwError::invalid_content("params is no object")) };

    split_name(&name)?;
    if let Some(last) = engine.history.last().filter(|last| last.is_running()) {
        error!(agent.log(), "command refused, another one is running"; "command" => &name, "running" => last.name());
        return Err(errors::agent_is_busy(last.name()));
    }
    let spec = find(&agent, &name)?;
    let begin = Begin::now();
    let command = match spec.validate.map_or(Ok(()), |validate| validate(&agent, &params)) {
        Ok(()) if spec.kind == Kind::Async => start(&agent, spec, params),
        Ok(()) => {
            let outcome = run(spec, agent.clone(), CallContext::new(), params).await;
            synchronous(&agent, spec, name, begin, outcome)?
        }
        Err(error) => synchronous(&agent, spec, name, begin, Err(error))?,
    };
    engine.history.record(command.clone());
    engine.history.trim();
    Ok(command)
}

/// The recorded form of a command that is done before its request is answered.
fn synchronous(
    agent: &Agent,
    spec: &CommandSpec,
    full_name: String,
    begin: Begin,
    outcome: HwResult<Value>,
) -> HwResult<Arc<Command>> {
    match outcome {
        Ok(value) => {
            info!(agent.log(), "synchronous command completed";
                "command" => spec.name, "result" => %Redacted(&value));
            let value = if value.is_string() { json!({ "result": value }) } else { value };
            Ok(Arc::new(Command::finished(spec.name, begin, Ok(value))))
        }
        Err(error) => {
            error!(agent.log(), "command failed"; "command" => &full_name, "error" => %error);
            if errors::refuses_command(&error) {
                return Err(error);
            }
            // Under the full name, as the Python agent records it.
            Ok(Arc::new(Command::finished(full_name, begin, Err(error))))
        }
    }
}

/// Starts a command in the background.
fn start(agent: &Arc<Agent>, spec: &'static CommandSpec, params: Params) -> Arc<Command> {
    let step = params.get("step").and_then(|step| step.get("step")).and_then(Value::as_str);
    let command = Arc::new(Command::running(spec.name, CallContext::new()).performing(step));
    info!(agent.log(), "asynchronous command started"; "command" => spec.name, "id" => command.id());
    let (agent, running) = (agent.clone(), command.clone());
    tokio::spawn(async move {
        let outcome = run(spec, agent.clone(), running.call().clone(), params).await;
        match &outcome {
            Ok(value) => info!(agent.log(), "asynchronous command completed";
                "command" => spec.name, "result" => %Redacted(value)),
            Err(error) => error!(agent.log(), "command failed"; "command" => spec.name, "error" => %error),
        }
        running.finish(outcome.map(|value| match value {
            Value::String(text) => json!({ "result": format!("{}: {text}", spec.name) }),
            other => other,
        }));
        agent.engine().history.trim();
        agent.force_heartbeat();
    });
    command
}

/// Runs the command's own code. A panic in it is an error like any other.
async fn run(spec: &'static CommandSpec, agent: Arc<Agent>, call: CallContext, params: Params) -> HwResult<Value> {
    spec.check_arguments(&params)?;
    if spec.changes_machine && agent.is_read_only() {
        return Err(errors::read_only(spec.name));
    }
    let work = tokio::spawn((spec.run)(Invocation { agent, call, params }));
    work.await.unwrap_or_else(|failure| Err(task_failure(failure)))
}

fn task_failure(failure: tokio::task::JoinError) -> HwError {
    match failure.try_into_panic() {
        Ok(payload) => HwError::panicked(format!(
            "the agent failed inside ({}); this is a defect of the agent, please report it with its log",
            errors::panic_text(payload.as_ref())
        )),
        Err(_) => HwError::cancelled("the agent is shutting down"),
    }
}
