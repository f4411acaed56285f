//! The cargo that builds the agent's programs.

use std::path::Path;
use std::process::Command;

/// The cargo that runs this, or the one on the path, in a directory.
#[must_use]
pub fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    // What this cargo tells a program that it runs is not there for one that a person starts. Build scripts see it, and
    // would make the two build everything anew after each other.
    for (name, _) in std::env::vars_os() {
        let told =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if told {
            command.env_remove(name);
        }
    }
    command
}
