//! The manifest as constants, so that [`export_manager!`](crate::export_manager) can write it into the ELF note at
//! compile time. Authors meet only [`ArgSpec`].

use std::collections::BTreeMap;

use crate::manifest::Manifest;
use crate::step::{ArgInfo, Step, StepKind};

/// Version of this crate, of which hosts and plugins compare the major number.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The compiler that built this crate, and so the plugin.
pub const RUSTC_VERSION: &str = env!("IPA_RUSTC_VERSION");

/// What a manager says about itself, known at compile time.
#[derive(Debug, Clone, Copy)]
pub struct ManifestSpec {
    /// See [`Manifest::name`].
    pub name: &'static str,
    /// See [`Manifest::class_name`].
    pub class_name: &'static str,
    /// See [`Manifest::version`].
    pub version: &'static str,
    /// See [`Manifest::panic`].
    pub panic: &'static str,
    /// See [`Manifest::methods`].
    pub methods: &'static [&'static str],
    /// See [`Manifest::dynamic`].
    pub dynamic: bool,
    /// See [`Manifest::clean_steps`].
    pub clean_steps: &'static [StepSpec],
    /// See [`Manifest::deploy_steps`].
    pub deploy_steps: &'static [StepSpec],
    /// See [`Manifest::service_steps`].
    pub service_steps: &'static [StepSpec],
    /// See [`Manifest::tools`].
    pub tools: &'static [&'static str],
}

impl ManifestSpec {
    /// The steps declared for one kind.
    pub fn steps(&self, kind: StepKind) -> Vec<Step> {
        let specs = match kind {
            StepKind::Clean => self.clean_steps,
            StepKind::Deploy => self.deploy_steps,
            StepKind::Service => self.service_steps,
        };
        specs.iter().map(|spec| spec.to_step()).collect()
    }

    /// The manifest that the note holds.
    pub fn to_manifest(&self) -> Manifest {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Manifest {
            name: self.name.to_owned(),
            class_name: self.class_name.to_owned(),
            version: self.version.to_owned(),
            api: API_VERSION.to_owned(),
            rustc: RUSTC_VERSION.to_owned(),
            panic: self.panic.to_owned(),
            methods: strings(self.methods),
            dynamic: self.dynamic,
            clean_steps: self.steps(StepKind::Clean),
            deploy_steps: self.steps(StepKind::Deploy),
            service_steps: self.steps(StepKind::Service),
            tools: strings(self.tools),
        }
    }
}

/// A step, known at compile time. The keys that `export_manager!` takes are this type's builder methods.
#[derive(Debug, Clone, Copy)]
pub struct StepSpec {
    pub(crate) step: &'static str,
    pub(crate) priority: i64,
    pub(crate) interface: &'static str,
    pub(crate) reboot_requested: bool,
    pub(crate) abortable: Option<bool>,
    pub(crate) deadline_s: Option<u64>,
    pub(crate) args: &'static [ArgSpec],
}

impl StepSpec {
    /// A step of the `deploy` interface with priority 0, no arguments and no reboot.
    pub const fn new(step: &'static str) -> Self {
        Self {
            step,
            priority: 0,
            interface: "deploy",
            reboot_requested: false,
            abortable: None,
            deadline_s: None,
            args: &[],
        }
    }

    /// Higher runs earlier; 0 means only on request.
    #[must_use]
    pub const fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    /// The driver interface, `deploy` if not given.
    #[must_use]
    pub const fn interface(mut self, interface: &'static str) -> Self {
        self.interface = interface;
        self
    }

    /// Asks the conductor for a reboot after the step.
    #[must_use]
    pub const fn reboot_requested(mut self, reboot: bool) -> Self {
        self.reboot_requested = reboot;
        self
    }

    /// Says that an operator may abort the step without harm.
    #[must_use]
    pub const fn abortable(mut self, abortable: bool) -> Self {
        self.abortable = Some(abortable);
        self
    }

    /// Longest time the step may take, in seconds.
    #[must_use]
    pub const fn deadline_s(mut self, seconds: u64) -> Self {
        self.deadline_s = Some(seconds);
        self
    }

    /// The arguments an operator may give.
    #[must_use]
    pub const fn args(mut self, args: &'static [ArgSpec]) -> Self {
        self.args = args;
        self
    }

    fn to_step(self) -> Step {
        let argsinfo = |arg: &ArgSpec| {
            (arg.name.to_owned(), ArgInfo { description: arg.description.to_owned(), required: arg.required })
        };
        Step {
            priority: self.priority,
            interface: self.interface.to_owned(),
            reboot_requested: self.reboot_requested,
            abortable: self.abortable,
            deadline_s: self.deadline_s,
            argsinfo: self.args.iter().map(argsinfo).collect::<BTreeMap<_, _>>(),
            ..Step::new(self.step, self.priority)
        }
    }
}

/// One argument of a step.
#[derive(Debug, Clone, Copy)]
pub struct ArgSpec {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
}

impl ArgSpec {
    /// An argument without which the conductor refuses the step.
    pub const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: true }
    }

    /// An argument that may be left out.
    pub const fn optional(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: false }
    }
}
