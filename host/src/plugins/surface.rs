//! The method names that every manager has, and what follows from a name.

use ipa_plugin_api::manifest::Manifest;
use ipa_plugin_api::routing::BASE_METHODS;
use ipa_plugin_api::step::{Step, StepKind};

/// How a manager may come to have a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Its manifest names it.
    Declared,
    /// It is one of the names that a manager may always override; asking tells.
    Base,
    /// The manager answers methods that its manifest does not name; asking tells.
    Dynamic,
}

impl Presence {
    /// One word for reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Declared => "declares",
            Self::Base => "inherits",
            Self::Dynamic => "dynamic",
        }
    }
}

/// Whether a manager can have a method, as far as can be told without asking. Private names are nobody's.
pub(crate) fn presence(manifest: &Manifest, method: &str) -> Option<Presence> {
    if method.starts_with('_') {
        None
    } else if manifest.declares(method) {
        Some(Presence::Declared)
    } else if is_base(method) {
        Some(Presence::Base)
    } else {
        manifest.dynamic.then_some(Presence::Dynamic)
    }
}

/// True for the methods of upstream's base class.
pub(crate) fn is_base(method: &str) -> bool {
    method == "get_version" || BASE_METHODS.contains(&method)
}

/// The kind of steps that a method lists.
pub(crate) fn listed_kind(method: &str) -> Option<StepKind> {
    [StepKind::Clean, StepKind::Deploy, StepKind::Service].into_iter().find(|kind| kind.list_method() == method)
}

/// The steps that a manifest lists.
pub(crate) fn steps(manifest: &Manifest, kind: StepKind) -> &[Step] {
    match kind {
        StepKind::Clean => &manifest.clean_steps,
        StepKind::Deploy => &manifest.deploy_steps,
        StepKind::Service => &manifest.service_steps,
    }
}

/// True if a method changes the machine, as far as its name and the manifest tell.
pub(crate) fn changes_machine(manifest: &Manifest, method: &str) -> bool {
    changes_by_name(method)
        || [&manifest.clean_steps, &manifest.deploy_steps, &manifest.service_steps]
            .into_iter()
            .flatten()
            .any(|step| step.step == method)
}

/// True for names that mean work on disks whoever offers them.
pub(crate) fn changes_by_name(method: &str) -> bool {
    ["erase_", "write_", "create_", "delete_", "apply_", "inject_", "install_", "update_", "burnin_", "execute_"]
        .iter()
        .any(|prefix| method.starts_with(prefix))
}

/// True if a manager that cannot be asked any more must not be passed over for this method.
///
/// What it declares, what it has answered before (`known`) and the lists of its steps are its own: going on to the
/// next manager could erase less, or more, than the operator was told. Logs are an exception, since they are wanted
/// most when something is broken.
pub(crate) fn is_own(manifest: &Manifest, known: bool, method: &str) -> bool {
    if method == "collect_system_logs" || method == "get_version" {
        return false;
    }
    let steps = listed_kind(method).map(|kind| steps(manifest, kind));
    known || manifest.declares(method) || steps.is_some_and(|steps| !steps.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(dynamic: bool) -> Manifest {
        serde_json::from_value(json!({
            "name": "acme", "class_name": "Acme", "version": "1", "api": "1.0.0", "dynamic": dynamic,
            "methods": ["filter_device", "collect_system_logs"], "clean_steps": [{"step": "wipe"}]
        }))
        .expect("manifest")
    }

    #[test]
    fn a_method_is_declared_inherited_or_dynamic() {
        let of = |dynamic, method| presence(&manifest(dynamic), method);
        assert_eq!(of(false, "wipe"), Some(Presence::Declared));
        assert_eq!(of(false, "get_cpus"), Some(Presence::Base));
        assert_eq!(of(false, "get_version"), Some(Presence::Base));
        assert_eq!(of(false, "other"), None);
        assert_eq!(of(true, "other"), Some(Presence::Dynamic));
        assert_eq!(of(true, "_private"), None);
    }

    /// The Python agent's base class has `evaluate_hardware_support` too, which goes another way here, and not
    /// `get_ipv4_addr`, which it dispatches all the same.
    #[test]
    fn every_method_of_the_python_agents_base_class_can_be_overridden() {
        let recorded: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/names/upstream.json")).expect("JSON");
        let theirs: Vec<&str> =
            recorded["manager_methods"].as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
        assert!(theirs.len() > 25, "{theirs:?}");
        for method in theirs.into_iter().filter(|name| *name != "evaluate_hardware_support").chain(["get_ipv4_addr"]) {
            assert!(is_base(method), "{method}");
            assert!(presence(&manifest(false), method).is_some(), "{method}");
        }
    }

    #[test]
    fn what_a_dead_manager_owns_is_not_passed_over() {
        let own = |known, method| is_own(&manifest(false), known, method);
        assert!(own(false, "wipe") && own(false, "filter_device") && own(false, "get_clean_steps"));
        assert!(own(true, "seen_before"));
        assert!(!own(false, "get_deploy_steps"), "it declares no such steps");
        assert!(!own(false, "get_cpus"));
        assert!(!own(true, "collect_system_logs"), "logs are wanted most when something is broken");
    }
}
