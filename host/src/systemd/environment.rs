//! The variables by which systemd says what it wants to know.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

/// What they say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Where messages go: a path, or an abstract name behind `@`.
    pub(super) socket: Option<OsString>,
    /// Longest time between two signs of life.
    pub(super) watchdog: Option<Duration>,
}

impl Environment {
    pub(super) fn of_this_process() -> Self {
        Self::read(|name| env::var_os(name), std::process::id())
    }

    /// `own` is the number of this process: a watchdog may be for another one, which passed its environment on.
    fn read(variable: impl Fn(&str) -> Option<OsString>, own: u32) -> Self {
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(u64::from(own));
        Self {
            socket: variable("NOTIFY_SOCKET").filter(|name| !name.is_empty()),
            watchdog: number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0).map(Duration::from_micros),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Environment {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Environment::read(find, 42)
    }

    #[test]
    fn nothing_is_wanted_unless_it_is_said() {
        assert_eq!(read(&[]), Environment::default());
        assert_eq!(read(&[("NOTIFY_SOCKET", "")]), Environment::default());
        assert_eq!(read(&[("NOTIFY_SOCKET", "@a")]).socket, Some("@a".into()));
    }

    #[test]
    fn a_watchdog_for_somebody_else_or_without_a_time_is_none() {
        let watchdog = |time, pid| read(&[("WATCHDOG_USEC", time), ("WATCHDOG_PID", pid)]).watchdog;
        assert_eq!(watchdog("1500000", "42"), Some(Duration::from_millis(1500)));
        assert_eq!(read(&[("WATCHDOG_USEC", "1")]).watchdog, Some(Duration::from_micros(1)));
        for (time, pid) in [("1500000", "43"), ("1500000", "x"), ("0", "42"), ("-1", "42"), ("soon", "42")] {
            assert_eq!(watchdog(time, pid), None, "{time} {pid}");
        }
    }
}
