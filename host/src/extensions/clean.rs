//! Cleaning, automated or manual.

use ipa_plugin_api::step::StepKind;

use super::Extension;
use super::steps::{execute, execute_spec, list, list_spec};

pub(super) static EXTENSION: Extension = Extension {
    name: "clean",
    commands: &[
        list_spec("get_clean_steps", |call| Box::pin(list(call, StepKind::Clean))),
        execute_spec("execute_clean_step", &["clean_version"], |call| Box::pin(execute(call, StepKind::Clean))),
    ],
};
