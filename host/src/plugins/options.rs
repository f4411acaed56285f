//! What the plugin side is told by the rest of the agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

pub use super::deadlines::Deadlines;
pub use super::setup::Limits;

/// This program, which knows the argument `worker`.
pub(crate) const WORKER_PROGRAM: &str = "/proc/self/exe";

/// Where plugin code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Each plugin in a process of its own.
    #[default]
    Worker,
    /// All plugins in the agent's process, for debuggers: a plugin that dies takes the agent with it.
    InProcess,
}

/// Settings of the plugin side.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where plugin code runs.
    pub isolation: Isolation,
    /// Only look: managers are not initialized, and methods that change the machine are refused.
    pub read_only: bool,
    /// How long calls may take.
    pub deadlines: Deadlines,
    /// Limits of each worker process.
    pub limits: Limits,
    /// The program that knows the argument `worker`: this one.
    pub worker_program: PathBuf,
    /// Words of the kernel command line and of virtual media.
    pub kernel_params: BTreeMap<String, String>,
    /// Section `[plugin:NAME]` of the configuration by name.
    pub sections: BTreeMap<String, Map<String, Value>>,
    /// How often the base `wait_for_disks` looks for the disk to install on; 0 is never.
    pub disk_wait_attempts: u32,
    /// How long it waits in between.
    pub disk_wait_delay: Duration,
    /// Whether disks with a file system that several machines share are protected from erasure.
    pub guard_special_filesystems: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            isolation: Isolation::Worker,
            read_only: false,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            worker_program: WORKER_PROGRAM.into(),
            kernel_params: BTreeMap::new(),
            sections: BTreeMap::new(),
            disk_wait_attempts: 10,
            disk_wait_delay: Duration::from_secs(3),
            guard_special_filesystems: true,
        }
    }
}

impl Options {
    /// The configuration of one plugin.
    pub(crate) fn section(&self, plugin: &str) -> Value {
        Value::Object(self.sections.get(plugin).cloned().unwrap_or_default())
    }
}
