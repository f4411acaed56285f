//! Running external programs through the host.
//!
//! The host owns the process, so that a tool that hangs or outlives its plugin is killed in any case. Lines reach the
//! plugin as they come.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::context::Cx;
use crate::error::{HwError, HwResult};

/// Deadline of a command for which none was given.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);
/// How long one question for new lines may wait.
const WAIT_MS: u64 = 1000;

/// From which of the program's outputs a line came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What sees each line.
type OnLine<'l> = Box<dyn FnMut(Stream, &str) + 'l>;

/// A program to run: no shell, an environment of `PATH` and `LC_ALL=C.UTF-8` and what is added here.
pub struct Command<'l> {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    directory: Option<String>,
    deadline: Duration,
    on_line: Option<OnLine<'l>>,
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("argv", &self.argv).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<'l> Command<'l> {
    /// A program found through `PATH`, or by its absolute path.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            argv: vec![program.into()],
            env: BTreeMap::new(),
            stdin: None,
            directory: None,
            deadline: DEFAULT_DEADLINE,
            on_line: None,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Text for standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// The working directory, `/` otherwise.
    #[must_use]
    pub fn directory(mut self, path: impl Into<String>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// How long the program may run; two minutes otherwise. Afterwards it is killed with all its children.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A function that sees each line as it comes.
    #[must_use]
    pub fn on_line(mut self, on_line: impl FnMut(Stream, &str) + 'l) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Runs it; see [`Cx::run`].
    pub(crate) fn run(&mut self, cx: &Cx<'_>) -> HwResult<CommandOutput> {
        #[derive(Deserialize)]
        struct Started {
            handle: u64,
        }
        #[derive(Deserialize)]
        struct Progress {
            #[serde(default)]
            lines: Vec<Line>,
            exit: Option<CommandOutput>,
        }
        #[derive(Deserialize)]
        struct Line {
            stream: Stream,
            line: String,
        }
        let start = json!({
            "argv": self.argv, "env": self.env, "stdin": self.stdin, "cwd": self.directory,
            "deadline_ms": u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX),
        });
        let Started { handle } = cx.host("command_start", &start)?;
        loop {
            let progress: Progress = cx.host("command_read", &json!({"handle": handle, "wait_ms": WAIT_MS}))?;
            if let Some(on_line) = &mut self.on_line {
                progress.lines.iter().for_each(|line| on_line(line.stream, &line.line));
            }
            if let Some(mut output) = progress.exit {
                output.argv.clone_from(&self.argv);
                return Ok(output);
            }
            if cx.is_cancelled() {
                cx.host::<serde_json::Value>("command_stop", &json!({"handle": handle}))?;
                return Err(HwError::cancelled(format!("{} was stopped: the call was cancelled", self.argv.join(" "))));
            }
        }
    }
}

/// How a program ended and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CommandOutput {
    /// What was run.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// True if it was killed at its deadline.
    #[serde(default)]
    pub timed_out: bool,
    /// Standard output, its middle cut out if it was larger than the host keeps (1 MiB).
    #[serde(default)]
    pub stdout: String,
    /// Standard error, likewise.
    #[serde(default)]
    pub stderr: String,
}

impl CommandOutput {
    /// True for exit code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The output of a program that must succeed, or a `CommandExecutionError` that says what was run, how it ended
    /// and the last line of its errors.
    pub fn check(self) -> HwResult<Self> {
        if self.success() { Ok(self) } else { Err(HwError::command_execution(self.failure())) }
    }

    /// One line that says what was run and how it ended.
    pub fn failure(&self) -> String {
        let end = match (self.timed_out, self.code, self.signal) {
            (true, _, _) => "was killed at its deadline".to_owned(),
            (_, Some(code), _) => format!("exited with {code}"),
            (_, _, Some(signal)) => format!("was killed by signal {signal}"),
            _ => "ended for an unknown reason".to_owned(),
        };
        let said = [&self.stderr, &self.stdout]
            .into_iter()
            .filter_map(|text| text.lines().rev().find(|line| !line.trim().is_empty()))
            .next()
            .map(|line| format!(": {}", line.trim()))
            .unwrap_or_default();
        format!("{} {end}{said}", self.argv.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_ran_how_it_ended_and_what_it_said() {
        let output = CommandOutput {
            argv: vec!["hdparm".into(), "-I".into(), "/dev/sda".into()],
            code: Some(5),
            signal: None,
            timed_out: false,
            stdout: String::new(),
            stderr: "first\nHDIO_DRIVE_CMD failed: I/O error\n\n".into(),
        };
        let error = output.check().expect_err("exit code 5");
        assert_eq!(error.class(), "CommandExecutionError");
        assert_eq!(error.details(), "hdparm -I /dev/sda exited with 5: HDIO_DRIVE_CMD failed: I/O error");
    }
}
