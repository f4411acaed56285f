//! The kernel modules that let the ramdisk talk to a BMC.

use std::time::Duration;

use ipa_plugin_api::prelude::*;

use crate::root::Root;

const MODULES: [&str; 3] = ["ipmi_msghandler", "ipmi_devintf", "ipmi_si"];
/// Longest time to load them; `ipmi_si` may wait for a slow BMC.
const DEADLINE: Duration = Duration::from_secs(30);

/// Loads those that are not there yet, in one go; on a machine without a BMC that fails and does not matter.
///
/// Every program takes milliseconds of the agent's start, so none is run where the kernel's modules were not brought
/// along.
pub fn load(root: &Root, cx: &Cx<'_>) {
    let missing = MODULES.into_iter().filter(|module| !root.is_dir(format!("sys/module/{module}")));
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() || !root.is_dir(directory()) {
        return;
    }
    let mut command = Command::new("modprobe").arg("--all").args(missing).deadline(DEADLINE);
    if let Err(error) = cx.run(&mut command).and_then(CommandOutput::check) {
        cx.log(Level::Debug, "kernel modules not loaded", &[("error", &error.details())]);
    }
}

/// Where the modules of the running kernel are, below the root.
fn directory() -> String {
    format!("lib/modules/{}", rustix::system::uname().release().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use ipa_plugin_api::testing::FakeHost;

    use super::*;
    use crate::root::fixture::Tree;
    use ipa_plugin_api::export::Export;

    fn run_on(tree: &Tree) -> Vec<Vec<String>> {
        let host = FakeHost::new();
        load(&tree.root(), &Cx::new(&host, 1, &crate::manager::GenericHardwareManager::SPEC));
        host.commands_run()
    }

    #[test]
    fn what_is_missing_is_loaded_at_once_and_a_failure_goes_on() {
        let tree = Tree::new();
        tree.directory(&directory());
        assert_eq!(run_on(&tree), [["modprobe", "--all", "ipmi_msghandler", "ipmi_devintf", "ipmi_si"]]);
        tree.directory("sys/module/ipmi_msghandler");
        assert_eq!(run_on(&tree), [["modprobe", "--all", "ipmi_devintf", "ipmi_si"]]);
    }

    #[test]
    fn no_program_is_run_in_vain() {
        let tree = Tree::new();
        assert!(run_on(&tree).is_empty(), "there are no modules");
        tree.directory(&directory());
        for module in MODULES {
            tree.directory(&format!("sys/module/{module}"));
        }
        assert!(run_on(&tree).is_empty(), "all are loaded");
    }
}
