//! Deployment.

use ipa_plugin_api::step::StepKind;

use super::Extension;
use super::steps::{execute, execute_spec, list, list_spec};

pub(super) static EXTENSION: Extension = Extension {
    name: "deploy",
    commands: &[
        list_spec("get_deploy_steps", |call| Box::pin(list(call, StepKind::Deploy))),
        execute_spec("execute_deploy_step", &["deploy_version"], |call| Box::pin(execute(call, StepKind::Deploy))),
    ],
};
