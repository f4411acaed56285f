//! Deadlines as an operator writes them: `NAME=SECONDS`.

use std::str::FromStr;
use std::time::Duration;

/// Longest deadline: a year.
const LONGEST_S: f64 = 366.0 * 86_400.0;

/// For what a deadline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Loading a plugin file.
    Load,
    /// Ranking a manager.
    Evaluate,
    /// Initialising a manager.
    Initialize,
    /// Any call that is not named here.
    Call,
    /// Listing steps.
    List,
    /// Running a step that names no deadline of its own.
    Step,
    /// Ending by itself after a deadline, a cancel, or with the agent.
    Grace,
}

/// `NAME=SECONDS`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadlineOption {
    /// For what.
    pub phase: Phase,
    /// How long.
    pub time: Duration,
}

impl FromStr for DeadlineOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, seconds) = text.split_once('=').ok_or("it reads NAME=SECONDS, for example call=300")?;
        let phase = match name {
            "load" => Phase::Load,
            "evaluate" => Phase::Evaluate,
            "initialize" => Phase::Initialize,
            "call" => Phase::Call,
            "list" => Phase::List,
            "step" => Phase::Step,
            "grace" => Phase::Grace,
            _ => {
                return Err(format!(
                    "no deadline is called {name}; there are load, evaluate, initialize, call, list, step, grace"
                ));
            }
        };
        let seconds: f64 = seconds.parse().map_err(|_| format!("{seconds} is no number of seconds"))?;
        if !(seconds > 0.0 && seconds <= LONGEST_S) {
            return Err(format!("{seconds} seconds: more than 0 and at most a year is allowed"));
        }
        Ok(Self { phase, time: Duration::from_secs_f64(seconds) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fractions() {
        let option: DeadlineOption = "evaluate=0.5".parse().expect("valid");
        assert_eq!((option.phase, option.time), (Phase::Evaluate, Duration::from_millis(500)));
    }

    #[test]
    fn nonsense_is_explained() {
        for (text, part) in [("5", "NAME=SECONDS"), ("boot=5", "no deadline is called boot"), ("call=x", "no number")] {
            assert!(text.parse::<DeadlineOption>().expect_err(text).contains(part), "{text}");
        }
        for text in ["call=0", "call=-1", "call=NaN", "call=inf", "call=1e300"] {
            assert!(text.parse::<DeadlineOption>().is_err(), "{text}");
        }
    }
}
