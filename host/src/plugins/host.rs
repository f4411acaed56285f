//! What all parts of the plugin side share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;
use slog::Logger;

use super::manager::Manager;
use super::options::Options;
use super::spare::Spare;
use crate::ironic::TlsSource;
use crate::managers::NodeSource;
use crate::process::Runner;

/// The plugin side of one agent.
pub(crate) struct Host {
    pub(crate) options: Options,
    /// Where the plugins came from, in words.
    pub(crate) places: Vec<String>,
    pub(crate) runner: Runner,
    pub(crate) logger: Logger,
    /// Set once, when all were evaluated; before, nothing can be dispatched.
    ranked: OnceLock<Vec<Arc<Manager>>>,
    node: Mutex<Option<Value>>,
    node_source: OnceLock<NodeSource>,
    tls: OnceLock<TlsSource>,
    /// A worker for the first plugin, until that takes it.
    spare: Mutex<Option<Spare>>,
    next_call: AtomicU64,
}

impl Host {
    pub(crate) fn new(options: Options, places: Vec<String>, runner: Runner, logger: Logger) -> Self {
        // Call 0 is none.
        let next_call = AtomicU64::new(1);
        Self {
            options,
            places,
            runner,
            logger,
            ranked: OnceLock::new(),
            node: Mutex::default(),
            node_source: OnceLock::new(),
            tls: OnceLock::new(),
            spare: Mutex::default(),
            next_call,
        }
    }

    /// The managers in rank order; none before they were ranked.
    pub(crate) fn ranked(&self) -> Option<&[Arc<Manager>]> {
        self.ranked.get().map(Vec::as_slice)
    }

    /// Makes the ranking known. The first one stays.
    pub(crate) fn set_ranked(&self, managers: Vec<Arc<Manager>>) {
        let _ = self.ranked.set(managers);
    }

    pub(crate) fn next_call(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }

    /// The node, as the agent last learned it.
    pub(crate) fn node(&self) -> Option<Value> {
        self.lock_node().clone()
    }

    /// Remembers the node; true if it is another than before.
    pub(crate) fn set_node(&self, node: Value) -> bool {
        let mut known = self.lock_node();
        let other = known.as_ref().is_none_or(|known| known.get("uuid") != node.get("uuid"));
        *known = Some(node);
        other
    }

    /// Who can be asked for the node once more; none without Ironic.
    pub(crate) fn node_source(&self) -> Option<&NodeSource> {
        self.node_source.get()
    }

    /// Makes known who can be asked for the node. The first one stays.
    pub(crate) fn set_node_source(&self, source: NodeSource) {
        let _ = self.node_source.set(source);
    }

    /// How servers are spoken to over TLS; none where nothing may be fetched.
    pub(crate) fn tls(&self) -> Option<&TlsSource> {
        self.tls.get()
    }

    /// Makes known how servers are spoken to. The first one stays.
    pub(crate) fn set_tls(&self, tls: TlsSource) {
        let _ = self.tls.set(tls);
    }

    /// Keeps a worker for the first plugin.
    pub(crate) fn set_spare(&self, spare: Spare) {
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(spare);
    }

    /// The worker that was kept, once.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn lock_node(&self) -> MutexGuard<'_, Option<Value>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("options", &self.options).finish_non_exhaustive()
    }
}
