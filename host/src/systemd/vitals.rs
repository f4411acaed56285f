//! What must go on for the agent to be of use to anybody.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The signs of life that are expected. None are at first.
#[derive(Debug, Default)]
pub struct Vitals(Mutex<Expected>);

#[derive(Debug, Default)]
struct Expected {
    heartbeat: Option<(Duration, Instant)>,
    acceptor: Option<AbortHandle>,
}

impl Vitals {
    /// A heartbeat was tried, with whatever result, and the next try is due within this time.
    pub fn heartbeat_tried(&self, next_within: Duration) {
        self.lock().heartbeat = Some((next_within, Instant::now() + next_within));
    }

    /// The task that accepts connections must not end.
    pub fn expect_acceptor(&self, task: AbortHandle) {
        self.lock().acceptor = Some(task);
    }

    /// The agent does not serve any more.
    pub fn expect_nothing(&self) {
        *self.lock() = Expected::default();
    }

    /// What is missing, in words; None if all goes on.
    pub(super) fn trouble(&self, now: Instant) -> Option<String> {
        let expected = self.lock();
        if expected.acceptor.as_ref().is_some_and(AbortHandle::is_finished) {
            return Some("the API's listener has ended".to_owned());
        }
        let (within, by) = expected.heartbeat?;
        (now > by).then(|| format!("no heartbeat was tried for {} s", within.as_secs()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_stops_to_beat_is_in_trouble() {
        let vitals = Vitals::default();
        let begin = Instant::now();
        assert_eq!(vitals.trouble(begin + Duration::from_secs(1_000_000)), None, "none was promised");
        vitals.heartbeat_tried(Duration::from_secs(600));
        assert_eq!(vitals.trouble(begin + Duration::from_secs(600)), None);
        let late = begin + Duration::from_secs(601);
        assert_eq!(vitals.trouble(late).as_deref(), Some("no heartbeat was tried for 600 s"));
        vitals.expect_nothing();
        assert_eq!(vitals.trouble(late), None);
    }

    #[tokio::test]
    async fn a_listener_that_ends_is_trouble() {
        let vitals = Vitals::default();
        let task = tokio::spawn(std::future::pending::<()>());
        vitals.expect_acceptor(task.abort_handle());
        assert_eq!(vitals.trouble(Instant::now()), None);
        task.abort();
        let _ = task.await;
        assert!(vitals.trouble(Instant::now()).unwrap().contains("listener"));
    }
}
