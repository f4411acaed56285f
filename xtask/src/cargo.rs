//! The cargo that builds the workspace.

use std::process::Command;

use crate::repo;

/// The cargo that runs this, or the one on the path, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = ipa_imagebuild::cargo::cargo(repo::root());
    command.args(arguments);
    command
}
