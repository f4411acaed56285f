//! How long a plugin may take for what.

use std::time::Duration;

use ipa_plugin_api::manifest::Manifest;

use super::surface;
use crate::managers::CallContext;

/// Deadlines by kind of call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// Starting the worker, loading the file, making the manager.
    pub load: Duration,
    /// `evaluate_hardware_support`.
    pub evaluate: Duration,
    /// `initialize`.
    pub initialize: Duration,
    /// `get_clean_steps` and its sisters; Ironic waits a minute for them.
    pub step_list: Duration,
    /// Methods that do the work of steps, unless the step says otherwise itself.
    pub step: Duration,
    /// All other methods.
    pub call: Duration,
    /// How long a call may go on after its deadline, to clean up.
    pub grace: Duration,
    /// How long a call may go on after it was cancelled. Calls that others wait for get less than those that wait.
    pub cancel_grace: Duration,
    /// How long a manager may take to end when the agent does.
    pub unload: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            load: Duration::from_secs(10),
            evaluate: Duration::from_secs(30),
            initialize: Duration::from_secs(60),
            step_list: Duration::from_secs(50),
            step: Duration::from_secs(72 * 3600),
            call: Duration::from_secs(300),
            grace: Duration::from_secs(2),
            cancel_grace: Duration::from_secs(10),
            unload: Duration::from_secs(5),
        }
    }
}

impl Deadlines {
    /// The time for one call of a method: what the caller gives, else the step's own, else the default of its kind.
    /// `remaining` is what is left to the call that makes this one; a call ends early enough for that one to handle
    /// the failure.
    pub(crate) fn of(
        &self,
        manifest: &Manifest,
        method: &str,
        context: &CallContext,
        remaining: Option<Duration>,
    ) -> Duration {
        let in_step = context.is_step() || remaining.is_some();
        let own = context.deadline().unwrap_or_else(|| self.default_of(manifest, method, in_step));
        match remaining {
            None => own,
            Some(remaining) => own.min(remaining.saturating_sub(self.grace * 2).max(remaining / 2)),
        }
    }

    fn default_of(&self, manifest: &Manifest, method: &str, in_step: bool) -> Duration {
        let steps = || [&manifest.clean_steps, &manifest.deploy_steps, &manifest.service_steps].into_iter().flatten();
        if let Some(step) = steps().find(|step| step.step == method) {
            return step.deadline_s.map_or(self.step, Duration::from_secs);
        }
        match method {
            "initialize" => self.initialize,
            "get_clean_steps" | "get_deploy_steps" | "get_service_steps" => self.step_list,
            _ if surface::changes_machine(manifest, method) => self.step,
            _ if surface::is_base(method) => self.call,
            // A method that only plugins know: a step that its manifest does not list, or what a step calls for its work.
            _ if in_step => self.step,
            _ => self.call,
        }
    }

    /// How long a cancelled call at this depth may go on. The deeper, the shorter: a call that waits for another must
    /// not be killed for that one's obstinacy.
    pub(crate) fn after_cancel(&self, depth: u32) -> Duration {
        self.cancel_grace + self.cancel_grace / (depth + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Manifest {
        serde_json::from_value(json!({
            "name": "acme", "class_name": "Acme", "version": "1", "api": "1.0.0", "methods": ["licence"],
            "clean_steps": [{"step": "update", "deadline_s": 1800}, {"step": "wipe"}]
        }))
        .expect("manifest")
    }

    #[test]
    fn each_kind_of_call_has_its_deadline() {
        let deadlines = Deadlines::default();
        let of = |method| deadlines.of(&manifest(), method, &CallContext::new(), None).as_secs();
        assert_eq!(of("update"), 1800);
        assert_eq!(of("wipe"), 72 * 3600);
        assert_eq!(of("erase_block_device"), 72 * 3600);
        assert_eq!(of("get_clean_steps"), 50);
        assert_eq!(of("initialize"), 60);
        assert_eq!(of("list_block_devices"), 300);
        assert_eq!(of("licence"), 300);
        let step = CallContext::new().for_step();
        assert_eq!(deadlines.of(&manifest(), "unlisted", &step, None).as_secs(), 72 * 3600);
        let given = step.with_deadline(Some(Duration::from_secs(5)));
        assert_eq!(deadlines.of(&manifest(), "wipe", &given, None).as_secs(), 5);
    }

    #[test]
    fn a_nested_call_ends_before_the_call_that_waits_for_it() {
        let deadlines = Deadlines::default();
        let nested = |method, remaining| {
            deadlines.of(&manifest(), method, &CallContext::new(), Some(Duration::from_secs(remaining))).as_secs()
        };
        assert_eq!(nested("licence", 1000), 996);
        assert_eq!(nested("list_block_devices", 1000), 300);
        assert_eq!(nested("wipe", 2), 1);
    }

    #[test]
    fn inner_calls_are_given_up_first() {
        let deadlines = Deadlines::default();
        assert!(deadlines.after_cancel(0) > deadlines.after_cancel(1));
        assert!(deadlines.after_cancel(1) > deadlines.after_cancel(15));
    }
}
