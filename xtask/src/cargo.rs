//! The cargo that builds the workspace.

use std::process::Command;

use crate::repo;

/// The cargo that runs this, or the one on the path.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(repo::root());
    command
}
