//! When the next try is due. Random parts keep a rack that was powered on as one from calling as one.

use std::time::Duration;

use crate::random::between;

/// Shortest time between two heartbeats, forced ones included.
pub(super) const BETWEEN_HEARTBEATS: Duration = Duration::from_secs(5);
/// Longest wait between two lookups.
const LOOKUP_CAP_S: f64 = 60.0;

/// The wait after a heartbeat that was accepted.
pub(super) fn after_success(heartbeat_timeout: Duration) -> Duration {
    let seconds = heartbeat_timeout.as_secs_f64();
    between(seconds * 0.3, seconds * 0.6)
}

/// The wait after a heartbeat that was not.
pub(super) fn after_failure() -> Duration {
    let seconds = BETWEEN_HEARTBEATS.as_secs_f64();
    between(seconds, seconds * 2.0)
}

/// The wait after the `tries`th lookup: the more of them, the longer it may be.
pub(crate) fn between_lookups(tries: u32, interval: Duration) -> Duration {
    let interval = interval.as_secs_f64();
    let high = f64::from(2_u32.saturating_pow(tries.saturating_sub(1))).min(LOOKUP_CAP_S);
    between(interval, high.max(interval))
}

/// The pause that a locked node is given before the usual wait, by how often it was found locked.
pub(super) fn for_locked_node(conflicts: u32) -> Duration {
    Duration::from_secs(match conflicts {
        0 | 1 => 5,
        2 => 10,
        _ => 30,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(draw: impl Fn() -> Duration) -> (f64, f64) {
        let draws: Vec<f64> = (0..2000).map(|_| draw().as_secs_f64()).collect();
        (draws.iter().copied().fold(f64::INFINITY, f64::min), draws.iter().copied().fold(0.0, f64::max))
    }

    #[test]
    fn every_wait_fills_its_range() {
        let second = Duration::from_secs(1);
        for (draws, low, high) in [
            (range(|| after_success(Duration::from_secs(300))), 90.0, 180.0),
            (range(after_failure), 5.0, 10.0),
            (range(|| between_lookups(1, second)), 1.0, 1.0),
            (range(|| between_lookups(4, second)), 1.0, 8.0),
            (range(|| between_lookups(7, second)), 1.0, 60.0),
            (range(|| between_lookups(u32::MAX, second)), 1.0, 60.0),
            (range(|| between_lookups(9, Duration::from_secs(100))), 100.0, 100.0),
        ] {
            let slack = (high - low) * 0.05;
            assert!(draws.0 >= low && draws.0 <= low + slack, "{draws:?} for {low}..{high}");
            assert!(draws.1 <= high && draws.1 >= high - slack, "{draws:?} for {low}..{high}");
        }
    }

    #[test]
    fn a_locked_node_is_given_more_and_more_time() {
        assert_eq!([1, 2, 3, 4, 1000].map(|times| for_locked_node(times).as_secs()), [5, 10, 30, 30, 30]);
    }
}
