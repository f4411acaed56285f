//! A node that is enrolled in Ironic.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{AgentApi, Ironic};

/// Longest time that a node may take to get from one state to another.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(200);
/// The states that end whatever was going on.
const FAILED: [&str; 7] =
    ["clean failed", "deploy failed", "error", "inspect failed", "rescue failed", "service failed", "unrescue failed"];

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    ironic: &'static Ironic,
    uuid: String,
    mac: String,
    patience: Duration,
}

impl Node {
    /// A new node with one port, in the state `manageable`.
    pub async fn manageable() -> Self {
        let ironic = Ironic::shared();
        let (kernel, ramdisk) = (ironic.ramdisk_file("kernel"), ironic.ramdisk_file("initrd"));
        let driver_info = json!({
            "deploy_kernel": kernel, "deploy_ramdisk": ramdisk, "rescue_kernel": kernel, "rescue_ramdisk": ramdisk,
        });
        let node = json!({
            "driver": "fake-hardware", "boot_interface": "ipxe", "management_interface": "noop",
            "power_interface": "fake",
        });
        Self::enrol(ironic, node, &driver_info, free_mac()).await
    }

    /// A new node whose BMC speaks Redfish, and which boots from virtual media that Ironic makes, in the state
    /// `manageable`; `driver_info` says how the BMC is reached, and what goes on the media.
    pub async fn with_virtual_media(driver_info: &Value, mac: &str) -> Self {
        let node = json!({
            "driver": "redfish", "boot_interface": "redfish-virtual-media", "management_interface": "redfish",
            "power_interface": "redfish",
        });
        Self::enrol(Ironic::shared(), node, driver_info, mac.to_owned()).await
    }

    async fn enrol(ironic: &'static Ironic, mut node: Value, driver_info: &Value, mac: String) -> Self {
        node["driver_info"] = driver_info.clone();
        node["resource_class"] = "baremetal".into();
        for (kind, implementation) in [
            ("bios", "no-bios"),
            ("deploy", "custom-agent"),
            ("inspect", "agent"),
            ("raid", "agent"),
            ("rescue", "agent"),
        ] {
            node[format!("{kind}_interface")] = implementation.into();
        }
        let node = ironic.api().post("/v1/nodes", &node).await;
        let uuid = node["uuid"].as_str().expect("a node has a UUID").to_owned();
        ironic.api().post("/v1/ports", &json!({"node_uuid": uuid, "address": mac})).await;
        let node = Self { ironic, uuid, mac, patience: PATIENCE };
        node.provision("manage", json!({})).await;
        node.reaches("manageable").await;
        node
    }

    /// Lets it take this long from one state to another, as a machine that boots does.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// A new node that was not cleaned, in the state `available`.
    pub async fn available() -> Self {
        let node = Self::manageable().await;
        node.set("/automated_clean", json!(false)).await;
        node.provision("provide", json!({})).await;
        node.reaches("available").await;
        node
    }

    /// A new node that runs an instance, in the state `active`.
    pub async fn active() -> Self {
        let node = Self::manageable().await;
        node.provision("adopt", json!({})).await;
        node.reaches("active").await;
        node
    }

    /// The MAC address of its port.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// The node as it is now.
    pub async fn show(&self) -> Value {
        self.ironic.api().get(&format!("/v1/nodes/{}", self.uuid)).await
    }

    /// What is below the node, for example `inventory` or `ports`.
    pub async fn part(&self, name: &str) -> Value {
        self.ironic.api().get(&format!("/v1/nodes/{}/{name}", self.uuid)).await
    }

    /// Asks for another state; `with` adds to the request, for example clean steps.
    pub async fn provision(&self, target: &str, with: Value) {
        let mut body = json!({"target": target});
        body.as_object_mut().expect("an object").extend(with.as_object().expect("an object").clone());
        self.ironic.api().put(&format!("/v1/nodes/{}/states/provision", self.uuid), &body).await;
    }

    /// Sets a field.
    pub async fn set(&self, path: &str, value: Value) {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        self.ironic.api().patch(&format!("/v1/nodes/{}", self.uuid), &patch).await;
    }

    /// What a ramdisk learns that looks it up, the agent token included: Ironic tells each token once.
    pub async fn look_up(&self) -> Value {
        self.ironic.api().get(&format!("/v1/lookup?addresses={}", self.mac)).await
    }

    /// The names of the archives with the agent's logs that Ironic keeps.
    pub fn logs(&self) -> Vec<String> {
        self.ironic.logs_of(&self.uuid)
    }

    /// A client of the agent that trusts what Ironic trusts.
    pub async fn agent(&self) -> AgentApi {
        let node = self.show().await;
        let url = node["driver_internal_info"]["agent_url"].as_str().expect("the agent has sent a heartbeat");
        AgentApi::new(url, self.ironic.certificate_of(&self.uuid))
    }

    /// The kernel line that Ironic has the machine boot its ramdisk with.
    ///
    /// # Panics
    /// Ironic has it boot nothing.
    pub fn kernel_line(&self) -> String {
        let script = self.ironic.ipxe_script(&self.uuid);
        kernel_line(&script, &self.mac).unwrap_or_else(|| panic!("no ramdisk is booted by this script:\n{script}"))
    }

    /// As [`kernel_line`](Self::kernel_line), but for a virtual machine of QEMU, which sees the loopback interface as
    /// another host; none if Ironic has it boot nothing.
    pub fn kernel_line_in_a_guest(&self) -> Option<String> {
        let line = kernel_line(&self.ironic.ipxe_script(&self.uuid), &self.mac)?;
        Some(line.replace("https://127.0.0.1:", &format!("https://{}:", ipa_vm::HOST)))
    }

    /// Waits until it is in this state, with nobody at work on it, and gives it as it is then.
    ///
    /// # Panics
    /// It does not get there in time, or ends in a state of failure.
    pub async fn reaches(&self, state: &str) -> Value {
        self.until(state, |node| node["provision_state"] == state && node["reservation"].is_null()).await
    }

    /// As [`reaches`](Self::reaches), for a state of failure.
    pub async fn ends(&self, failed: &str) -> Value {
        let is_there = |node: &Value| node["provision_state"] == failed && node["reservation"].is_null();
        self.look_until(failed, &[failed], is_there).await
    }

    /// Waits until `fits` is true of the node, and gives it as it is then; `what` says what is waited for.
    ///
    /// # Panics
    /// As [`reaches`](Self::reaches).
    pub async fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.look_until(what, &[], fits).await
    }

    async fn look_until(&self, what: &str, wanted: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + self.patience;
        loop {
            let node = self.show().await;
            if fits(&node) {
                return node;
            }
            let state = node["provision_state"].as_str().unwrap_or_default();
            let has_failed = FAILED.contains(&state) && !wanted.contains(&state);
            if has_failed || Instant::now() >= end {
                let log = self.ironic.log_tail();
                panic!("waiting for {what}: the node is {state}: {}\n{node:#}\n{log}", node["last_error"]);
            }
            sleep(LOOK).await;
        }
    }
}

/// What an iPXE script gives the kernel in the section that it goes to.
fn kernel_line(script: &str, mac: &str) -> Option<String> {
    let target = script.lines().find_map(|line| line.strip_prefix("goto "))?;
    let mut section = script.lines().skip_while(|line| line.strip_prefix(':') != Some(target));
    let (_url, words) = section.find_map(|line| line.strip_prefix("kernel "))?.split_once(' ')?;
    Some(words.split(" || ").next()?.replace("${mac}", mac))
}

/// An address that no other node has, of those that anybody may use.
fn free_mac() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("52:54:00:1b:{high:02x}:{low:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_line_is_that_of_the_section_that_is_booted() {
        let script = "#!ipxe\nset i:int32 0\n\ngoto deploy\n\n:other\nkernel no_kernel text || goto other\n\n:deploy\n\
            imgfree\nkernel http://a/kernel text ipa-api-url=https://a BOOTIF=${mac} initrd=b || goto retry\nboot\n";
        let line = kernel_line(script, "52:54:00:00:00:01");
        assert_eq!(line.as_deref(), Some("text ipa-api-url=https://a BOOTIF=52:54:00:00:00:01 initrd=b"));
        assert_eq!(kernel_line("#!ipxe\nexit\n", ""), None);
    }
}
