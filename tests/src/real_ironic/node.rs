//! A node that is enrolled in Ironic.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::Ironic;

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
}

impl Node {
    /// A new node with one port, in the state `manageable`.
    pub async fn manageable() -> Self {
        let ironic = Ironic::shared();
        let mac = free_mac();
        let node = json!({
            "driver": "fake-hardware",
            "resource_class": "baremetal",
            "bios_interface": "no-bios",
            "boot_interface": "fake",
            "deploy_interface": "custom-agent",
            "inspect_interface": "agent",
            "management_interface": "noop",
            "power_interface": "fake",
            "raid_interface": "agent",
            "rescue_interface": "agent",
        });
        let node = ironic.api().post("/v1/nodes", &node).await;
        let uuid = node["uuid"].as_str().expect("a node has a UUID").to_owned();
        ironic.api().post("/v1/ports", &json!({"node_uuid": uuid, "address": mac})).await;
        let node = Self { ironic, uuid, mac };
        node.provision("manage", json!({})).await;
        node.reaches("manageable").await;
        node
    }

    /// Its UUID.
    pub fn uuid(&self) -> &str {
        &self.uuid
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

    /// Waits until it is in this state, with nobody at work on it, and gives it as it is then.
    ///
    /// # Panics
    /// It does not get there in time, or ends in a state of failure.
    pub async fn reaches(&self, state: &str) -> Value {
        self.until(state, |node| node["provision_state"] == state && node["reservation"].is_null()).await
    }

    /// Waits until `fits` is true of the node, and gives it as it is then; `what` says what is waited for.
    ///
    /// # Panics
    /// As [`reaches`](Self::reaches).
    pub async fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let node = self.show().await;
            if fits(&node) {
                return node;
            }
            let state = node["provision_state"].as_str().unwrap_or_default();
            if FAILED.contains(&state) || Instant::now() >= end {
                let log = self.ironic.log_tail();
                panic!("waiting for {what}: the node is {state}: {}\n{node:#}\n{log}", node["last_error"]);
            }
            sleep(LOOK).await;
        }
    }
}

/// An address that no other node has, of those that anybody may use.
fn free_mac() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("52:54:00:1b:{high:02x}:{low:02x}")
}
