//! What the commands see of the plugin side: one trait, and the context that goes with every call.
//!
//! The extensions know nothing of plugin files, workers or ranks. They name a method and its arguments, and get the
//! answer of one manager or of all.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipa_plugin_api::error::HwResult;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// A future that may be moved between threads, as trait methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Most bytes that the managers may attach to one collection of logs, names included.
pub const ATTACHED_LOGS_LIMIT: usize = 64 * 1024 * 1024;
/// Longest progress message, in bytes; the rest is cut.
pub const PROGRESS_MESSAGE_LIMIT: usize = 512;

/// Asks Ironic, for so long at most, for the node as it is now. The text of an error says why there is no answer.
pub type NodeSource = Box<dyn Fn(Duration) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// What one manager answered when all were asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The manager's class name, key of the step maps that Ironic sees.
    pub class_name: String,
    /// The manager's own name, key of the version map.
    pub manager_name: String,
    /// Its support value for this hardware; higher ranks first.
    pub support: i64,
    /// The answer; null is one.
    pub value: Value,
}

/// What the extensions see of the plugin side.
///
/// Arguments are one JSON object with the keyword names of the Python agent: `get_clean_steps` takes
/// `{"node": {}, "ports": []}`, a step takes `node`, `ports` and its own arguments beside them.
pub trait Managers: Send + Sync {
    /// Asks the managers in rank order until one answers; null and false are answers.
    ///
    /// # Errors
    /// `HardwareManagerNotFound` if there is no manager at all, `HardwareManagerMethodNotFound` if none has the method
    /// or all find it incompatible with the hardware, otherwise the error of the manager that failed.
    fn dispatch<'a>(&'a self, call: &'a CallContext, method: &'a str, args: Value) -> BoxFuture<'a, HwResult<Value>>;

    /// Asks every manager in rank order. Those without the method, or for which it does not fit the hardware, are left
    /// out.
    ///
    /// # Errors
    /// As [`dispatch`](Self::dispatch); the first manager that fails ends the round.
    fn dispatch_all<'a>(
        &'a self,
        call: &'a CallContext,
        method: &'a str,
        args: Value,
    ) -> BoxFuture<'a, HwResult<Vec<Answer>>>;

    /// Version map, manager name to version. Of two managers with the same name the lower-ranked one counts.
    fn versions(&self) -> BTreeMap<String, String>;

    /// Remembers the node that calls from now on speak about. A node with another uuid than before makes the managers
    /// wait for its disks.
    fn cache_node<'a>(&'a self, node: Value) -> BoxFuture<'a, ()>;

    /// The managers, their rank and state, for status output.
    fn describe(&self) -> Value;
}

/// How far a call has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// What is being done, one line.
    pub message: String,
}

/// What travels with a command through all calls it makes.
///
/// Clones are cheap and share everything but the deadline and whether it is for a step.
#[derive(Clone)]
pub struct CallContext {
    cancel: Arc<watch::Sender<bool>>,
    progress: Arc<watch::Sender<Option<Progress>>>,
    attached: Arc<Mutex<Attached>>,
    deadline: Option<Duration>,
    step: bool,
}

#[derive(Default)]
struct Attached {
    logs: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl CallContext {
    /// A context that nobody has cancelled yet, without deadline of its own.
    pub fn new() -> Self {
        Self {
            cancel: Arc::new(watch::Sender::new(false)),
            progress: Arc::new(watch::Sender::new(None)),
            attached: Arc::default(),
            deadline: None,
            step: false,
        }
    }

    /// The same context with a deadline for each call made with it, counted from the start of that call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same context for the call of a step, whose default deadline is that of steps whatever its name is.
    #[must_use]
    pub fn for_step(self) -> Self {
        Self { step: true, ..self }
    }

    /// The same context for calls that a call makes: without deadline of its own, and no step.
    #[must_use]
    pub fn nested(&self) -> Self {
        Self { deadline: None, step: false, ..self.clone() }
    }

    /// True for the call of a step.
    pub fn is_step(&self) -> bool {
        self.step
    }

    /// Longest time that one call may take. None leaves it to the caller's default for the method.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Asks all calls made with this context to end.
    pub fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// True once [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Returns when [`cancel`](Self::cancel) is called, at once if it was.
    pub async fn cancelled(&self) {
        // The sender lives in self, so that waiting ends only by a cancel.
        let _ = self.cancel.subscribe().wait_for(|cancelled| *cancelled).await;
    }

    /// Tells how far the command is. More than 100 percent counts as 100.
    pub fn report(&self, percent: u8, message: &str) {
        let mut end = message.len().min(PROGRESS_MESSAGE_LIMIT);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let progress = Progress { percent: percent.min(100), message: message[..end].to_owned() };
        self.progress.send_replace(Some(progress));
    }

    /// The last report.
    pub fn progress(&self) -> Option<Progress> {
        self.progress.borrow().clone()
    }

    /// Adds a file to the collection of logs that is under way. Outside of one it is kept for nobody.
    ///
    /// Returns false, and keeps nothing, once [`ATTACHED_LOGS_LIMIT`] is reached.
    pub fn attach_log(&self, name: &str, bytes: Vec<u8>) -> bool {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        let total = attached.bytes.saturating_add(name.len()).saturating_add(bytes.len());
        if total > ATTACHED_LOGS_LIMIT {
            return false;
        }
        attached.bytes = total;
        attached.logs.push((name.to_owned(), bytes));
        true
    }

    /// Takes the files attached so far, as name and content, in the order they came.
    pub fn take_logs(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut *self.attached.lock().unwrap_or_else(PoisonError::into_inner)).logs
    }
}

impl Default for CallContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext")
            .field("cancelled", &self.is_cancelled())
            .field("progress", &self.progress())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clones_share_cancel_and_progress() {
        let call = CallContext::new();
        let step = call.clone().with_deadline(Some(Duration::from_secs(5))).for_step();
        step.report(140, "half done");
        assert_eq!(call.progress(), Some(Progress { percent: 100, message: "half done".into() }));
        call.cancel();
        step.cancelled().await;
        assert!(step.is_cancelled());
        assert_eq!((call.deadline(), call.is_step()), (None, false));
        assert_eq!((step.deadline(), step.is_step()), (Some(Duration::from_secs(5)), true));
        assert_eq!((step.nested().deadline(), step.nested().is_step()), (None, false));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let call = CallContext::new();
        call.report(1, &"\u{e9}".repeat(PROGRESS_MESSAGE_LIMIT));
        assert_eq!(call.progress().unwrap().message.len(), PROGRESS_MESSAGE_LIMIT);
    }

    #[test]
    fn attached_logs_are_bounded_and_taken_once() {
        let call = CallContext::new();
        assert!(call.attach_log("ps", b"1 init".to_vec()));
        assert!(!call.attach_log("core", vec![0; ATTACHED_LOGS_LIMIT]));
        assert_eq!(call.take_logs(), [("ps".to_owned(), b"1 init".to_vec())]);
        assert!(call.take_logs().is_empty());
    }
}
