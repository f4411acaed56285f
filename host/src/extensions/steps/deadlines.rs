//! How long each step may take, as its manager said when the steps were last listed.
//!
//! Ironic never sees the key: it sends the steps back as it got them, and would store what it does not know.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipa_plugin_api::step::StepKind;
use serde_json::Value;

/// The key of a step that holds its deadline, in seconds.
pub(super) const KEY: &str = "deadline_s";

/// Deadlines by kind and name of the step.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(Mutex<HashMap<StepKind, HashMap<String, Duration>>>);

impl Deadlines {
    /// Remembers the deadlines of a new listing and forgets those of the last one of this kind.
    pub(super) fn replace(&self, kind: StepKind, deadlines: HashMap<String, Duration>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(kind, deadlines);
    }

    /// The deadline of a step: the one it carries, else the one of the last listing.
    pub(super) fn of(&self, kind: StepKind, name: &str, step: &Value) -> Option<Duration> {
        let listed = || {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&kind)?.get(name).copied()
        };
        step.get(KEY).and_then(Value::as_u64).map(Duration::from_secs).or_else(listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_step_counts_before_the_listing() {
        let deadlines = Deadlines::default();
        deadlines.replace(StepKind::Clean, [("erase".to_owned(), Duration::from_secs(7))].into());
        let of = |kind, step: Value| deadlines.of(kind, "erase", &step);
        assert_eq!(of(StepKind::Clean, json!({})), Some(Duration::from_secs(7)));
        assert_eq!(of(StepKind::Clean, json!({"deadline_s": 9})), Some(Duration::from_secs(9)));
        assert_eq!(of(StepKind::Deploy, json!({})), None);
        deadlines.replace(StepKind::Clean, HashMap::new());
        assert_eq!(of(StepKind::Clean, json!({})), None);
    }
}
