//! The agent in one line, for `systemctl status`.

use std::time::SystemTime;

use crate::agent::Agent;
use crate::log::mask_secrets;

/// Longest line, in bytes.
const LIMIT: usize = 300;

/// Node, state and heartbeat of an agent that serves.
pub(super) fn line(agent: &Agent) -> String {
    let node = match (agent.node_uuid(), agent.is_standalone()) {
        (Some(uuid), _) => format!("node {uuid}"),
        (None, true) => "standalone".to_owned(),
        (None, false) => "no node, as no Ironic is known".to_owned(),
    };
    let command = agent.engine().history().last().filter(|command| command.is_running());
    let state = match command {
        _ if agent.is_locked_down() => "locked down: the network is off until the next boot".to_owned(),
        _ if !agent.is_serving() => "the API has stopped".to_owned(),
        Some(command) => format!("{} since {}", command.name(), time(command.started_at())),
        None => "waiting for commands".to_owned(),
    };
    let heartbeat = match agent.last_heartbeat() {
        Some(heartbeat) => format!("; heartbeat of {}: {}", time(heartbeat.time), mask_secrets(&heartbeat.answer)),
        None => String::new(),
    };
    format!("{node}: {state}{heartbeat}")
}

/// A message has a field a line, so that what others wrote must not end one, and a line of a screen is short.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > LIMIT {
        line.truncate(line.floor_char_boundary(LIMIT));
        line.push_str("...");
    }
    line
}

/// The time of day, in UTC.
fn time(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let clock = text.split('T').nth(1).unwrap_or(&text);
    format!("{} UTC", clock.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::agent::{Heartbeat, Settings};
    use crate::testing::agent_with;

    #[tokio::test]
    async fn node_state_and_heartbeat_are_in_it() {
        let agent = agent_with(Settings::default());
        assert_eq!(line(&agent), "no node, as no Ironic is known: waiting for commands");
        agent.cache_node(&json!({"uuid": "u-1"})).await;
        let time = UNIX_EPOCH + Duration::from_secs(3723);
        agent.note_heartbeat(Heartbeat { time, answer: "accepted".to_owned() });
        assert_eq!(line(&agent), "node u-1: waiting for commands; heartbeat of 01:02:03 UTC: accepted");
        agent.lock_down();
        assert!(line(&agent).starts_with("node u-1: locked down"), "{}", line(&agent));
    }

    #[test]
    fn a_text_of_others_stays_one_short_line() {
        assert_eq!(one_line("failed\nREADY=1"), "failed READY=1");
        let long = one_line(&"\u{e9}".repeat(LIMIT));
        assert!(long.ends_with("\u{e9}...") && long.len() <= LIMIT + 3);
    }
}
