//! External programs that a plugin runs through the host.
//!
//! The plugin starts a program, asks for its lines as often as it likes and gets its end. The program belongs to the
//! call: it is killed with everything it started when the call is over or its worker dies.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::scope::Scope;
use crate::process::{self, Output, ProcessError, Request, Runner, Stream};

/// Most programs of one call at the same time.
const MAX_PROGRAMS: usize = 64;
/// Most unread lines of a program, in bytes; older ones are dropped, the output at the end has them.
const LINES_LIMIT: usize = 1024 * 1024;
/// Longest that one question may wait.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Start {
    argv: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    cwd: Option<String>,
    deadline_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Read {
    handle: u64,
    #[serde(default)]
    wait_ms: u64,
}

/// The programs of one call.
#[derive(Default)]
pub(crate) struct Commands {
    next: AtomicU64,
    running: Mutex<HashMap<u64, Running>>,
}

struct Running {
    watched: Arc<Watched>,
    task: AbortHandle,
}

/// What is known of a program so far.
#[derive(Default)]
struct Watched {
    lines: Mutex<Lines>,
    end: OnceLock<HwResult<Value>>,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    queue: VecDeque<(Stream, String)>,
    bytes: usize,
}

impl Lines {
    fn push(&mut self, stream: Stream, line: &str) {
        self.bytes += line.len();
        self.queue.push_back((stream, line.to_owned()));
        while self.bytes > LINES_LIMIT {
            let Some((_, dropped)) = self.queue.pop_front() else { break };
            self.bytes -= dropped.len();
        }
    }
}

impl Commands {
    /// Starts a program for a call.
    pub(crate) fn start(&self, runner: &Runner, scope: &Scope, args: &Value) -> HwResult<Value> {
        let start: Start = arguments("command_start", args)?;
        let name = start.argv.first().map(String::as_str).unwrap_or_default();
        if process::find_program(Path::new(name)).is_none() {
            return Err(HwError::command_execution(
                ProcessError::NotFound { program: name.to_owned(), path: process::PATH.to_owned() }.to_string(),
            ));
        }
        if lock(&self.running).len() >= MAX_PROGRAMS {
            return Err(HwError::command_execution(format!(
                "{name} was not started: {MAX_PROGRAMS} programs of this call are running"
            )));
        }
        let watched = Arc::new(Watched::default());
        let sink = Arc::clone(&watched);
        let mut request = Request::new(start.argv).for_call(&scope.context).on_line(move |stream, line| {
            lock(&sink.lines).push(stream, line);
            sink.changed.notify_one();
        });
        for (name, value) in start.env {
            request = request.env(name, value);
        }
        if let Some(directory) = start.cwd {
            request = request.dir(directory);
        }
        if let Some(text) = start.stdin {
            request = request.stdin(text);
        }
        if let Some(milliseconds) = start.deadline_ms {
            request = request.deadline(Duration::from_millis(milliseconds));
        }
        let (runner, end) = (runner.clone(), Arc::clone(&watched));
        let task = tokio::spawn(async move {
            let result = ended(runner.run_any_status(request).await);
            // This task alone sets it, once.
            let _ = end.end.set(result);
            end.changed.notify_one();
        });
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.running).insert(handle, Running { watched, task: task.abort_handle() });
        if scope.is_over() {
            self.stop_all();
        }
        Ok(json!({ "handle": handle }))
    }

    /// New lines of a program and, after the last of them, its end. Waits a while for either.
    pub(crate) async fn read(&self, args: &Value) -> HwResult<Value> {
        let read: Read = arguments("command_read", args)?;
        let watched = match lock(&self.running).get(&read.handle) {
            Some(running) => Arc::clone(&running.watched),
            None => return Err(unknown(read.handle)),
        };
        let wait = Duration::from_millis(read.wait_ms).min(MAX_WAIT);
        let something = async {
            while watched.end.get().is_none() && lock(&watched.lines).queue.is_empty() {
                watched.changed.notified().await;
            }
        };
        // Nothing new in that time is an answer too.
        let _ = tokio::time::timeout(wait, something).await;
        // The end before the lines: what is there once it has ended is all there will be.
        let end = watched.end.get().cloned();
        let lines: Vec<Value> = std::mem::take(&mut *lock(&watched.lines))
            .queue
            .into_iter()
            .map(|(stream, line)| json!({"stream": stream_name(stream), "line": line}))
            .collect();
        if end.is_some() {
            lock(&self.running).remove(&read.handle);
        }
        Ok(json!({"lines": lines, "exit": end.transpose()?}))
    }

    /// Kills a program.
    pub(crate) fn stop(&self, args: &Value) -> HwResult<Value> {
        let read: Read = arguments("command_stop", args)?;
        let running = lock(&self.running).remove(&read.handle).ok_or_else(|| unknown(read.handle))?;
        running.task.abort();
        Ok(Value::Null)
    }

    /// Kills all programs.
    pub(crate) fn stop_all(&self) {
        for (_, running) in lock(&self.running).drain() {
            // The runner kills a program whose caller has gone.
            running.task.abort();
        }
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commands").field("running", &lock(&self.running).len()).finish_non_exhaustive()
    }
}

fn ended(result: Result<Output, ProcessError>) -> HwResult<Value> {
    use std::os::unix::process::ExitStatusExt;
    match result {
        Ok(output) => Ok(json!({
            "code": output.status.code(), "signal": output.status.signal(), "timed_out": false,
            "stdout": output.stdout.text(), "stderr": output.stderr.text(),
        })),
        Err(ProcessError::Deadline { stderr, .. }) => {
            Ok(json!({"code": null, "signal": 9, "timed_out": true, "stdout": "", "stderr": stderr}))
        }
        Err(error @ ProcessError::Cancelled { .. }) => Err(HwError::cancelled(error.to_string())),
        Err(error) => Err(HwError::command_execution(error.to_string())),
    }
}

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Out => "stdout",
        Stream::Err => "stderr",
    }
}

fn unknown(handle: u64) -> HwError {
    HwError::bad_arguments(format!("this call runs no program with the handle {handle}"))
}

fn arguments<T: for<'de> Deserialize<'de>>(service: &str, args: &Value) -> HwResult<T> {
    T::deserialize(args).map_err(|error| HwError::bad_arguments(format!("{service}: {error}")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::managers::CallContext;
    use crate::plugins::scope::Origin;
    use crate::process::Spawner;

    fn runner() -> Runner {
        Runner::with_shim(Spawner::start().expect("spawner"), Vec::new())
    }

    fn scope() -> Arc<Scope> {
        Scope::new(1, "acme", "wipe", Origin::agent(&CallContext::new()), Duration::from_secs(60))
    }

    async fn to_end(commands: &Commands, handle: &Value) -> (Vec<Value>, Value) {
        let mut lines = Vec::new();
        loop {
            let read = commands.read(&json!({"handle": handle["handle"], "wait_ms": 5000})).await.expect("read");
            lines.extend(read["lines"].as_array().expect("lines").clone());
            if !read["exit"].is_null() {
                return (lines, read["exit"].clone());
            }
        }
    }

    #[tokio::test]
    async fn a_program_is_read_to_its_end() {
        let (scope, runner) = (scope(), runner());
        let start = json!({"argv": ["tee", "/dev/stderr"], "stdin": "one\ntwo\n", "env": {}, "deadline_ms": 5000});
        let handle = scope.commands.start(&runner, &scope, &start).expect("start");
        let (lines, exit) = to_end(&scope.commands, &handle).await;
        assert_eq!(lines.iter().filter(|line| line["stream"] == "stdout").count(), 2, "{lines:?}");
        assert_eq!((&exit["code"], &exit["stdout"]), (&json!(0), &json!("one\ntwo\n")));
        assert!(scope.commands.read(&handle).await.is_err(), "the end is told once");
    }

    #[tokio::test]
    async fn a_late_program_is_killed_and_said_to_be_late() {
        let (scope, runner) = (scope(), runner());
        let start = json!({"argv": ["sleep", "1000"], "deadline_ms": 20});
        let handle = scope.commands.start(&runner, &scope, &start).expect("start");
        assert_eq!(to_end(&scope.commands, &handle).await.1["timed_out"], json!(true));
    }

    #[tokio::test]
    async fn the_end_of_the_call_ends_its_programs() {
        let (scope, runner) = (scope(), runner());
        let start = json!({"argv": ["sleep", "1000"]});
        let handle = scope.commands.start(&runner, &scope, &start).expect("start");
        scope.end();
        assert!(scope.commands.read(&handle).await.is_err());
        assert!(scope.commands.start(&runner, &scope, &json!({"argv": ["no-such-program"]})).is_err());
    }
}
