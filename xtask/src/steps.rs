//! Steps of a check: each with its duration, the first failure named with the way to repeat it.

use std::process::Command;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::process;

/// No command of a check takes longer on two cores, by far.
pub(crate) const COMMAND: Duration = Duration::from_secs(2400);

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Steps {
    begin: Instant,
    passed: Vec<&'static str>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), passed: Vec::new() }
    }

    /// Runs one step. `repeat` is what a person types to run it alone.
    pub(crate) fn step(&mut self, name: &'static str, repeat: &str, work: impl FnOnce() -> Outcome) -> Outcome {
        println!("==> {name}");
        let begin = Instant::now();
        work().map_err(|failure| Failure::new(failed(name, begin.elapsed(), &failure, repeat)))?;
        println!("    {name}: {}", duration(begin.elapsed()));
        self.passed.push(name);
        Ok(())
    }

    /// Runs one step that is a command.
    pub(crate) fn command(&mut self, name: &'static str, command: &mut Command) -> Outcome {
        self.step(name, &process::line(command), || process::run(command, COMMAND))
    }

    /// One line that says what passed.
    pub(crate) fn summary(&self) -> String {
        format!("all passed in {}: {}", duration(self.begin.elapsed()), self.passed.join(", "))
    }
}

fn failed(name: &str, after: Duration, failure: &Failure, repeat: &str) -> String {
    format!("step `{name}` failed after {}: {failure}\n       to repeat it: {repeat}", duration(after))
}

/// A duration as a person reads it.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        format!("{} min {} s", seconds / 60, seconds % 60)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_named_with_the_way_to_repeat_it() {
        let mut steps = Steps::new();
        steps.step("lints", "cargo clippy", || Ok(())).unwrap();
        let failure = steps.step("docs", "cargo doc", || Err(Failure::new("broken link"))).unwrap_err().to_string();
        assert!(failure.starts_with("step `docs` failed after "), "{failure}");
        assert!(failure.contains("broken link") && failure.ends_with("to repeat it: cargo doc"), "{failure}");
        assert!(steps.summary().ends_with(": lints"), "{}", steps.summary());
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(duration(Duration::from_secs(135)), "2 min 15 s");
    }
}
