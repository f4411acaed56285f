//! How running a program fails.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use ipa_plugin_api::error::HwError;

/// A program and its arguments as an operator would type them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(pub Vec<String>);

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c))
        };
        for (index, word) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " " } else { "" })?;
            if plain(word) { f.write_str(word)? } else { write!(f, "'{}'", word.escape_debug())? }
        }
        Ok(())
    }
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("{program} is not installed (looked in {path})")]
    NotFound {
        /// The name that was looked for.
        program: String,
        /// The directories it was looked for in.
        path: String,
    },
    /// The program could not be started or watched.
    #[error("{command}: cannot {what}: {source}")]
    Io {
        /// What was run.
        command: CommandLine,
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The program ended, but not with success.
    #[error("{command} {}{}", describe(*.status), quoted(.stderr))]
    Failed {
        /// What was run.
        command: CommandLine,
        /// Its exit status or signal.
        status: ExitStatus,
        /// The end of its standard error, on one line.
        stderr: String,
    },
    /// The program took too long and was killed.
    #[error("{command} took longer than {} s and was killed{}", .deadline.as_secs_f32(), quoted(.stderr))]
    Deadline {
        /// What was run.
        command: CommandLine,
        /// What it was allowed.
        deadline: Duration,
        /// The end of its standard error, on one line.
        stderr: String,
    },
    /// The command that needed the program was cancelled, and the program was killed.
    #[error("{command} was killed because its command was cancelled")]
    Cancelled {
        /// What was run.
        command: CommandLine,
    },
}

/// `exited with status 3` or `was killed by signal 9`.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn quoted(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl From<ProcessError> for HwError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Cancelled { .. } => Self::cancelled(error.to_string()),
            _ => Self::command_execution(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_command_status_and_reason() {
        let command = CommandLine(vec!["mdadm".into(), "--stop".into(), "/dev/md 0".into()]);
        let status = ExitStatus::from_raw(2 << 8);
        let failed = ProcessError::Failed { command: command.clone(), status, stderr: "no such device".into() };
        assert_eq!(failed.to_string(), "mdadm --stop '/dev/md 0' exited with status 2: no such device");
        let status = ExitStatus::from_raw(9);
        let killed = ProcessError::Failed { command: command.clone(), status, stderr: String::new() };
        assert_eq!(killed.to_string(), "mdadm --stop '/dev/md 0' was killed by signal 9");
        let late = ProcessError::Deadline { command, deadline: Duration::from_millis(1500), stderr: String::new() };
        assert_eq!(late.to_string(), "mdadm --stop '/dev/md 0' took longer than 1.5 s and was killed");
    }
}
