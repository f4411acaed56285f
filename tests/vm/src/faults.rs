//! What happens to hardware that is in use.

use std::time::Duration;

use ipa_imagebuild::failure::Outcome;
use serde_json::{Value, json};

use crate::disk;
use crate::guest::Guest;

/// `EIO`.
const INPUT_OUTPUT_ERROR: u32 = 5;

impl Guest {
    /// Pulls a device, for example `disk1` or `nic0`, and waits until the guest has let go of it. A guest that does not
    /// run a kernel never does; SATA disks cannot be pulled.
    ///
    /// # Errors
    /// There is no such device, or the guest holds it.
    pub fn pull(&self, device: &str, within: Duration) -> Outcome {
        let from = self.qmp().events().next();
        self.qmp().run("device_del", &json!({ "id": device }))?;
        let is_gone = |event: &Value| event["event"] == "DEVICE_DELETED" && event["data"]["device"] == device;
        self.event(&format!("the guest to let go of {device}"), from, within, is_gone)
    }

    /// Puts a disk into the slot from which one was pulled, for example `disk1`: another one on virtio, with this serial
    /// number and the same content.
    ///
    /// # Errors
    /// There is no such slot, or it is taken.
    pub fn plug(&self, slot: &str, serial: &str) -> Outcome {
        let device = json!({
            "driver": "virtio-blk-pci", "id": slot, "bus": format!("slot-{slot}"), "serial": serial,
            "drive": disk::top(slot),
        });
        self.qmp().run("device_add", &device).map(drop)
    }

    /// Pulls the cable of an interface, for example `nic1`, or puts it in again.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn set_link(&self, nic: &str, up: bool) -> Outcome {
        self.qmp().run("set_link", &json!({"name": nic, "up": up})).map(drop)
    }

    /// Takes the CD out of a drive, for example `cd0`, or `boot` for the one that was booted from, even if the guest has
    /// locked the drive.
    ///
    /// # Errors
    /// There is no such drive.
    pub fn eject(&self, cd: &str) -> Outcome {
        self.qmp().run("eject", &json!({"id": cd, "force": true})).map(drop)
    }

    /// Has every later read and write of a disk fail with an input/output error.
    ///
    /// # Errors
    /// There is no such disk, or it is broken already.
    pub fn break_disk(&self, disk: &str) -> Outcome {
        let fault = format!("{disk}-fault");
        let errors: Vec<_> = ["read_aio", "write_aio"]
            .iter()
            .map(|event| json!({"event": event, "errno": INPUT_OUTPUT_ERROR, "once": false, "immediately": false}))
            .collect();
        self.qmp().run(
            "blockdev-add",
            &json!({"driver": "blkdebug", "node-name": fault, "image": disk::bottom(disk), "inject-error": errors}),
        )?;
        let broken = json!({"driver": "raw", "node-name": disk::top(disk), "file": fault});
        self.qmp().run("blockdev-reopen", &json!({"options": [broken]})).map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// QEMU is gone.
    pub fn press_reset(&self) -> Outcome {
        self.qmp().run("system_reset", &json!({})).map(drop)
    }
}
