//! What Ironic and the host expect of every manager.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Bench, FakeHost};
use crate::error::ErrorKind;
use crate::export::Export;
use crate::routing::is_base_method;
use crate::step::{Step, StepKind};

/// Checks a manager; the list of what is wrong is empty for a good one. It runs `new`, `evaluate_hardware_support`
/// and the three step lists on a [`FakeHost`], no step and no other method.
pub fn conformance<M: Export>() -> Vec<String> {
    let mut wrong = Vec::new();
    let manifest = M::SPEC.to_manifest();
    for (what, text) in [("name", &manifest.name), ("class_name", &manifest.class_name), ("version", &manifest.version)]
    {
        if text.trim().is_empty() {
            wrong.push(format!("the {what} is empty"));
        }
    }
    let host = FakeHost::new();
    let bench = match Bench::<M>::new(&host) {
        Ok(bench) => bench,
        Err(error) => {
            wrong.push(format!("new fails on an empty configuration: {error}"));
            return wrong;
        }
    };
    if let Err(error) = bench.evaluate()
        && error.kind() == ErrorKind::Absent
    {
        wrong.push("evaluate_hardware_support calls a method that no other manager has".to_owned());
    }
    for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
        let method = kind.list_method();
        match bench.call(method, json!({"node": {}, "ports": []})) {
            Ok(list) => match serde_json::from_value::<Vec<Step>>(list) {
                Ok(steps) => check_steps::<M>(kind, &steps, &mut wrong),
                Err(error) => wrong.push(format!("{method}: {error}")),
            },
            Err(error) => wrong.push(format!("{method} fails on an empty node: {error}")),
        }
    }
    wrong
}

fn check_steps<M: Export>(kind: StepKind, steps: &[Step], wrong: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for step in steps {
        let name = &step.step;
        let mut bad = |text: &str| wrong.push(format!("{} step {name}: {text}", kind.name()));
        if !names.insert(name.as_str()) {
            bad("is listed twice");
        }
        if name.starts_with('_') || name.is_empty() {
            bad("has a name that is never dispatched");
        }
        let answered = M::METHODS.iter().any(|entry| entry.name == name) || M::SPEC.dynamic || is_base_method(name);
        if !answered {
            bad("has no handler");
        }
        if step.priority < 0 {
            bad("has a negative priority");
        }
        for (arg, info) in &step.argsinfo {
            if info.description.trim().is_empty() {
                bad(&format!("its argument {arg} has no description"));
            }
        }
    }
}
