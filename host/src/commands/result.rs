//! One command and what has become of it.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use ipa_plugin_api::error::{HwError, HwResult};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::errors;
use crate::managers::{CallContext, Progress};

/// The state of a command, in Ironic's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Not done yet.
    Running,
    /// Done, with a result.
    Succeeded,
    /// Done, with an error.
    Failed,
    /// Not done: Ironic planned with other managers or versions. The word is historical; it is used for all steps.
    #[serde(rename = "CLEAN_VERSION_MISMATCH")]
    VersionMismatch,
}

/// Most characters of a step's name that are kept.
const LONGEST_STEP: usize = 100;

/// A command of the history.
///
/// Once done it holds little more than its JSON form, written once.
#[derive(Debug)]
pub struct Command {
    id: String,
    name: String,
    step: Option<Box<str>>,
    begin: Begin,
    call: CallContext,
    done: watch::Sender<Option<Done>>,
}

/// When a command began.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    at: SystemTime,
    /// Durations are taken from this one, since the other may be set.
    clock: Instant,
}

impl Begin {
    /// This moment.
    pub fn now() -> Self {
        Self { at: SystemTime::now(), clock: Instant::now() }
    }
}

#[derive(Debug, Clone)]
struct Done {
    status: Status,
    json: Bytes,
    error: Option<Box<str>>,
    took: Duration,
}

#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    command_name: &'a str,
    command_status: Status,
    command_error: Option<WireError<'a>>,
    command_result: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
}

#[derive(Serialize)]
struct WireError<'a> {
    #[serde(rename = "type")]
    class: &'a str,
    code: u16,
    message: &'a str,
    details: &'a str,
}

impl Command {
    /// A command that begins to run, under the name that the history shows.
    pub fn running(name: impl Into<String>, call: CallContext) -> Self {
        Self::begun(name.into(), Begin::now(), call)
    }

    /// This command with the name of the step that it performs, for people.
    #[must_use]
    pub fn performing(self, step: Option<&str>) -> Self {
        let step = step.map(|step| step.chars().take(LONGEST_STEP).collect::<String>().into_boxed_str());
        Self { step, ..self }
    }

    /// A command that is done.
    pub fn finished(name: impl Into<String>, begin: Begin, outcome: HwResult<Value>) -> Self {
        let command = Self::begun(name.into(), begin, CallContext::new());
        command.finish(outcome);
        command
    }

    fn begun(name: String, begin: Begin, call: CallContext) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), name, step: None, begin, call, done: watch::Sender::new(None) }
    }

    /// Its identifier, a version 4 uuid.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name in the history: the short one, but the full one for a synchronous command that failed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The step that it performs, if it does.
    pub fn step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// Its state.
    pub fn status(&self) -> Status {
        self.done.borrow().as_ref().map_or(Status::Running, |done| done.status)
    }

    /// When it began.
    pub fn started_at(&self) -> SystemTime {
        self.begin.at
    }

    /// How long it took, or runs so far.
    pub fn elapsed(&self) -> Duration {
        self.done.borrow().as_ref().map_or_else(|| self.begin.clock.elapsed(), |done| done.took)
    }

    /// Class and text of its error, if it failed.
    pub fn error(&self) -> Option<String> {
        self.done.borrow().as_ref()?.error.as_deref().map(str::to_owned)
    }

    /// True until it has ended.
    pub fn is_running(&self) -> bool {
        self.done.borrow().is_none()
    }

    /// The context of its calls, to cancel it.
    pub fn call(&self) -> &CallContext {
        &self.call
    }

    /// Returns when the command has ended.
    pub async fn wait(&self) {
        // The sender lives in self, so that waiting ends only by a result.
        let _ = self.done.subscribe().wait_for(Option::is_some).await;
    }

    /// Ends the command. A second end is ignored.
    pub fn finish(&self, outcome: HwResult<Value>) {
        let (status, error, value) = match outcome {
            Ok(value) => (Status::Succeeded, None, value),
            Err(error) if error.class() == errors::VERSION_MISMATCH => {
                (Status::VersionMismatch, Some(error), Value::Null)
            }
            Err(error) => (Status::Failed, Some(errors::for_command(error)), Value::Null),
        };
        let json = self.json(status, error.as_ref(), &value, None);
        let error = error.map(|error| format!("{}: {}", error.class(), error.details()).into_boxed_str());
        let took = self.begin.clock.elapsed();
        self.done.send_if_modified(|done| {
            let first = done.is_none();
            if first {
                *done = Some(Done { status, json, error, took });
            }
            first
        });
    }

    /// The JSON form that Ironic reads.
    pub fn to_json(&self) -> Bytes {
        if let Some(done) = self.done.borrow().as_ref() {
            return done.json.clone();
        }
        self.json(Status::Running, None, &Value::Null, self.call.progress())
    }

    /// Bytes that the result takes, 0 while running.
    pub(super) fn size(&self) -> usize {
        self.done.borrow().as_ref().map_or(0, |done| done.json.len())
    }

    /// Replaces the result of a successful command by a note, to free its memory.
    pub(super) fn forget_result(&self) {
        let size = self.size();
        self.done.send_if_modified(|done| {
            if let Some(done) = done.as_mut().filter(|done| done.status == Status::Succeeded) {
                let note = json!({"result": format!("{}: the result of {size} bytes was dropped, newer ones need its \
                    memory", self.name)});
                done.json = self.json(done.status, None, &note, None);
            }
            false
        });
    }

    fn json(&self, status: Status, error: Option<&HwError>, value: &Value, progress: Option<Progress>) -> Bytes {
        let wire = Wire {
            id: &self.id,
            command_name: &self.name,
            command_status: status,
            command_error: error.map(|error| WireError {
                class: error.class(),
                code: error.code(),
                message: error.message(),
                details: error.details(),
            }),
            command_result: value,
            progress,
        };
        // Strings, numbers and JSON values with string keys always serialise.
        Bytes::from(serde_json::to_vec(&wire).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(command: &Command) -> Value {
        serde_json::from_slice(&command.to_json()).unwrap()
    }

    #[test]
    fn progress_shows_only_while_running() {
        let command = Command::running("execute_clean_step", CallContext::new());
        assert!(parsed(&command).get("progress").is_none());
        command.call().report(40, "erasing /dev/sda");
        let running = parsed(&command);
        assert_eq!(running["command_status"], "RUNNING");
        assert_eq!(running["progress"], json!({"percent": 40, "message": "erasing /dev/sda"}));
        command.finish(Ok(json!({"clean_result": null})));
        let done = parsed(&command);
        assert_eq!(
            done,
            json!({"id": command.id(), "command_name": "execute_clean_step", "command_status": "SUCCEEDED",
                "command_error": null, "command_result": {"clean_result": null}})
        );
    }

    #[test]
    fn errors_have_four_members_and_a_mismatch_its_own_status() {
        let failed = Command::finished("a.b", Begin::now(), Err(HwError::other("OSError", "no such controller")));
        assert_eq!(
            parsed(&failed)["command_error"],
            json!({"type": "CommandExecutionError", "code": 500, "message": "Command execution failed",
                "details": "no such controller"})
        );
        let mismatch =
            Command::finished("execute_clean_step", Begin::now(), Err(errors::version_mismatch("{}", "{'a': '1'}")));
        assert_eq!(parsed(&mismatch)["command_status"], "CLEAN_VERSION_MISMATCH");
        assert_eq!(mismatch.status(), Status::VersionMismatch);
    }

    #[test]
    fn the_first_end_counts() {
        let command = Command::finished("x", Begin::now(), Ok(Value::Null));
        command.finish(Err(HwError::cleaning("late")));
        assert_eq!(command.status(), Status::Succeeded);
    }

    #[tokio::test]
    async fn everyone_who_waits_is_woken() {
        let command = std::sync::Arc::new(Command::running("x", CallContext::new()));
        let waiting: Vec<_> =
            (0..3).map(|_| command.clone()).map(|c| tokio::spawn(async move { c.wait().await })).collect();
        command.finish(Ok(Value::Null));
        for task in waiting {
            task.await.unwrap();
        }
        command.wait().await;
    }
}
