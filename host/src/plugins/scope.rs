//! One call of a plugin's method, and where it comes from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::commands::Commands;
use super::manager::Manager;
use crate::managers::CallContext;

/// Deepest nesting of calls; deeper ones go in circles.
pub(crate) const MAX_DEPTH: u32 = 16;

/// Where a call comes from: a command of the agent's, or a call of a plugin's that asked for it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) context: CallContext,
    pub(crate) parent: Option<Arc<Scope>>,
}

impl Origin {
    /// A call that the agent makes.
    pub(crate) fn agent(context: &CallContext) -> Self {
        Self { context: context.clone(), parent: None }
    }

    /// A call that a plugin makes during a call.
    pub(crate) fn nested(parent: &Arc<Scope>) -> Self {
        Self { context: parent.context.nested(), parent: Some(Arc::clone(parent)) }
    }

    /// How deep a call from here is nested.
    pub(crate) fn depth(&self) -> u32 {
        self.parent.as_ref().map_or(0, |parent| parent.depth + 1)
    }

    /// Time left to the call that asks.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.parent.as_ref().map(|parent| parent.expires.saturating_duration_since(Instant::now()))
    }

    /// True if a call of this method of this manager waits for what happens here.
    pub(crate) fn is_within(&self, manager: &Manager, method: &str) -> bool {
        self.ancestors().any(|scope| scope.method == method && scope.manager == manager.name())
    }

    /// The calls that wait for this one, outermost first.
    pub(crate) fn chain(&self) -> String {
        let mut names: Vec<String> =
            self.ancestors().map(|scope| format!("{}.{}", scope.manager, scope.method)).collect();
        names.reverse();
        names.join(" > ")
    }

    fn ancestors(&self) -> impl Iterator<Item = &Scope> {
        std::iter::successors(self.parent.as_deref(), |scope| scope.origin.parent.as_deref())
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Its number, unique in this run of the agent.
    pub(crate) id: u64,
    pub(crate) manager: String,
    pub(crate) method: String,
    pub(crate) depth: u32,
    pub(crate) context: CallContext,
    pub(crate) expires: Instant,
    /// External commands that it started.
    pub(crate) commands: Commands,
    origin: Origin,
    cancel: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl Scope {
    pub(crate) fn new(id: u64, manager: &str, method: &str, origin: Origin, limit: Duration) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            id,
            manager: manager.to_owned(),
            method: method.to_owned(),
            depth: origin.depth(),
            context: origin.context.clone(),
            expires: now.checked_add(limit).unwrap_or(now + Duration::from_secs(u32::MAX.into())),
            commands: Commands::default(),
            origin,
            cancel: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        })
    }

    /// Asks this call to end, whatever becomes of the command it belongs to.
    pub(crate) fn cancel(&self) {
        self.cancel.send_replace(true);
    }

    /// True once this call should end.
    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancel.borrow() || self.context.is_cancelled()
    }

    /// Returns once this call should end.
    pub(crate) async fn cancelled(&self) {
        tokio::select! {
            () = wait(&self.cancel) => {}
            () = self.context.cancelled() => {}
        }
    }

    /// Marks the call as over: its questions are dropped and its commands killed.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
        self.commands.stop_all();
    }

    /// True once the call is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.ended.borrow()
    }

    /// Returns once the call is over.
    pub(crate) async fn ended(&self) {
        wait(&self.ended).await;
    }
}

async fn wait(flag: &watch::Sender<bool>) {
    // The sender is borrowed, so that waiting ends only by a change.
    let _ = flag.subscribe().wait_for(|set| *set).await;
}
