//! Ironic's power over a guest.
//!
//! Ironic's pretended power changes nothing but its own record. This watches the record and does with the guest what a
//! BMC would: on and off, and at each power on the firmware boots what Ironic has put up for the machine's MAC address.

use std::path::PathBuf;
use std::time::Duration;

use ipa_vm::{Boot, Guest, Machine};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ramdisk::{self, Turn};
use crate::real_ironic::Node;

/// Between two looks at the record.
const LOOK: Duration = Duration::from_millis(200);

/// A machine in Ironic's hands. What its guest last printed is shown if the test fails.
#[derive(Debug)]
pub struct PowerButton {
    node: Node,
    machine: Machine,
    segments: Vec<PathBuf>,
    guest: Option<Guest>,
    /// When Ironic last changed the power, and to what.
    seen: Option<(String, String)>,
    boots: u32,
    _turn: Turn,
}

impl PowerButton {
    /// The machine of a node. Its ramdisk is the agent's with these archives behind it.
    pub async fn of(node: &Node, machine: Machine, segments: &[PathBuf]) -> Self {
        let turn = Turn::take();
        let port = machine.agent_port();
        // Ironic reaches the guest by a port that is forwarded to it.
        let words = format!("%default% console=ttyS0 ipa-advertise-host=127.0.0.1 ipa-advertise-port={port}");
        node.set("/driver_info/kernel_append_params", json!(words)).await;
        let (node, segments) = (node.clone(), segments.to_vec());
        Self { node, machine, segments, guest: None, seen: None, boots: 0, _turn: turn }
    }

    /// How often the machine was booted so far.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// All that the guest of the last boot has printed.
    pub fn console(&self) -> String {
        self.guest.as_ref().map(|guest| guest.console().text()).unwrap_or_default()
    }

    /// Does what Ironic wants until the node is in this state, with nobody at work on it.
    ///
    /// # Panics
    /// It does not get there in time, ends in a state of failure, or the guest does not start.
    pub async fn until(&mut self, state: &str) -> Value {
        let node = self.node.clone();
        tokio::select! {
            reached = node.reaches(state) => reached,
            () = self.obey() => unreachable!("it never ends"),
        }
    }

    async fn obey(&mut self) {
        loop {
            let node = self.node.show().await;
            let stamp = &node["driver_internal_info"]["last_power_state_change"];
            let now = (stamp.to_string(), node["power_state"].to_string());
            if !stamp.is_null() && node["target_power_state"].is_null() && self.seen.as_ref() != Some(&now) {
                self.seen = Some(now);
                self.guest = None;
                if node["power_state"] == "power on" {
                    self.boot();
                }
            }
            sleep(LOOK).await;
        }
    }

    fn boot(&mut self) {
        // Whoever is offered nothing by the network boots from disk, and there is nothing on it.
        let Some(line) = self.node.kernel_line_in_a_guest() else { return };
        let kernel = self.segments.iter().fold(ramdisk::kernel(&line), |kernel, file| kernel.segment(file));
        let guest = self.machine.power_on(&Boot::Kernel(kernel)).unwrap_or_else(|failure| panic!("{failure}"));
        self.guest = Some(guest);
        self.boots += 1;
    }
}

impl Drop for PowerButton {
    fn drop(&mut self) {
        if let (true, Some(guest)) = (std::thread::panicking(), &self.guest) {
            eprintln!("{}", guest.failure("it was on when the test failed"));
        }
    }
}
