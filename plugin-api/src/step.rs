//! Steps: what a manager offers to Ironic for cleaning, deployment and service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which of Ironic's three step lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// Cleaning, automated or manual.
    Clean,
    /// Deployment.
    Deploy,
    /// Service of a deployed machine.
    Service,
}

impl StepKind {
    /// `clean`, `deploy` or `service`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }

    /// The method that lists the steps of this kind, for example `get_clean_steps`.
    pub fn list_method(self) -> &'static str {
        match self {
            Self::Clean => "get_clean_steps",
            Self::Deploy => "get_deploy_steps",
            Self::Service => "get_service_steps",
        }
    }
}

/// One step as Ironic sees it.
///
/// The conductor requires `step`, `priority` and `interface`. Keys that this struct does not know are kept and passed
/// on unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The method that performs it.
    pub step: String,
    /// Higher runs earlier; 0 means only when an operator asks for it.
    #[serde(default)]
    pub priority: i64,
    /// The driver interface it belongs to: `deploy`, `raid`, `bios`, `management`, `power`, `firmware`.
    #[serde(default = "deploy_interface")]
    pub interface: String,
    /// True if the conductor must reboot the machine afterwards.
    #[serde(default)]
    pub reboot_requested: bool,
    /// True if an operator may abort it without harm. Deploy steps have no such key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abortable: Option<bool>,
    /// The arguments an operator may give, by name. The conductor refuses any other.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub argsinfo: BTreeMap<String, ArgInfo>,
    /// Longest time the step may take, in seconds. The host kills the call afterwards and the step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u64>,
    /// Further keys.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

fn deploy_interface() -> String {
    "deploy".to_owned()
}

impl Step {
    /// A step of the `deploy` interface that reboots nothing and takes no arguments.
    pub fn new(step: impl Into<String>, priority: i64) -> Self {
        Self {
            step: step.into(),
            priority,
            interface: deploy_interface(),
            reboot_requested: false,
            abortable: None,
            argsinfo: BTreeMap::new(),
            deadline_s: None,
            extra: BTreeMap::new(),
        }
    }
}

/// What an operator is told about one argument of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgInfo {
    /// One sentence.
    pub description: String,
    /// True if the step cannot run without it.
    #[serde(default)]
    pub required: bool,
}
