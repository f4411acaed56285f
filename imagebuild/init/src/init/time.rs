//! The network's time: asked for once, beside everything else.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use humantime::format_rfc3339_seconds;

use super::Init;
use super::children::{Later, Role};
use crate::clock::{self, Next, Plausible};
use crate::process::command;
use crate::sntp::{self, Answer};

/// How long the agent waits for the time, if the clock's cannot be true.
const AGENT: Duration = Duration::from_secs(2);
/// How much longer than it says the question may take.
const GRACE: Duration = Duration::from_secs(10);
/// Most servers that are asked.
const SERVERS: usize = 4;
/// What the process that asks wrote.
const ANSWER: &str = "run/ipa-init/clock";
const COMPLAINT: &str = "run/ipa-init/clock-complaint";

/// What is known of the clock.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) plausible: Plausible,
    /// True if the hardware's clock cannot be right.
    pub(super) is_doubted: bool,
    /// Until then the agent waits at most.
    pub(super) agent_waits_until: Option<Instant>,
    /// Servers of the kernel line.
    given: Vec<String>,
    /// Servers that were asked last.
    asked: Vec<String>,
    /// The process that asks.
    question: Option<u32>,
    is_told: bool,
}

impl Clock {
    pub(super) fn new(plausible: Plausible, is_doubted: bool, given: Vec<String>) -> Self {
        Self {
            plausible,
            is_doubted,
            agent_waits_until: None,
            given,
            asked: Vec::new(),
            question: None,
            is_told: false,
        }
    }

    /// Whether the agent should wait a moment: it could believe no certificate.
    pub(super) fn holds_agent(&mut self, now: Instant) -> bool {
        self.is_doubted && self.question.is_some() && now < *self.agent_waits_until.get_or_insert(now + AGENT)
    }
}

impl Init {
    /// Asks the time servers that are known, as soon as one can be reached, and again if others become known before one
    /// has answered.
    pub(super) fn ask_for_time(&mut self) {
        if self.clock.is_told || self.clock.question.is_some() || !self.network.is_half_ready() {
            return;
        }
        let mut servers = self.clock.given.clone();
        for server in self.network.time_servers() {
            if servers.len() < SERVERS && !servers.iter().any(|known| known == server) {
                servers.push(server.to_owned());
            }
        }
        if servers.is_empty() || servers == self.clock.asked {
            return;
        }
        let mut argv = vec!["/proc/self/exe", "clock"];
        argv.extend(servers.iter().map(String::as_str));
        let mut command = command(&argv);
        // In memory, and read when it is done.
        let kept = |name| File::create(self.path(name)).map_or_else(|_| Stdio::null(), Stdio::from);
        command.stdout(kept(ANSWER)).stderr(kept(COMPLAINT));
        self.log.say(format_args!("clock: asking {}", servers.join(" ")));
        self.clock.question = self.spawn_loud(command, Role::Clock);
        self.clock.asked = servers;
        if let Some(number) = self.clock.question {
            // Looking up a name is not bounded otherwise.
            self.later.push((Instant::now() + sntp::PATIENCE + GRACE, Later::Kill { number, role: Role::Clock }));
        }
    }

    pub(super) fn time_told(&mut self, is_success: bool, how: &str) {
        self.clock.question = None;
        let read = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        let answer = Answer::parse(&read(ANSWER)).filter(|_| is_success);
        let Some(answer) = answer else {
            let said = read(COMPLAINT);
            let said = said.trim().trim_start_matches("ipa-init: ").replace('\n', "; ");
            let why = if said.is_empty() { how } else { &said };
            return self.log.say(format_args!("clock: no time server is of use, it is kept: {why}"));
        };
        self.clock.is_told = true;
        let next = self.clock.plausible.after(SystemTime::now(), &answer);
        let outcome = match next {
            Next::Keep => "it is kept".to_owned(),
            Next::Refuse => "which cannot be true, it is kept".to_owned(),
            Next::Set(time) if !self.settings.owns_machine => {
                format!("it is not ours to be set to {}", format_rfc3339_seconds(time))
            }
            Next::Set(time) => match clock::set(time) {
                Ok(()) => format!("set to {}", format_rfc3339_seconds(time)),
                Err(why) => why,
            },
        };
        self.log.say(format_args!("clock: {answer}, {outcome}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn only_a_clock_that_cannot_be_right_holds_the_agent_and_not_for_long() {
        let now = Instant::now();
        let mut clock = Clock::new(Plausible::since(UNIX_EPOCH), false, Vec::new());
        clock.question = Some(7);
        assert!(!clock.holds_agent(now));
        clock.is_doubted = true;
        assert!(clock.holds_agent(now) && clock.holds_agent(now + AGENT / 2));
        assert!(!clock.holds_agent(now + AGENT));
        // Nobody is left who could tell.
        clock.question = None;
        assert!(!clock.holds_agent(now));
    }
}
