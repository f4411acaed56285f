//! The system's clock: the kernel sets it from the hardware's, which may have lost its battery.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_settime};

/// No machine runs this program before 2026-01-01, in seconds since 1970.
const FLOOR: u64 = 1_767_225_600;

/// The time that the clock has to be set to, if it is before that of the ramdisk: with a clock that is years behind no
/// certificate is valid yet. A clock that is ahead is left alone; nobody knows better.
pub fn correction(now: SystemTime, built: SystemTime) -> Option<SystemTime> {
    let least = built.max(UNIX_EPOCH + Duration::from_secs(FLOOR));
    (now < least).then_some(least)
}

/// Sets the clock to the time of this file if it is behind. Returns the line for the log.
pub fn check(ramdisk: &Path) -> String {
    let built = fs::metadata(ramdisk).and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
    let now = SystemTime::now();
    let Some(time) = correction(now, built) else { return format!("clock: {} s since 1970, kept", seconds(now)) };
    let value = Timespec { tv_sec: i64::try_from(seconds(time)).unwrap_or_default(), tv_nsec: 0 };
    let outcome = match clock_settime(ClockId::Realtime, value) {
        Ok(()) => format!("set to {}", seconds(time)),
        Err(error) => format!("cannot be set to {}: {error}", seconds(time)),
    };
    format!(
        "clock: {} s since 1970 is before the ramdisk was built, {outcome}; check the machine's battery",
        seconds(now)
    )
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_is_behind_is_set() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(correction(at(0), at(0)), Some(at(FLOOR)));
        assert_eq!(correction(at(FLOOR + 5), at(FLOOR + 9)), Some(at(FLOOR + 9)));
        assert_eq!(correction(at(FLOOR + 9), at(FLOOR + 9)), None);
        assert_eq!(correction(at(FLOOR * 2), at(FLOOR)), None);
    }
}
