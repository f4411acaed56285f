//! One step, from Ironic's request to its echo.

use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::step::StepKind;
use serde_json::{Map, Value, json};
use slog::{error, info};

use super::super::{Invocation, Params};
use super::versions;
use crate::commands::Redacted;

/// Executes the step, and gives it back verbatim beside its result: Ironic recognises it by that.
pub(in super::super) async fn execute(mut call: Invocation, kind: StepKind) -> HwResult<Value> {
    let name = kind.name();
    let (step, node, ports) = (call.take("step"), call.take("node"), call.take("ports"));
    let provided = call.take(&format!("{name}_version"));
    let managers = call.agent.managers();
    call.agent.cache_node(&node).await;
    versions::check(&managers.versions(), &provided)?;

    let method = step_name(kind, &step)?.to_owned();
    let deadline = call.agent.deadlines().of(kind, &method, &step);
    let args = arguments(&step, node, ports, call.params).map_err(|why| wrap(kind, &method, why))?;
    let limit = deadline.map_or_else(|| "default".to_owned(), |limit| limit.as_secs().to_string());
    info!(call.agent.log(), "executing step"; "kind" => name, "step" => &method, "deadline_s" => limit);
    let context = call.call.with_deadline(deadline).for_step();
    let result = managers.dispatch(&context, &method, args).await.map_err(|failure| {
        let failure = wrap(kind, &method, failure);
        error!(call.agent.log(), "step failed"; "kind" => name, "step" => &method, "error" => %failure);
        failure
    })?;
    info!(call.agent.log(), "step completed"; "kind" => name, "step" => &method, "result" => %Redacted(&result));
    Ok(json!({ (format!("{name}_result")): result, (format!("{name}_step")): step }))
}

fn step_name(kind: StepKind, step: &Value) -> HwResult<&str> {
    let name = match step.get("step") {
        Some(Value::String(name)) if !name.is_empty() => return Ok(name),
        Some(_) => "\"step\" is no name",
        None => "no \"step\" key",
    };
    Err(HwError::other("ValueError", format!("Malformed {}_step, {name}: {}", kind.name(), Redacted(step))))
}

/// The keyword arguments of the step's method: those of the command, overridden by those of the step.
fn arguments(step: &Value, node: Value, ports: Value, extra: Params) -> HwResult<Value> {
    let mut args: Map<String, Value> = extra;
    match step.get("args") {
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) => args.extend(given.iter().map(|(name, value)| (name.clone(), value.clone()))),
        Some(_) => return Err(HwError::bad_arguments("the step's \"args\" is no object")),
    }
    for (name, value) in [("node", node), ("ports", ports)] {
        if args.insert(name.to_owned(), value).is_some() {
            return Err(HwError::bad_arguments(format!("the step's \"args\" may not have {name:?}")));
        }
    }
    Ok(Value::Object(args))
}

/// Agent-defined errors reach Ironic as they are, all others as the failure of this kind of step.
fn wrap(kind: StepKind, step: &str, failure: HwError) -> HwError {
    if failure.is_agent_defined() {
        return failure;
    }
    let text = format!("{} step {step} failed. {}: {}", kind.name(), failure.class(), failure.details());
    match kind {
        StepKind::Clean => HwError::cleaning(text),
        StepKind::Deploy => HwError::deployment(text),
        StepKind::Service => HwError::servicing(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Params {
        let Value::Object(map) = value else { panic!("not an object") };
        map
    }

    #[test]
    fn arguments_of_the_step_come_last() {
        let step = json!({"step": "x", "args": {"a": 2, "b": 3}});
        let args = arguments(&step, json!({"uuid": "u"}), json!([]), object(json!({"a": 1, "c": null}))).unwrap();
        assert_eq!(args, json!({"a": 2, "b": 3, "c": null, "node": {"uuid": "u"}, "ports": []}));
        for nothing in [json!({"step": "x"}), json!({"step": "x", "args": null})] {
            let args = arguments(&nothing, Value::Null, Value::Null, Params::new()).unwrap();
            assert_eq!(args, json!({"node": null, "ports": null}));
        }
    }

    #[test]
    fn arguments_cannot_replace_the_node() {
        for args in [json!({"node": {}}), json!({"ports": []}), json!([1])] {
            let step = json!({"step": "x", "args": args});
            assert!(arguments(&step, json!({}), json!([]), Params::new()).is_err(), "{step}");
        }
    }

    #[test]
    fn foreign_errors_are_wrapped_and_name_step_class_and_message() {
        let foreign = HwError::other("OSError", "no such controller");
        let classes = [
            (StepKind::Clean, "CleaningError"),
            (StepKind::Deploy, "DeploymentError"),
            (StepKind::Service, "ServicingError"),
        ];
        for (kind, class) in classes {
            let error = wrap(kind, "acme", foreign.clone());
            assert_eq!(error.class(), class);
            assert_eq!(error.details(), format!("{} step acme failed. OSError: no such controller", kind.name()));
        }
        assert_eq!(wrap(StepKind::Clean, "acme", HwError::block_device_erase("x")), HwError::block_device_erase("x"));
    }

    #[test]
    fn a_step_needs_a_name() {
        for step in [json!({}), json!({"step": ""}), json!({"step": 5}), json!(null), json!("erase")] {
            assert!(step_name(StepKind::Clean, &step).unwrap_err().details().starts_with("Malformed clean_step, "));
        }
    }
}
