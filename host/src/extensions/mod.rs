//! The commands that Ironic may send, grouped as it names them: `<extension>.<command>`.
//!
//! An extension is a table in a file of its own. To add one, write the file and name it in [`ALL`].

mod clean;
mod deploy;
mod flow;
mod log;
mod poll;
mod rescue;
mod service;
mod standby;
mod steps;
mod system;

use std::fmt;
use std::sync::Arc;

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Map, Value};

use crate::agent::Agent;
use crate::managers::{BoxFuture, CallContext};

pub use self::log::collect as collect_system_logs;
pub use self::rescue::is_rescued;
pub(crate) use self::steps::Deadlines;

/// All extensions of the agent.
pub static ALL: &[&Extension] = &[
    &clean::EXTENSION,
    &deploy::EXTENSION,
    &flow::EXTENSION,
    &log::EXTENSION,
    &poll::EXTENSION,
    &rescue::EXTENSION,
    &service::EXTENSION,
    &standby::EXTENSION,
    &system::EXTENSION,
];

/// The keyword arguments of a command.
pub type Params = Map<String, Value>;

/// A group of commands.
#[derive(Debug)]
pub struct Extension {
    /// The part before the dot.
    pub name: &'static str,
    /// Its commands.
    pub commands: &'static [CommandSpec],
}

impl Extension {
    /// The command with this short name.
    pub fn command(&self, name: &str) -> Option<&CommandSpec> {
        self.commands.iter().find(|command| command.name == name)
    }
}

/// When the client gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// When the command is done.
    Sync,
    /// At once; the command runs on in the background and a heartbeat tells its end.
    Async,
}

/// What there is to know of a command before it runs.
pub struct CommandSpec {
    /// The part after the dot.
    pub name: &'static str,
    /// When the client gets its answer.
    pub kind: Kind,
    /// Arguments that must be there.
    pub required: &'static [&'static str],
    /// Arguments that may be there.
    pub optional: &'static [&'static str],
    /// True if it takes any further argument.
    pub open: bool,
    /// True if it changes the machine, so that it is refused with `--read-only`.
    pub changes_machine: bool,
    /// Looks at the arguments before anything starts.
    pub validate: Option<fn(&Agent, &Params) -> HwResult<()>>,
    /// The work.
    pub run: fn(Invocation) -> BoxFuture<'static, HwResult<Value>>,
}

impl CommandSpec {
    /// A command without arguments, to be completed with the struct update syntax.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        run: fn(Invocation) -> BoxFuture<'static, HwResult<Value>>,
    ) -> Self {
        Self { name, kind, required: &[], optional: &[], open: false, changes_machine: false, validate: None, run }
    }

    /// Checks the names of the arguments.
    ///
    /// # Errors
    /// One is missing or unknown. It is a foreign error on purpose: a command with wrong arguments is recorded as
    /// failed, it is not refused.
    pub fn check_arguments(&self, params: &Params) -> HwResult<()> {
        let missing: Vec<&str> = self.required.iter().copied().filter(|name| !params.contains_key(*name)).collect();
        if !missing.is_empty() {
            let text = format!("{}: missing argument {}", self.name, missing.join(", "));
            return Err(HwError::bad_arguments(text));
        }
        let known = |name: &str| self.required.contains(&name) || self.optional.contains(&name);
        match params.keys().find(|name| !self.open && !known(name)) {
            Some(name) => Err(HwError::bad_arguments(format!("{}: unexpected argument {name:?}", self.name))),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSpec").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// One run of a command.
#[derive(Debug)]
pub struct Invocation {
    /// The agent it runs in.
    pub agent: Arc<Agent>,
    /// Goes with every call to the managers.
    pub call: CallContext,
    /// The arguments; their names have been checked.
    pub params: Params,
}

impl Invocation {
    /// Takes an argument; null if it is not there.
    pub fn take(&mut self, name: &str) -> Value {
        self.params.remove(name).unwrap_or(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec() -> CommandSpec {
        CommandSpec {
            required: &["node", "ports"],
            optional: &["more"],
            ..CommandSpec::new("probe", Kind::Sync, |_| Box::pin(async { Ok(Value::Null) }))
        }
    }

    fn check(spec: &CommandSpec, params: Value) -> Result<(), String> {
        let Value::Object(params) = params else { panic!("params must be an object") };
        spec.check_arguments(&params).map_err(|error| error.details().to_owned())
    }

    #[test]
    fn argument_names_are_checked() {
        assert_eq!(check(&spec(), json!({"node": 1, "ports": 2, "more": 3})), Ok(()));
        assert_eq!(check(&spec(), json!({"more": 3})), Err("probe: missing argument node, ports".into()));
        assert_eq!(
            check(&spec(), json!({"node": 1, "ports": 2, "odd": 0})),
            Err("probe: unexpected argument \"odd\"".into())
        );
        assert_eq!(check(&CommandSpec { open: true, ..spec() }, json!({"node": 1, "ports": 2, "odd": 0})), Ok(()));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> =
            ALL.iter().flat_map(|e| e.commands.iter().map(move |c| format!("{}.{}", e.name, c.name))).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
