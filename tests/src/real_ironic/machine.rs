//! The machine behind a node: an agent on this machine, with network interfaces of its own in its inventory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Ironic, Node};
use crate::host::Builder;
use crate::{Host, PluginDir, artifacts};

/// Tag of the puppet that gives the machine its network interfaces and its steps.
const PUPPET: &str = "node";
/// Longest time until a program is called: the disks are flushed first.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether it was.
const LOOK: Duration = Duration::from_millis(100);

/// What an agent is started with.
#[derive(Debug)]
pub struct Machine {
    plugins: PluginDir,
    puppet: serde_json::Map<String, Value>,
    kernel_line: String,
    port: u16,
    flags: Vec<String>,
}

impl Machine {
    /// The machine of a node, at a moment when Ironic has it boot a ramdisk. Its managers are the generic one, the
    /// example `acme`, and a puppet of the class `Puppetnode` that reports the node's MAC address and does what the test
    /// says.
    pub fn of(node: &Node) -> Self {
        let interfaces = json!([interface("eno1", node.mac())]);
        let machine = Self {
            plugins: PluginDir::with_acme().with(&artifacts::plugin("ipa-generic")),
            puppet: serde_json::Map::new(),
            kernel_line: node.kernel_line(),
            port: 0,
            flags: Vec::new(),
        };
        machine.with_interfaces(&interfaces)
    }

    /// Replaces its network interfaces.
    #[must_use]
    pub fn with_interfaces(self, interfaces: &Value) -> Self {
        self.does("list_network_interfaces", json!({"value": interfaces}))
            .does("list_hardware_info", json!({"amend": {"interfaces": interfaces}}))
    }

    /// Has the puppet do this when the method is called, or sets another key of its section.
    #[must_use]
    pub fn does(mut self, method: &str, what: Value) -> Self {
        self.puppet.insert(method.to_owned(), what);
        self
    }

    /// Adds one more manager, as a newer ramdisk may have.
    #[must_use]
    pub fn with_another_manager(self) -> Self {
        Self { plugins: self.plugins.with_puppet("more", &json!({})), ..self }
    }

    /// Has the agent listen on this port.
    #[must_use]
    pub fn listens_on(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Adds a flag of the agent.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// A directory of its own for what else the test and the agent write.
    pub fn home(&self) -> &Path {
        self.plugins.home()
    }

    /// Where a file of its `/etc` lies.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.home().join("etc").join(name)
    }

    /// What it asks of the programs that end a machine's run or set its clock.
    pub fn asked(&self) -> Asked {
        Asked(self.home().join("asked"))
    }

    /// Boots it: the agent starts, and all that it knows of Ironic is the kernel line, and whose certificates to trust.
    pub fn boot(self) -> Host {
        let ironic = Ironic::shared();
        let home = self.home().to_owned();
        let plugins = self.plugins.with_puppet(PUPPET, &Value::Object(self.puppet));
        fs::write(home.join("cmdline"), self.kernel_line).expect("our own directory");
        let builder: Builder = Host::with(plugins)
            .for_ironic()
            .with_own_files(&home)
            .port(self.port)
            .flag("--cafile")
            .flag(&ironic.authority().display().to_string());
        self.flags.iter().fold(builder, |builder, flag| builder.flag(flag)).launch()
    }
}

/// The calls of programs that end a machine's run or set its clock. None of them does anything.
#[derive(Debug)]
pub struct Asked(PathBuf);

impl Asked {
    /// Waits until a program was called and gives the call's words.
    ///
    /// # Panics
    /// It is not called in time.
    pub async fn call(&self, program: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let calls = fs::read_to_string(&self.0).unwrap_or_default();
            if let Some(call) = calls.lines().find(|call| call.split(' ').next() == Some(program)) {
                return call.trim_end().to_owned();
            }
            assert!(Instant::now() < end, "{program} was not called within {PATIENCE:?}; called were:\n{calls}");
            sleep(LOOK).await;
        }
    }
}

/// A network interface that is up, with an address that belongs to nobody: of a loopback one nobody makes a port.
pub fn interface(name: &str, mac: &str) -> Value {
    json!({"name": name, "mac_address": mac, "ipv4_address": "192.0.2.10", "has_carrier": true})
}
