//! The machine behind a node: an agent on this machine, with network interfaces of its own in its inventory.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Ironic, Node};
use crate::host::Builder;
use crate::{Host, PluginDir, artifacts};

/// Tag of the puppet that gives the machine its network interfaces and its steps.
const PUPPET: &str = "node";

/// What an agent is started with.
#[derive(Debug)]
pub struct Machine {
    plugins: PluginDir,
    puppet: serde_json::Map<String, Value>,
    port: u16,
    flags: Vec<String>,
}

impl Machine {
    /// The machine of a node. Its managers are the generic one, the example `acme`, and a puppet of the class
    /// `Puppetnode` that reports the node's MAC address and does what the test says.
    pub fn of(node: &Node) -> Self {
        let interfaces = json!([interface("eno1", node.mac())]);
        let machine =
            Self { plugins: PluginDir::with_acme(), puppet: serde_json::Map::new(), port: 0, flags: Vec::new() };
        machine.with_plugin(&artifacts::plugin("ipa-generic")).with_interfaces(&interfaces)
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

    /// Adds a plugin file.
    #[must_use]
    pub fn with_plugin(self, plugin: &Path) -> Self {
        Self { plugins: self.plugins.with(plugin), ..self }
    }

    /// Adds text to the configuration file.
    #[must_use]
    pub fn with_config(self, text: &str) -> Self {
        Self { plugins: self.plugins.with_config(text), ..self }
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

    /// Boots it: the agent starts, and is to look the node up at Ironic.
    pub fn boot(self) -> Host {
        let ironic = Ironic::shared();
        let home = self.home().to_owned();
        let plugins = self.plugins.with_puppet(PUPPET, &Value::Object(self.puppet));
        let own_files = artifacts::workspace().join("tests/src/real_ironic/own-files");
        let builder: Builder = Host::with(plugins)
            .with_ironic(ironic.url())
            .inside(&[own_files.as_os_str(), home.as_os_str()])
            .port(self.port)
            .flag("--cafile")
            .flag(&ironic.authority().display().to_string());
        self.flags.iter().fold(builder, |builder, flag| builder.flag(flag)).launch()
    }
}

/// A network interface that is up, with an address that belongs to nobody: of a loopback one nobody makes a port.
pub fn interface(name: &str, mac: &str) -> Value {
    json!({"name": name, "mac_address": mac, "ipv4_address": "192.0.2.10", "has_carrier": true})
}
