//! What the agents sent, and when it was answered.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipa_host::ironic::Beat;
use slog::{Drain, Level, Never, OwnedKVList, Record};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

/// One heartbeat.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Since the start.
    pub(crate) at: Duration,
    /// How long the answer took.
    pub(crate) took: Duration,
    /// The answer.
    pub(crate) answer: Beat,
    /// How long the agent had waited since the answer to the one before, if that was accepted.
    pub(crate) waited: Option<Duration>,
}

/// What came of all that happened until now.
#[derive(Debug, Default, Clone)]
pub(crate) struct Entries {
    /// How long after the start each agent knew its node.
    pub(crate) lookups: Vec<Duration>,
    /// Why agents ended.
    pub(crate) ended: Vec<String>,
    /// What Ironic told as the longest time between two heartbeats.
    pub(crate) timeout: Duration,
    /// The heartbeats that were answered, in the order of their answers.
    pub(crate) heartbeats: Vec<Sent>,
    /// When one was sent, answered or not.
    pub(crate) sent: Vec<Duration>,
    /// How often agents warned of what.
    pub(crate) warnings: BTreeMap<String, u64>,
}

/// The journal of all agents.
#[derive(Debug)]
pub(crate) struct Journal {
    start: Instant,
    settled: u32,
    entries: Mutex<Entries>,
}

impl Journal {
    /// An empty one; time begins now. An agent has settled when it sends its heartbeat with the number `settled`: when it
    /// sent the first ones tells how all began, not how they are paced.
    pub(crate) fn new(settled: u32) -> Self {
        Self { start: Instant::now(), settled, entries: Mutex::default() }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// An agent has ended.
    pub(crate) fn ended(&self, why: String) {
        self.open().ended.push(why);
    }

    /// A copy of what happened until now.
    pub(crate) fn entries(&self) -> Entries {
        self.open().clone()
    }

    fn open(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts warnings by their message.
impl Drain for Journal {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
        if record.level().is_at_least(Level::Warning) {
            *self.open().warnings.entry(record.msg().to_string()).or_default() += 1;
        }
        Ok(())
    }
}

/// The heartbeats of one agent.
pub(crate) struct Life {
    journal: Arc<Journal>,
    /// Since when the agent waits, if the last heartbeat was accepted.
    waits: Cell<Option<Duration>>,
    sent: Cell<u32>,
    /// Held until the first heartbeat is answered, so that the next agent may begin.
    place: Rc<Cell<Option<OwnedSemaphorePermit>>>,
    /// Held until the agent has settled.
    settling: Cell<Option<mpsc::Sender<()>>>,
}

impl Life {
    /// Before the first one. `settling` is dropped as soon as the agent has settled.
    pub(crate) fn new(journal: Arc<Journal>, settling: mpsc::Sender<()>) -> Self {
        let settling = Cell::new(Some(settling));
        Self { journal, waits: Cell::new(None), sent: Cell::new(0), place: Rc::default(), settling }
    }

    /// Takes what is to be dropped with the answer to the first one.
    pub(crate) fn begins(&self) -> Rc<Cell<Option<OwnedSemaphorePermit>>> {
        self.place.clone()
    }

    /// The agent knows its node, and the longest time between two heartbeats.
    pub(crate) fn finds(&self, timeout: Duration) {
        let now = self.journal.now();
        let mut entries = self.journal.open();
        entries.lookups.push(now);
        entries.timeout = timeout;
    }

    /// Sends a heartbeat and writes down what came of it.
    pub(crate) async fn sends(&self, heartbeat: impl Future<Output = Beat>) -> Beat {
        let at = self.journal.now();
        self.journal.open().sent.push(at);
        self.sent.set(self.sent.get() + 1);
        if self.sent.get() >= self.journal.settled {
            self.settling.take();
        }
        let answer = heartbeat.await;
        let answered = self.journal.now();
        self.place.take();
        let waited = self.waits.take().map(|since| at - since);
        self.waits.set((answer == Beat::Accepted).then_some(answered));
        let sent = Sent { at, took: answered - at, answer: answer.clone(), waited };
        self.journal.open().heartbeats.push(sent);
        answer
    }
}
