//! Replaces its process by another program in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct Exec;

impl Fault for Exec {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        use std::os::unix::process::CommandExt;
        Err(HwError::from(std::process::Command::new("true").exec()))
    }
}

export_fault! { Exec, name = "exec" }
