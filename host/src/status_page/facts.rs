//! What the page says, gathered at one moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::{Agent, Heartbeat};
use crate::commands::{Command, Status};
use crate::log::mask_secrets;
use crate::managers::Progress;
use crate::plugins;

/// Most commands of the history on the page.
const COMMANDS: usize = 50;
/// Most lines of the log on the page.
const LINES: usize = 100;
/// Longest line and longest error, in bytes.
const LINE: usize = 600;

/// All facts of a page.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) version: String,
    pub(super) host_name: String,
    pub(super) node_uuid: Option<String>,
    pub(super) scheme: String,
    pub(super) standalone: bool,
    pub(super) read_only: bool,
    pub(super) state: State,
    pub(super) now: SystemTime,
    pub(super) started_at: Option<SystemTime>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// None if the managers cannot be described.
    pub(super) plugins: Option<plugins::Status>,
    /// Newest first.
    pub(super) commands: Vec<Past>,
    /// Commands that are older than those.
    pub(super) older: usize,
    /// Oldest first.
    pub(super) log: Vec<String>,
}

/// What the agent is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Idle,
    Running(Running),
    Stopping,
    LockedDown,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) name: String,
    pub(super) elapsed: Duration,
    pub(super) progress: Option<Progress>,
}

#[derive(Debug)]
pub(super) struct Past {
    pub(super) name: String,
    pub(super) status: Status,
    pub(super) started_at: SystemTime,
    pub(super) elapsed: Duration,
    pub(super) error: Option<String>,
}

impl Facts {
    pub(super) fn gather(agent: &Agent, scheme: &str) -> Self {
        let all = agent.engine().history().all();
        let past = |command: &Arc<Command>| Past {
            name: name(command),
            status: command.status(),
            started_at: command.started_at(),
            elapsed: command.elapsed(),
            error: command.error().map(|error| harmless(&error)),
        };
        let running = all.last().filter(|last| last.is_running()).map(|last| Running {
            name: name(last),
            elapsed: last.elapsed(),
            progress: last.call().progress(),
        });
        let started_at = agent.started_at();
        let state = match running {
            _ if agent.is_locked_down() => State::LockedDown,
            _ if !agent.is_serving() => State::Stopping,
            Some(running) => State::Running(running),
            None if started_at.is_none() => State::Starting,
            None => State::Idle,
        };
        let settings = agent.settings();
        Self {
            version: settings.version.clone(),
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            node_uuid: agent.node_uuid().map(|uuid| uuid.to_string()),
            scheme: scheme.to_owned(),
            standalone: settings.standalone,
            read_only: settings.read_only,
            state,
            now: SystemTime::now(),
            started_at: started_at.map(|seconds| UNIX_EPOCH + Duration::from_secs_f64(seconds)),
            heartbeat: agent
                .last_heartbeat()
                .map(|heartbeat| Heartbeat { answer: harmless(&heartbeat.answer), ..heartbeat }),
            plugins: serde_json::from_value(agent.managers().describe()).ok(),
            commands: all.iter().rev().take(COMMANDS).map(past).collect(),
            older: all.len().saturating_sub(COMMANDS),
            log: agent
                .logging()
                .ring()
                .newest(LINES, is_public)
                .iter()
                .map(|line| harmless(without_result(line)))
                .collect(),
        }
    }
}

/// What a command is called, and the step that it performs.
fn name(command: &Command) -> String {
    match command.step() {
        Some(step) => format!("{}: {step}", command.name()),
        None => command.name().to_owned(),
    }
}

/// True for lines of the levels from INFO up. Debug lines have the parameters of commands.
fn is_public(line: &str) -> bool {
    !matches!(line.split(' ').nth(1), Some("DEBUG" | "TRACE"))
}

/// A line without the result of a command, which takes the token to read.
fn without_result(line: &str) -> &str {
    line.split_once(" result=").map_or(line, |(line, _)| line)
}

/// A text without secrets, and not too long.
fn harmless(text: &str) -> String {
    let mut text = mask_addresses(&mask_secrets(text));
    if text.len() > LINE {
        let end = (0..=LINE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// Hides what may open a door in an address: name and password before the host, and all after the question mark, where
/// object stores have their keys.
fn mask_addresses(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(SCHEME_END) {
        let (before, after) = rest.split_at(start + SCHEME_END.len());
        masked.push_str(before);
        let ends =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '\\' | '`' | '|');
        let (address, tail) = after.split_at(after.find(ends).unwrap_or(after.len()));
        let authority_end = address.find(['/', '?', '#']).unwrap_or(address.len());
        let host = match address[..authority_end].rfind('@') {
            Some(at) => {
                masked.push_str("<...>");
                at
            }
            None => 0,
        };
        match address[host..].find(['?', '#']) {
            Some(query) => {
                masked.push_str(&address[host..=host + query]);
                masked.push_str("<...>");
            }
            None => masked.push_str(&address[host..]),
        }
        rest = tail;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_keys() {
        for (text, masked) in [
            ("get https://store/v1/i?temp_url_sig=abc&e=1 failed", "get https://store/v1/i?<...> failed"),
            ("http://user:pass@host:80/p", "http://<...>@host:80/p"),
            ("url=\"http://u:p@h/?q\" ftp://h/x#f, a", "url=\"http://<...>@h/?<...>\" ftp://h/x#<...> a"),
            ("http://h/a@b", "http://h/a@b"),
            ("no address? none", "no address? none"),
            ("ends ://", "ends ://"),
        ] {
            assert_eq!(mask_addresses(text), masked);
        }
    }

    #[test]
    fn debug_lines_are_not_public() {
        assert!(is_public("2026-11-24T08:30:00.123Z INFO DEBUG") && is_public(""));
        assert!(!is_public("2026-11-24T08:30:00.123Z DEBUG executing command params={}"));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = harmless(&"\u{20ac}".repeat(LINE));
        assert!(text.len() <= LINE + 3 && text.ends_with("\u{20ac}..."));
    }
}
