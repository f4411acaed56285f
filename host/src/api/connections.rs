//! Who may stay connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The connections there are, in the order in which they came.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// What is known of one connection.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Requests that are being served.
    serving: AtomicUsize,
    /// True once it has shown the token.
    trusted: AtomicBool,
    evicted: Notify,
}

/// The place of a connection; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    pub(super) slot: Arc<Slot>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, inner: Mutex::default() })
    }

    /// Gives a place to a new connection. If all are taken, the oldest stranger that is not being served loses its
    /// own, or else the oldest of those that have shown the token. None if all are being served.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Place> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.slots.len() >= self.limit {
            let idle = |slot: &Slot| slot.serving.load(Ordering::Acquire) == 0;
            let stranger = |slot: &Slot| !slot.trusted.load(Ordering::Acquire);
            let number = inner
                .slots
                .iter()
                .find(|(_, slot)| idle(slot) && stranger(slot))
                .or_else(|| inner.slots.iter().find(|(_, slot)| idle(slot)))
                .map(|(number, _)| *number)?;
            if let Some(slot) = inner.slots.remove(&number) {
                slot.evicted.notify_one();
            }
        }
        let number = inner.next;
        inner.next += 1;
        let slot = Arc::new(Slot::default());
        inner.slots.insert(number, slot.clone());
        Some(Place { number, slot, connections: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.inner.lock().unwrap_or_else(PoisonError::into_inner).slots.remove(&self.number);
    }
}

impl Slot {
    /// Returns when the connection has lost its place.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Notes that it has shown the token.
    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    /// Notes that a request is being served, until the value is dropped.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.serving.fetch_add(1, Ordering::AcqRel);
        Serving(self.clone())
    }
}

/// See [`Slot::serve`].
#[derive(Debug)]
pub(super) struct Serving(Arc<Slot>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(place: &Place) -> bool {
        let inner = place.connections.inner.lock().unwrap();
        !inner.slots.contains_key(&place.number)
    }

    #[tokio::test]
    async fn the_oldest_idle_stranger_makes_room() {
        let connections = Connections::new(3);
        let places: Vec<_> = (0..3).map(|_| connections.admit().unwrap()).collect();
        places[0].slot.trust();
        let serving = places[1].slot.serve();
        let newest = connections.admit().unwrap();
        places[2].slot.evicted().await;
        assert_eq!(places.iter().map(is_evicted).collect::<Vec<_>>(), [false, false, true]);
        newest.slot.trust();
        // Only trusted ones are idle now: the oldest goes.
        let last = connections.admit().unwrap();
        assert_eq!(places.iter().map(is_evicted).collect::<Vec<_>>(), [true, false, true]);
        let (_first, _second) = (newest.slot.serve(), last.slot.serve());
        assert!(connections.admit().is_none(), "all are being served");
        drop(serving);
        assert!(connections.admit().is_some());
    }

    #[test]
    fn a_place_is_given_back() {
        let connections = Connections::new(1);
        for _ in 0..3 {
            let place = connections.admit().unwrap();
            let _serving = place.slot.serve();
            assert!(connections.admit().is_none());
        }
    }
}
