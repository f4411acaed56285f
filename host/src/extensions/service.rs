//! Service of a deployed machine.

use ipa_plugin_api::step::StepKind;

use super::Extension;
use super::steps::{execute, execute_spec, list, list_spec};

pub(super) static EXTENSION: Extension = Extension {
    name: "service",
    commands: &[
        list_spec("get_service_steps", |call| Box::pin(list(call, StepKind::Service))),
        execute_spec("execute_service_step", &["service_version"], |call| Box::pin(execute(call, StepKind::Service))),
    ],
};
