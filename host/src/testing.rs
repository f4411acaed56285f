//! A plugin side without plugins, for the tests of the host: two managers that answer what those of
//! `tests/upstream/api_answers.py` answer to the Python agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ipa_plugin_api::error::{ErrorKind, HwError, HwResult};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::agent::{Agent, Settings};
use crate::errors;
use crate::extensions::{self, CommandSpec, Extension, Kind};
use crate::log::Logging;
use crate::managers::{Answer, BoxFuture, CallContext, Managers};
use crate::process::{Runner, Spawner};
use crate::root::Root;

/// The token of the tests.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The managers `AcmeManager` and, below it, `GenericHardwareManager`.
#[derive(Debug)]
pub(crate) struct FakeManagers {
    /// Lets `acme_block` end.
    pub(crate) release: watch::Sender<bool>,
    /// All calls, as method and deadline in seconds.
    pub(crate) calls: Mutex<Vec<(String, Option<u64>)>>,
    /// All nodes that were cached.
    pub(crate) nodes: Mutex<Vec<Value>>,
    /// The managers as they are described.
    pub(crate) described: Mutex<Value>,
}

impl Default for FakeManagers {
    fn default() -> Self {
        Self {
            release: watch::Sender::new(false),
            calls: Mutex::default(),
            nodes: Mutex::default(),
            described: Mutex::new(json!({"places": ["/plugins"], "managers": [], "left_out": []})),
        }
    }
}

impl FakeManagers {
    async fn acme(&self, call: &CallContext, method: &str, args: &Value) -> HwResult<Value> {
        match method {
            "get_clean_steps" => Ok(json!([
                {"step": "acme_ok", "priority": 40, "interface": "deploy", "reboot_requested": false,
                 "abortable": true, "deadline_s": 77},
                {"step": "shared", "priority": 10, "interface": "deploy"},
            ])),
            "get_deploy_steps" => Ok(json!([{"step": "acme_ok", "priority": 0, "interface": "deploy",
                "argsinfo": {"size": {"description": "Size.", "required": false}}}])),
            "get_service_steps" => Ok(json!([])),
            "acme_ok" => {
                let mut kwargs = args.clone();
                let kwargs = kwargs.as_object_mut().ok_or_else(|| HwError::bad_arguments("no object"))?;
                let node = kwargs.shift_remove("node").unwrap_or_default();
                kwargs.shift_remove("ports");
                Ok(json!({"node": node["uuid"], "kwargs": kwargs}))
            }
            "acme_text" => Ok(json!("done")),
            "acme_null" => Ok(Value::Null),
            "acme_agent_error" => {
                Err(HwError::block_device_erase("Block device /dev/sda is frozen and cannot be erased"))
            }
            "acme_foreign_error" => Err(HwError::other("OSError", "no such controller")),
            "acme_block" => {
                call.report(40, "waiting");
                tokio::select! {
                    released = async { self.release.subscribe().wait_for(|released| *released).await.map(|_| ()) } =>
                        released.map(|()| Value::Null).map_err(|_| HwError::cancelled("the test has ended")),
                    () = call.cancelled() => Err(HwError::cancelled("acme_block was cancelled")),
                }
            }
            "acme_panic" => panic!("a defect"),
            "erase" => Err(HwError::incompatible("not mine")),
            "collect_system_logs" => {
                call.attach_log("acme/controller", b"ok\n".to_vec());
                Ok(Value::Null)
            }
            _ => Err(HwError::absent(method)),
        }
    }

    fn generic(method: &str) -> HwResult<Value> {
        match method {
            "get_clean_steps" => Ok(json!([
                {"step": "erase", "priority": 99, "interface": "deploy"},
                {"step": "shared", "priority": 90, "interface": "deploy"},
            ])),
            "get_deploy_steps" => Ok(json!([{"step": "write_image", "priority": 0, "interface": "deploy"}])),
            "get_service_steps" => Ok(json!([])),
            "erase" => Ok(json!(["generic", false])),
            "list_hardware_info" => Ok(json!({"interfaces": [], "disks": [], "hostname": "host-1"})),
            "list_network_interfaces" => Ok(json!([{"name": "nic-of-a-test"}, {"name": "-all"}, {"name": "lo"}])),
            _ => Err(HwError::absent(method)),
        }
    }

    fn note(&self, call: &CallContext, method: &str) {
        self.calls.lock().unwrap().push((method.to_owned(), call.deadline().map(|deadline| deadline.as_secs())));
    }
}

fn passes_on(error: &HwError) -> bool {
    matches!(error.kind(), ErrorKind::Absent | ErrorKind::Incompatible)
}

impl Managers for FakeManagers {
    fn dispatch<'a>(&'a self, call: &'a CallContext, method: &'a str, args: Value) -> BoxFuture<'a, HwResult<Value>> {
        Box::pin(async move {
            self.note(call, method);
            match self.acme(call, method, &args).await {
                Err(error) if passes_on(&error) => {}
                answer => return answer,
            }
            match Self::generic(method) {
                Err(error) if passes_on(&error) => Err(errors::method_not_found(method)),
                answer => answer,
            }
        })
    }

    fn dispatch_all<'a>(
        &'a self,
        call: &'a CallContext,
        method: &'a str,
        args: Value,
    ) -> BoxFuture<'a, HwResult<Vec<Answer>>> {
        Box::pin(async move {
            self.note(call, method);
            let mut answers = Vec::new();
            let acme = self.acme(call, method, &args).await;
            for (class_name, manager_name, support, answer) in [
                ("AcmeManager", "acme", 3, acme),
                ("GenericHardwareManager", "generic_hardware_manager", 1, Self::generic(method)),
            ] {
                match answer {
                    Ok(value) => answers.push(Answer {
                        class_name: class_name.into(),
                        manager_name: manager_name.into(),
                        support,
                        value,
                    }),
                    Err(error) if passes_on(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            if answers.is_empty() { Err(errors::method_not_found(method)) } else { Ok(answers) }
        })
    }

    fn versions(&self) -> BTreeMap<String, String> {
        [("acme", "2.1"), ("generic_hardware_manager", "1.2")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    }

    fn cache_node<'a>(&'a self, node: Value) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.nodes.lock().unwrap().push(node) })
    }

    fn describe(&self) -> Value {
        self.described.lock().unwrap().clone()
    }
}

/// One manager with one method, to which it gives these answers: at each call the next one, and at last always the same.
#[derive(Debug)]
pub(crate) struct OneMethod {
    method: &'static str,
    answers: Mutex<Vec<HwResult<Value>>>,
    /// What it was asked.
    pub(crate) asked: Mutex<Vec<Value>>,
}

impl OneMethod {
    pub(crate) fn new(method: &'static str, answers: impl IntoIterator<Item = HwResult<Value>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        Self { method, answers: Mutex::new(answers), asked: Mutex::default() }
    }
}

impl Managers for OneMethod {
    fn dispatch<'a>(&'a self, _: &'a CallContext, method: &'a str, args: Value) -> BoxFuture<'a, HwResult<Value>> {
        Box::pin(async move {
            if method != self.method {
                return Err(errors::method_not_found(method));
            }
            self.asked.lock().unwrap().push(args);
            let mut answers = self.answers.lock().unwrap();
            let next = if answers.len() > 1 { answers.pop() } else { answers.first().cloned() };
            next.unwrap_or_else(|| Err(HwError::absent(method)))
        })
    }

    fn dispatch_all<'a>(
        &'a self,
        _: &'a CallContext,
        method: &'a str,
        _: Value,
    ) -> BoxFuture<'a, HwResult<Vec<Answer>>> {
        Box::pin(async move { Err(errors::method_not_found(method)) })
    }

    fn versions(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn cache_node<'a>(&'a self, _: Value) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn describe(&self) -> Value {
        json!([])
    }
}

/// Commands that no Ironic sends, for the paths that ours do not take.
static PROBE: Extension = Extension {
    name: "probe",
    commands: &[
        CommandSpec::new("block", Kind::Sync, |call| {
            Box::pin(async move { call.agent.managers().dispatch(&call.call, "acme_block", json!({})).await })
        }),
        CommandSpec::new("text", Kind::Sync, |_| Box::pin(async { Ok(json!("hello")) })),
        CommandSpec::new("async_text", Kind::Async, |_| Box::pin(async { Ok(json!("hello")) })),
        CommandSpec::new("panic", Kind::Sync, |_| Box::pin(async { panic!("a defect") })),
        CommandSpec::new("async_panic", Kind::Async, |_| Box::pin(async { panic!("a defect") })),
        CommandSpec::new("fail", Kind::Sync, |_| Box::pin(async { Err(HwError::clock_sync("no time")) })),
        CommandSpec::new("refuse", Kind::Sync, |_| Box::pin(async { Err(HwError::invalid_command_params("odd")) })),
        CommandSpec::new("foreign", Kind::Sync, |_| Box::pin(async { Err(HwError::other("KeyError", "'x'")) })),
    ],
};

/// A place where there is nothing: no test reaches the machine's own programs and files by accident.
const NOWHERE: &str = "/nonexistent";

/// An agent with the fake managers, and these.
pub(crate) fn agent_and_managers(settings: Settings) -> (Arc<Agent>, Arc<FakeManagers>) {
    agent_on(settings, NOWHERE)
}

/// An agent with the fake managers, and these, for which the programs in `path` are installed.
pub(crate) fn agent_on(mut settings: Settings, path: &str) -> (Arc<Agent>, Arc<FakeManagers>) {
    if settings.root == Root::default() {
        settings.root = Root::at(NOWHERE);
    }
    let managers = Arc::new(FakeManagers::default());
    let runner = Runner::with_shim(Spawner::start().unwrap(), Vec::new()).with_path(path);
    let extensions = Box::leak([extensions::ALL, &[&PROBE]].concat().into_boxed_slice());
    let logging = Logging::to(std::io::sink, true);
    (Agent::with_extensions(settings, managers.clone(), runner, logging, extensions), managers)
}

/// An agent with the fake managers.
pub(crate) fn agent_with(settings: Settings) -> Arc<Agent> {
    agent_and_managers(settings).0
}
