//! The end: the agent first, then everybody else, then the file systems.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, wait};

use super::Init;
use crate::mounts;
use crate::power::Action;
use crate::process::pid;

/// Time for the agent to end.
const AGENT: Duration = Duration::from_secs(10);
/// Time for everybody else.
const OTHERS: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(20);

/// An end that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    action: Action,
    deadline: Instant,
}

impl Init {
    /// Begins to take the machine down. What was asked for first counts.
    pub(super) fn stop(&mut self, action: Action) {
        if self.stopping.is_some() {
            return;
        }
        self.log.say(format_args!("{action:?} was asked for, the agent is ended"));
        self.agent.start_at = None;
        if let Some(pid) = self.agent.pid.and_then(pid) {
            // It may have ended just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        self.stopping = Some(Stopping { action, deadline: Instant::now() + AGENT });
    }

    /// What is to become of the machine, once the agent ended or its time is over.
    pub(super) fn stopped(&mut self) -> Option<Action> {
        let Stopping { action, deadline } = self.stopping?;
        let is_late = Instant::now() >= deadline;
        if self.agent.pid.is_some() && !is_late {
            return None;
        }
        if is_late {
            self.log.say(format_args!("agent: still there after {} s, it is killed", AGENT.as_secs()));
        }
        self.log.say("ending all programs");
        end_all();
        self.take_output();
        if self.settings.owns_machine {
            mounts::release(&mut self.log);
        }
        self.log.say(format_args!("{action:?}"));
        Some(action)
    }
}

/// Ends every process but this one. Only PID 1 may, whose namespace ends with it.
fn end_all() {
    if getpid() != Pid::INIT {
        return;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        // The group of this number, which is written -1, is everybody. There may be nobody left.
        let _ = kill_process_group(Pid::INIT, signal);
        let end = Instant::now() + OTHERS;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) if Instant::now() < end => std::thread::sleep(STEP),
                Ok(None) => break,
                // No child is left.
                Err(_) => return,
            }
        }
    }
}
