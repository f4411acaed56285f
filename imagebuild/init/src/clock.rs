//! The system's clock: the kernel sets it from the hardware's, which may have lost its battery.
//!
//! With a clock that is years behind no certificate is valid yet. So it is never before the time at which the ramdisk was
//! built, and the network's time servers correct it: see [`crate::sntp`]. Nobody signs their answers, so one that cannot be
//! true is not believed.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::sntp::{self, Answer};

/// No machine runs this program before 2026-01-01, in seconds since 1970.
const FLOOR: u64 = 1_767_225_600;
/// How long after it was built a ramdisk may still be in use: 20 years.
const USE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// What is left of a difference: certificates do not mind, and programs do not like clocks that jump.
const LEAST: Duration = Duration::from_secs(1);

/// The times that can be true while a ramdisk runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plausible {
    from: SystemTime,
    until: SystemTime,
}

impl Plausible {
    /// Those of a ramdisk that was built then.
    pub fn since(built: SystemTime) -> Self {
        let from = built.max(UNIX_EPOCH + Duration::from_secs(FLOOR));
        Self { from, until: from.checked_add(USE).unwrap_or(from) }
    }

    /// Those of the ramdisk that this file is of.
    pub fn of_ramdisk(file: &Path) -> Self {
        Self::since(fs::metadata(file).and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH))
    }

    /// Whether this can be the time.
    pub fn holds(self, time: SystemTime) -> bool {
        (self.from..self.until).contains(&time)
    }

    /// Sets the clock to the earliest of them if it is before that. Returns whether the clock's time could be true, and
    /// the line for the log. One that is far ahead is left alone until somebody knows better.
    pub fn check(self) -> (bool, String) {
        let now = SystemTime::now();
        let shown = format_rfc3339_seconds(now);
        if now >= self.until {
            return (
                false,
                format!("clock: {shown} is years after the ramdisk was built; check the machine's battery"),
            );
        }
        if now >= self.from {
            return (true, format!("clock: {shown}, kept"));
        }
        let outcome = match set(self.from) {
            Ok(()) => format!("set to {}", format_rfc3339_seconds(self.from)),
            Err(why) => why,
        };
        (false, format!("clock: {shown} is before the ramdisk was built, {outcome}; check the machine's battery"))
    }

    /// What follows from an answer that comes now.
    pub fn after(self, now: SystemTime, answer: &Answer) -> Next {
        match answer.time(now).filter(|time| self.holds(*time)) {
            None => Next::Refuse,
            Some(_) if answer.offset_micros.unsigned_abs() < u64::try_from(LEAST.as_micros()).unwrap_or(u64::MAX) => {
                Next::Keep
            }
            Some(time) => Next::Set(time),
        }
    }
}

/// What becomes of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is right.
    Keep,
    /// It is set to this.
    Set(SystemTime),
    /// It cannot be what the server says.
    Refuse,
}

/// Sets the clock.
///
/// # Errors
/// The kernel refuses.
pub fn set(time: SystemTime) -> Result<(), String> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let value =
        Timespec { tv_sec: i64::try_from(since.as_secs()).unwrap_or_default(), tv_nsec: since.subsec_nanos().into() };
    clock_settime(ClockId::Realtime, value)
        .map_err(|error| format!("cannot be set to {}: {error}", format_rfc3339_seconds(time)))
}

/// What the ramdisk has in place of the program `ntpdate`, for the agent's option `ntp_server`: asks the server that is
/// named last, and sets the clock.
///
/// # Errors
/// There is no server, it gives no answer that can be true, or the clock cannot be set.
pub fn ntpdate(arguments: &[&str]) -> Result<(), String> {
    let server = arguments.last().filter(|server| !server.starts_with('-')).ok_or("usage: ntpdate SERVER")?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let plausible = Plausible::of_ramdisk(&program);
    let answer = sntp::ask(&[*server], sntp::PORT, plausible)?;
    let text = match plausible.after(SystemTime::now(), &answer) {
        Next::Keep => "kept".to_owned(),
        Next::Set(time) => set(time).map(|()| format!("set to {}", format_rfc3339_seconds(time)))?,
        Next::Refuse => return Err(format!("{answer}, which cannot be true")),
    };
    println!("ntpdate: {answer}, clock {text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_can_be_true() {
        for (built, time, can) in [
            (0, 0, false),
            (0, FLOOR - 1, false),
            (0, FLOOR, true),
            (FLOOR + 9, FLOOR + 5, false),
            (FLOOR + 9, FLOOR + 9, true),
            (FLOOR, FLOOR + USE.as_secs() - 1, true),
            (FLOOR, FLOOR + USE.as_secs(), false),
            (FLOOR, 1 << 40, false),
        ] {
            assert_eq!(Plausible::since(at(built)).holds(at(time)), can, "{time} with {built}");
        }
    }

    #[test]
    fn only_what_can_be_true_is_set() {
        let plausible = Plausible::since(at(FLOOR));
        let answer = |offset_micros| Answer { offset_micros, stratum: 2, server: "ntp.example".to_owned() };
        let now = at(FLOOR + 100);
        assert_eq!(plausible.after(now, &answer(999_999)), Next::Keep);
        assert_eq!(plausible.after(now, &answer(-999_999)), Next::Keep);
        assert_eq!(plausible.after(now, &answer(3_600_000_000)), Next::Set(now + Duration::from_secs(3600)));
        assert_eq!(plausible.after(now, &answer(-2_000_000)), Next::Set(at(FLOOR + 98)));
        assert_eq!(plausible.after(now, &answer(-101_000_000)), Next::Refuse);
        assert_eq!(plausible.after(now, &answer(i64::MAX)), Next::Refuse);
        assert_eq!(plausible.after(now, &answer(i64::MIN)), Next::Refuse);
    }
}
