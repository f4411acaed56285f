//! [`Cx`]: what a method can ask of the host during one call.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::command::{Command, CommandOutput};
use crate::error::{ErrorKind, HwError, HwResult};
use crate::reply::VALUE;
use crate::services::HostServices;
use crate::spec::ManifestSpec;
use crate::step::{Step, StepKind};

/// Importance of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// The machine or its data are in danger.
    Critical = 0,
    /// Something failed.
    Error = 1,
    /// Something is odd, the work goes on.
    Warning = 2,
    /// What an operator wants to read.
    Info = 3,
    /// What a developer wants to read.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// The host's side of one call. It is `Sync`: a method may use it from threads of its own while it runs.
#[derive(Clone, Copy)]
pub struct Cx<'a> {
    services: &'a dyn HostServices,
    call: u64,
    spec: &'a ManifestSpec,
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("call", &self.call).field("manager", &self.spec.name).finish_non_exhaustive()
    }
}

impl<'a> Cx<'a> {
    /// A context for one call; made by the glue and by [`crate::testing`].
    pub fn new(services: &'a dyn HostServices, call: u64, spec: &'a ManifestSpec) -> Self {
        Self { services, call, spec }
    }

    /// Writes a log record with key-value pairs, for example
    /// `cx.log(Level::Info, "erasing", &[("device", &name)])`.
    pub fn log(&self, level: Level, message: &str, pairs: &[(&str, &dyn fmt::Display)]) {
        let pairs: BTreeMap<&str, String> = pairs.iter().map(|(key, value)| (*key, value.to_string())).collect();
        // Strings always serialise.
        let pairs = serde_json::to_string(&pairs).unwrap_or_default();
        self.services.log(self.call, level as u32, message, &pairs);
    }

    /// Reports progress: percent (0 to 100) and what is being done. Operators see it while the command runs.
    pub fn progress(&self, percent: u8, message: &str) {
        self.services.progress(self.call, u32::from(percent.min(100)), message);
    }

    /// True once the call should end early: its deadline has passed or the agent stops. A method that takes long
    /// asks now and then, cleans up and raises [`HwError::cancelled`]; one that does not is killed a little later.
    pub fn is_cancelled(&self) -> bool {
        self.services.is_cancelled(self.call)
    }

    /// Asks all managers in rank order for a method; the first that neither lacks it nor calls it incompatible
    /// answers. `args` must serialise to a JSON object of named arguments.
    pub fn dispatch<R: DeserializeOwned>(&self, method: &str, args: impl Serialize) -> HwResult<R> {
        self.host("dispatch", &json!({"method": method, "args": to_args(args)?}))
    }

    /// Asks every manager for a method and returns the answers by class name.
    pub fn dispatch_all<R: DeserializeOwned>(&self, method: &str, args: impl Serialize) -> HwResult<Vec<(String, R)>> {
        #[derive(serde::Deserialize)]
        struct Answer<R> {
            class_name: String,
            value: R,
        }
        let answers: Vec<Answer<R>> = self.host("dispatch_all", &json!({"method": method, "args": to_args(args)?}))?;
        Ok(answers.into_iter().map(|answer| (answer.class_name, answer.value)).collect())
    }

    /// Asks the managers ranked below this one: what `super()` is to a manager written in Python.
    pub fn call_next<R: DeserializeOwned>(&self, method: &str, args: impl Serialize) -> HwResult<R> {
        self.host("call_next", &json!({"method": method, "args": to_args(args)?}))
    }

    /// True if this manager is the first that is asked for a method: whoever is ranked above it was asked before and lacks
    /// it. It may then answer itself where it would dispatch, without the way through the host. What is true once stays
    /// true. An older host does not tell; then it is false.
    pub fn answers_first(&self, method: &str) -> bool {
        self.host("answers_first", &json!({"method": method})).unwrap_or(false)
    }

    /// The plugin's own configuration section, all keys with their text values.
    pub fn config<C: DeserializeOwned>(&self) -> HwResult<C> {
        let section: Value = self.host("config", &json!({}))?;
        serde_json::from_value(section).map_err(|error| {
            HwError::configuration(format!("section [plugin:{}] of the configuration: {error}", self.spec.name))
        })
    }

    /// All `key=value` words of the kernel command line and, when booted from it, of virtual media.
    pub fn kernel_params(&self) -> HwResult<BTreeMap<String, String>> {
        self.host("kernel_params", &json!({}))
    }

    /// The node this machine is, as Ironic last described it; none before lookup.
    pub fn node(&self) -> HwResult<Option<Value>> {
        self.host("node", &json!({}))
    }

    /// The node as Ironic describes it now, for what may have changed since the lookup. Takes as long as Ironic lets it
    /// wait, up to half of the time that the call has left. Where Ironic cannot be asked or does not answer, the node is
    /// as it was; the log says why.
    ///
    /// # Errors
    /// The host is older than this service.
    pub fn refresh_node(&self) -> HwResult<Option<Value>> {
        self.host("refresh_node", &json!({}))
    }

    /// The node for a choice of the root device: with `permit_refresh` it is looked up again if it has no hints at which
    /// disk that is, since an operator may have given some while the ramdisk booted.
    ///
    /// # Errors
    /// The host does not answer.
    pub fn node_for_root_device(&self, permit_refresh: bool) -> HwResult<Option<Value>> {
        let node = self.node()?;
        let is_without = |node: &Value| {
            let hints = ["instance_info", "properties"].map(|part| &node[part]["root_device"]);
            // What counts as none in Python.
            let none = [json!(null), json!({}), json!([]), json!(""), json!(false)];
            hints.iter().all(|hints| none.contains(hints))
        };
        match &node {
            Some(known) if permit_refresh && is_without(known) => match self.refresh_node() {
                Err(error) if error.kind() == ErrorKind::Absent => Ok(node),
                refreshed => refreshed,
            },
            _ => Ok(node),
        }
    }

    /// Runs a program to its end. The host starts it without a shell, kills it with all its children once the
    /// deadline passes or the call ends, and gives its lines as they come.
    pub fn run(&self, command: &mut Command<'_>) -> HwResult<CommandOutput> {
        command.run(self)
    }

    /// Gets a page from a web server, whatever its status: at most `limit` bytes of text (the host allows 16 MiB), within
    /// `deadline` and the time that the call has left. Certificates are checked as the agent's options say, redirects are
    /// followed to `http` and `https` and never out of TLS. An address must hold no password.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use ipa_plugin_api::prelude::*;
    /// # fn newest(cx: &Cx) -> HwResult<String> {
    /// let page = cx.http_get("https://firmware.example/acme/newest", 1024, Duration::from_secs(30))?.check()?;
    /// # Ok(
    /// page.text.trim().to_owned()
    /// # )
    /// # }
    /// ```
    ///
    /// # Errors
    /// `CommandExecutionError`: there was no whole text in time; it says why.
    pub fn http_get(&self, url: &str, limit: usize, deadline: Duration) -> HwResult<Page> {
        let deadline = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.host("http_get", &json!({"url": url, "limit": limit, "deadline_ms": deadline}))
    }

    /// Adds a text to the logs that go to Ironic under `name`; for use in `collect_system_logs`.
    pub fn attach_log(&self, name: &str, text: &str) -> HwResult<()> {
        self.host("attach_log", &json!({"name": name, "text": text}))
    }

    /// Adds a file to the logs that go to Ironic.
    pub fn attach_log_file(&self, name: &str, path: &Path) -> HwResult<()> {
        self.host("attach_log", &json!({"name": name, "path": path}))
    }

    /// Calls any service of the host by name. Use it for services that this version of the crate does not know; an
    /// older host answers with [`ErrorKind::Absent`].
    pub fn host<R: DeserializeOwned>(&self, service: &str, args: &Value) -> HwResult<R> {
        let reply = self.services.host_call(self.call, service, &args.to_string());
        if reply.code != VALUE {
            return Err(HwError::from_reply(reply.code, &reply.body));
        }
        serde_json::from_slice(&reply.body)
            .map_err(|error| HwError::other("ValueError", format!("answer of the host to {service}: {error}")))
    }

    /// The steps that `export_manager!` declares for one kind: the default answer of `get_clean_steps` and its
    /// sisters.
    pub fn declared_steps(&self, kind: StepKind) -> Vec<Step> {
        self.spec.steps(kind)
    }
}

/// What a web server answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

impl Page {
    /// The page if the server says that all is well.
    ///
    /// # Errors
    /// `CommandExecutionError` for any status but 200 to 299, with the beginning of the text.
    pub fn check(self) -> HwResult<Self> {
        match self.status {
            200..=299 => Ok(self),
            status => {
                let beginning: String = self.text.chars().take(200).collect();
                Err(HwError::command_execution(format!("the server answered {status}: {beginning}")))
            }
        }
    }
}

/// Arguments as a JSON object; a unit or null means none.
fn to_args(args: impl Serialize) -> HwResult<Value> {
    match serde_json::to_value(args)? {
        Value::Null => Ok(json!({})),
        object @ Value::Object(_) => Ok(object),
        other => Err(HwError::bad_arguments(format!("arguments must be a JSON object, not {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    static SPEC: ManifestSpec = ManifestSpec {
        name: "acme",
        class_name: "Acme",
        version: "1.0.0",
        panic: "unwind",
        methods: &[],
        dynamic: false,
        clean_steps: &[],
        deploy_steps: &[],
        service_steps: &[],
        tools: &[],
    };

    #[test]
    fn only_a_node_without_hints_is_looked_up_again() {
        let hinted = json!({"instance_info": {}, "properties": {"root_device": {"name": "/dev/sdb"}}});
        let by_instance = json!({"instance_info": {"root_device": {"size": 8}}, "properties": {}});
        let emptied = json!({"instance_info": {}, "properties": {"root_device": {}}});
        for (known, permitted, asks) in [
            (json!({"properties": {}}), true, true),
            (emptied, true, true),
            (json!({"properties": {}}), false, false),
            (hinted.clone(), true, false),
            (by_instance, true, false),
        ] {
            let host = FakeHost::new().node(known.clone()).refreshed_node(hinted.clone());
            let node = Cx::new(&host, 1, &SPEC).node_for_root_device(permitted).expect("answered");
            assert_eq!(host.was_refreshed(), asks, "{known}");
            assert_eq!(node, Some(if asks { hinted.clone() } else { known }));
        }
        let host = FakeHost::new();
        assert_eq!(Cx::new(&host, 1, &SPEC).node_for_root_device(true).expect("answered"), None);
        assert!(!host.was_refreshed(), "before the lookup there is nothing to look up again");
    }

    #[test]
    fn a_page_is_found_small_enough_and_well() {
        let host = FakeHost::new().page("http://a/x", 200, "12345").page("http://a/gone", 404, "not here");
        let cx = Cx::new(&host, 1, &SPEC);
        let get = |url: &str, limit: usize| cx.http_get(url, limit, Duration::from_secs(5));
        assert_eq!(get("http://a/x", 5).and_then(Page::check).expect("there").text, "12345");
        let gone = get("http://a/gone", 100).expect("an answer");
        assert_eq!(gone.check().expect_err("gone").details(), "the server answered 404: not here");
        for (url, limit, says) in [("http://a/x", 4, "larger than 4 bytes"), ("http://b", 9, "no such server")] {
            assert!(get(url, limit).expect_err("no page").details().contains(says), "{url}");
        }
    }
}
