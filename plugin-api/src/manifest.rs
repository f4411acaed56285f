//! The manifest: what a plugin file says about itself before any of its code runs.
//!
//! [`export_manager!`](crate::export_manager) writes it as JSON into the ELF note `.note.ipa.plugin` (owner `IPA`,
//! type 1). It survives `strip` and link-time optimisation; `readelf -n FILE` shows that it is there and
//! `ipa-host plugins check FILE` prints it.

use serde::{Deserialize, Serialize};

use crate::step::Step;

/// Name of the ELF section that holds the note.
pub const NOTE_SECTION: &str = ".note.ipa.plugin";
/// Owner of the note.
pub const NOTE_OWNER: &str = "IPA";
/// Type of the note: version 1 of the manifest's form.
pub const NOTE_TYPE: u32 = 1;
/// Largest manifest that the host reads, in bytes.
pub const MANIFEST_LIMIT: usize = 1024 * 1024;

/// A manifest. Unknown keys are ignored, so that later plugin-api versions can add some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manager's name, key of the version map (`HARDWARE_MANAGER_NAME` in the Python agent).
    pub name: String,
    /// The class name, key of the step maps. It decides ties between managers of equal support.
    pub class_name: String,
    /// The manager's version; a change makes Ironic restart cleaning.
    pub version: String,
    /// Version of ipa-plugin-api that the plugin was built against (semver).
    pub api: String,
    /// Version of the compiler that built it, as `rustc --version` prints it; empty for other languages.
    #[serde(default)]
    pub rustc: String,
    /// Panic strategy the plugin was built with: `unwind` or `abort`.
    #[serde(default)]
    pub panic: String,
    /// Names of the methods it is known to answer, besides its steps.
    #[serde(default)]
    pub methods: Vec<String>,
    /// True if it answers methods that this list does not name (steps made at run time).
    #[serde(default)]
    pub dynamic: bool,
    /// Steps for cleaning.
    #[serde(default)]
    pub clean_steps: Vec<Step>,
    /// Steps for deployment.
    #[serde(default)]
    pub deploy_steps: Vec<Step>,
    /// Steps for service.
    #[serde(default)]
    pub service_steps: Vec<Step>,
    /// Programs that it runs, looked for by `ipa-host plugins check`.
    #[serde(default)]
    pub tools: Vec<String>,
}

impl Manifest {
    /// True if the manifest itself says that this method is there.
    pub fn declares(&self, method: &str) -> bool {
        self.methods.iter().any(|name| name == method)
            || [&self.clean_steps, &self.deploy_steps, &self.service_steps]
                .into_iter()
                .flatten()
                .any(|step| step.step == method)
    }
}
