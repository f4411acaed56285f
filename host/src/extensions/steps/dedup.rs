//! Which manager performs a step that several offer.
//!
//! The highest support wins, then the highest priority, then the class name that comes first in the alphabet. The
//! map has the winners in the order in which their names were first seen; a manager without any is left out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::step::StepKind;
use serde_json::{Map, Value};

use super::deadlines::KEY;
use crate::managers::Answer;

/// The steps that Ironic gets, and what the agent keeps for itself.
#[derive(Debug)]
pub(super) struct Listing {
    /// Class name to list of steps.
    pub(super) steps: Map<String, Value>,
    /// Deadline of each step that has one, by its name.
    pub(super) deadlines: HashMap<String, Duration>,
}

struct Candidate {
    class_name: String,
    support: i64,
    priority: i64,
    step: Map<String, Value>,
}

impl Candidate {
    fn rank(&self) -> (Reverse<i64>, Reverse<i64>, &str) {
        (Reverse(self.support), Reverse(self.priority), &self.class_name)
    }
}

/// Settles the steps of all managers.
///
/// # Errors
/// A manager answered something that is no list of steps; the error names it.
pub(super) fn deduplicate(kind: StepKind, answers: Vec<Answer>) -> HwResult<Listing> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut winners: Vec<(String, Candidate)> = Vec::new();
    for answer in answers {
        let Value::Array(steps) = answer.value else {
            return Err(malformed(
                kind,
                &answer.class_name,
                &format!("answered {} instead of a list", shape(&answer.value)),
            ));
        };
        for (index, step) in steps.into_iter().enumerate() {
            let (name, priority, step) =
                parse(step).map_err(|why| malformed(kind, &answer.class_name, &format!("step {index}: {why}")))?;
            let candidate =
                Candidate { class_name: answer.class_name.clone(), support: answer.support, priority, step };
            match places.get(&name) {
                Some(&place) if candidate.rank() < winners[place].1.rank() => winners[place].1 = candidate,
                Some(_) => {}
                None => {
                    places.insert(name.clone(), winners.len());
                    winners.push((name, candidate));
                }
            }
        }
    }
    let mut listing = Listing { steps: Map::new(), deadlines: HashMap::new() };
    for (name, mut winner) in winners {
        if let Some(seconds) = winner.step.shift_remove(KEY).as_ref().and_then(Value::as_u64) {
            listing.deadlines.insert(name, Duration::from_secs(seconds));
        }
        let list = listing.steps.entry(winner.class_name).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Value::Object(winner.step));
        }
    }
    Ok(listing)
}

fn parse(step: Value) -> Result<(String, i64, Map<String, Value>), String> {
    let Value::Object(step) = step else { return Err(format!("it is {} instead of an object", shape(&step))) };
    let name = match step.get("step") {
        Some(Value::String(name)) if !name.is_empty() => name.clone(),
        _ => return Err("its \"step\" is no name".to_owned()),
    };
    match step.get("priority").and_then(Value::as_i64) {
        Some(priority) => Ok((name, priority, step)),
        None => Err(format!("{name:?} has no \"priority\" that is a whole number")),
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn malformed(kind: StepKind, manager: &str, what: &str) -> HwError {
    HwError::command_execution(format!(
        "manager {manager}, {}: {what}. The plugin must be corrected or taken out of the plugin directory.",
        kind.list_method()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(class_name: &str, support: i64, value: Value) -> Answer {
        Answer { class_name: class_name.into(), manager_name: class_name.to_lowercase(), support, value }
    }

    fn winners(answers: Vec<Answer>) -> Value {
        Value::Object(deduplicate(StepKind::Clean, answers).unwrap().steps)
    }

    #[test]
    fn support_then_priority_then_class_name() {
        let step = |priority| json!([{"step": "erase", "priority": priority}]);
        let cases = [
            (("B", 3, 1), ("A", 1, 99), "B"),
            (("B", 2, 10), ("A", 2, 20), "A"),
            (("B", 2, 20), ("A", 2, 10), "B"),
            (("B", 2, 10), ("A", 2, 10), "A"),
        ];
        for ((name1, support1, priority1), (name2, support2, priority2), winner) in cases {
            let found =
                winners(vec![answer(name1, support1, step(priority1)), answer(name2, support2, step(priority2))]);
            assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), [winner]);
        }
    }

    #[test]
    fn the_order_is_that_of_the_first_sight() {
        let found = winners(vec![
            answer("Low", 3, json!([{"step": "a", "priority": 1}, {"step": "b", "priority": 1}])),
            answer("High", 4, json!([{"step": "c", "priority": 1}, {"step": "a", "priority": 1}])),
            answer("Nothing", 1, json!([{"step": "a", "priority": 1}])),
        ]);
        assert_eq!(
            found.to_string(),
            r#"{"High":[{"step":"a","priority":1},{"step":"c","priority":1}],"Low":[{"step":"b","priority":1}]}"#
        );
    }

    #[test]
    fn deadlines_stay_with_the_agent() {
        let listing = deduplicate(
            StepKind::Clean,
            vec![answer("A", 1, json!([{"step": "a", "deadline_s": 90, "priority": 1, "odd": [1]}]))],
        )
        .unwrap();
        assert_eq!(Value::Object(listing.steps), json!({"A": [{"step": "a", "priority": 1, "odd": [1]}]}));
        assert_eq!(listing.deadlines["a"], Duration::from_secs(90));
    }

    #[test]
    fn a_malformed_list_names_manager_and_step() {
        for (value, words) in [
            (json!([{"step": "a"}]), "step 0: \"a\" has no \"priority\""),
            (json!([{"step": "a", "priority": "1"}]), "step 0: \"a\" has no \"priority\""),
            (json!([{"step": "a", "priority": 1}, {"priority": 1}]), "step 1: its \"step\" is no name"),
            (json!([7]), "step 0: it is a number"),
            (Value::Null, "answered null"),
        ] {
            let error = deduplicate(StepKind::Deploy, vec![answer("Acme", 3, value)]).unwrap_err();
            assert!(error.details().starts_with("manager Acme, get_deploy_steps: "), "{error}");
            assert!(error.details().contains(words), "{error}");
        }
    }
}
