//! How a plugin ended, in words for an operator.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use ipa_plugin_api::error::HwError;

/// Longest part of the last output that goes into an error, in bytes.
const TAIL_LIMIT: usize = 1500;

/// The end of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// Name and file.
    pub(crate) plugin: String,
    /// What ended it, for example `was killed by SIGSEGV (invalid memory access)`.
    pub(crate) how: String,
    /// The methods that were running.
    pub(crate) running: Vec<String>,
    /// Its last lines of output.
    pub(crate) output: Vec<String>,
    /// True if it counts against the plugin; false if the host ended it for reasons of its own.
    pub(crate) counts: bool,
}

impl Death {
    /// The error of a call that was under way.
    pub(crate) fn error(&self, method: &str) -> HwError {
        HwError::command_execution(format!("{} {} during {method}{}", self.plugin, self.how, self.last_output()))
    }

    fn last_output(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        let mut size = 0;
        for line in self.output.iter().rev() {
            size += line.len() + 3;
            if size > TAIL_LIMIT {
                break;
            }
            lines.push(line);
        }
        lines.reverse();
        if lines.is_empty() {
            "; it printed nothing".to_owned()
        } else {
            format!("; its last output: {}", lines.join(" | "))
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.plugin, self.how)?;
        if !self.running.is_empty() {
            write!(f, " during {}", self.running.join(", "))?;
        }
        f.write_str(&self.last_output())
    }
}

/// How a process ended.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by {}", signal_name(signal)),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        4 => "SIGILL (invalid instruction)".into(),
        6 => "SIGABRT (it gave up by itself)".into(),
        7 => "SIGBUS (memory that is not there)".into(),
        8 => "SIGFPE (invalid arithmetic)".into(),
        9 => "SIGKILL (by someone else, or the kernel was out of memory)".into(),
        11 => "SIGSEGV (invalid memory access)".into(),
        13 => "SIGPIPE".into(),
        14 => "SIGALRM".into(),
        15 => "SIGTERM".into(),
        31 => "SIGSYS (forbidden system call)".into(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_plugin_end_method_and_last_words() {
        let death = Death {
            plugin: "plugin acme (libacme.so)".into(),
            how: describe(ExitStatus::from_raw(11)),
            running: vec!["wipe".into()],
            output: vec!["x".repeat(TAIL_LIMIT), "controller 0".into(), "oops".into()],
            counts: true,
        };
        assert_eq!(
            death.error("wipe").details(),
            "plugin acme (libacme.so) was killed by SIGSEGV (invalid memory access) during wipe; its last output: \
             controller 0 | oops"
        );
        assert_eq!(describe(ExitStatus::from_raw(3 << 8)), "exited with code 3");
    }
}
