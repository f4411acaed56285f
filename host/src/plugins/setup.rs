//! What a worker is told when it starts.

use serde::{Deserialize, Serialize};

use super::strays::Mark;

/// Limits of a worker process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space in bytes (`RLIMIT_AS`).
    pub address_space: u64,
    /// Open files (`RLIMIT_NOFILE`).
    pub open_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { address_space: 1 << 30, open_files: 1024 }
    }
}

/// The body of the `Load` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The plugin's name, shown as the process's.
    pub(crate) name: String,
    /// The plugin's configuration, a JSON object as text.
    pub(crate) config: String,
    pub(crate) limits: Limits,
    /// The process id of the host.
    pub(crate) host: u32,
    /// What marks the worker's processes.
    pub(crate) mark: Mark,
}
