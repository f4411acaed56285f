//! Pieces that another thread hands over: the newest are kept, and the wait for one has a deadline.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Most pieces that are kept.
const KEPT: usize = 4096;

/// What has arrived. Every piece has a number, counted from 0.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    kept: VecDeque<T>,
    /// The number of the first that is kept.
    first: u64,
    closed: bool,
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// It did not come in time.
    Deadline,
    /// Nothing will come any more.
    Closed,
}

impl<T> Feed<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { kept: VecDeque::new(), first: 0, closed: false }), changed: Condvar::new() }
    }

    pub(crate) fn push(&self, piece: T) {
        let mut state = self.lock();
        if state.kept.len() == KEPT {
            state.kept.pop_front();
            state.first += 1;
        }
        state.kept.push_back(piece);
        drop(state);
        self.changed.notify_all();
    }

    /// Says that nothing will come any more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// The number that the next piece will have.
    pub(crate) fn next(&self) -> u64 {
        let state = self.lock();
        state.first + state.kept.len() as u64
    }

    /// The first result that `pick` gives for a piece from number `from` on. It is asked once about every piece.
    pub(crate) fn find<R>(&self, from: u64, end: Instant, mut pick: impl FnMut(&T) -> Option<R>) -> Result<R, Missed> {
        let mut state = self.lock();
        let mut next = from;
        loop {
            // What was dropped before it could be asked about is lost.
            let skipped = usize::try_from(next.saturating_sub(state.first)).unwrap_or(usize::MAX);
            if let Some(found) = state.kept.iter().skip(skipped).find_map(&mut pick) {
                return Ok(found);
            }
            next = state.first + state.kept.len() as u64;
            if state.closed {
                return Err(Missed::Closed);
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Err(Missed::Deadline);
            }
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Feed<T> {
    /// The newest pieces, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<T> {
        let state = self.lock();
        state.kept.iter().skip(state.kept.len().saturating_sub(count)).cloned().collect()
    }

    /// What is kept from number `from` on.
    pub(crate) fn since(&self, from: u64) -> Vec<T> {
        let state = self.lock();
        let skipped = usize::try_from(from.saturating_sub(state.first)).unwrap_or(usize::MAX);
        state.kept.iter().skip(skipped).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_piece_is_found_whenever_it_comes() {
        let feed = Arc::new(Feed::new());
        feed.push(1);
        assert_eq!(feed.find(0, soon(), |n| (*n == 1).then_some("early")), Ok("early"));
        let other = feed.clone();
        let pusher = std::thread::spawn(move || other.push(2));
        assert_eq!(feed.find(1, soon(), |n| Some(*n)), Ok(2));
        pusher.join().unwrap();
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_at_the_end() {
        let feed = Feed::<u8>::new();
        assert_eq!(feed.find(0, Instant::now(), |_| Some(())), Err(Missed::Deadline));
        feed.push(7);
        feed.close();
        assert_eq!(feed.find(0, soon(), |n| (*n == 8).then_some(())), Err(Missed::Closed));
        assert_eq!(feed.find(0, soon(), |n| Some(*n)), Ok(7));
    }

    #[test]
    fn only_the_newest_are_kept_and_numbers_stay() {
        let feed = Feed::new();
        for n in 0..KEPT + 10 {
            feed.push(n);
        }
        assert_eq!(feed.since(0).len(), KEPT);
        assert_eq!(feed.last(2), [KEPT + 8, KEPT + 9]);
        assert_eq!(feed.since(feed.next() - 1), [KEPT + 9]);
    }
}
