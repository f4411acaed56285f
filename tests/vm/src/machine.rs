//! The hardware.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Doing, Outcome};
use serde_json::json;
use tempfile::TempDir;

use crate::arguments::{Arguments, listed};
use crate::balloon;
use crate::boot::Boot;
use crate::disk::{Bus, Cd, Disk};
use crate::firmware::{Acceleration, Firmware};
use crate::guest::Guest;
use crate::nic::{self, Nic};
use crate::platform::Platform;
use crate::smbios::Smbios;

/// A machine, off. Its disks and its firmware's variables stay as the last boot left them.
#[derive(Debug)]
pub struct Machine {
    name: String,
    arch: &'static Arch,
    firmware: Firmware,
    acceleration: Acceleration,
    memory_mib: u32,
    cpus: u32,
    disks: Vec<Disk>,
    nics: Vec<Nic>,
    cds: Vec<Cd>,
    smbios: Smbios,
    has_balloon: bool,
    /// The port of the loopback interface here that leads to the agent.
    port: u16,
    home: Arc<TempDir>,
}

impl Machine {
    /// An x86_64 machine with two processors, without disks and network. Errors call it by this name.
    ///
    /// # Errors
    /// There is no place for its files, or no free port.
    pub fn new(name: &str, firmware: Firmware, memory_mib: u32) -> Outcome<Self> {
        let home = tempfile::Builder::new().prefix("ipa-vm-").tempdir().doing("making a directory for a guest")?;
        Ok(Self {
            name: name.to_owned(),
            arch: Arch::named("amd64")?,
            firmware,
            acceleration: Acceleration::None,
            memory_mib,
            cpus: 2,
            disks: Vec::new(),
            nics: Vec::new(),
            cds: Vec::new(),
            smbios: Smbios::default(),
            has_balloon: false,
            port: nic::free_port()?,
            home: Arc::new(home),
        })
    }

    /// Makes it a machine of another architecture.
    #[must_use]
    pub fn arch(self, arch: &'static Arch) -> Self {
        Self { arch, ..self }
    }

    /// Sets the number of processors.
    #[must_use]
    pub fn cpus(self, cpus: u32) -> Self {
        Self { cpus, ..self }
    }

    /// Chooses what executes it.
    #[must_use]
    pub fn acceleration(self, acceleration: Acceleration) -> Self {
        Self { acceleration, ..self }
    }

    /// Adds a disk; its name for faults is `disk0`, `disk1` and so on.
    ///
    /// # Errors
    /// Its file cannot be made.
    pub fn disk(mut self, disk: Disk) -> Outcome<Self> {
        if let Some(bytes) = disk.empty_bytes() {
            let path = self.disk_file(self.disks.len());
            let file = File::create(&path).doing(format_args!("making {}", path.display()))?;
            file.set_len(bytes).doing(format_args!("making {} {bytes} bytes long", path.display()))?;
        }
        self.disks.push(disk);
        Ok(self)
    }

    /// Adds a network interface; its name for faults is `nic0`, `nic1` and so on. The agent is reached through the
    /// first.
    #[must_use]
    pub fn nic(mut self, nic: Nic) -> Self {
        self.nics.push(nic);
        self
    }

    /// Adds a drive with a CD; its name is `cd0`, `cd1` and so on. Firmware does not boot from it.
    #[must_use]
    pub fn cd(mut self, cd: Cd) -> Self {
        self.cds.push(cd);
        self
    }

    /// Replaces what the firmware says about it.
    #[must_use]
    pub fn smbios(self, smbios: Smbios) -> Self {
        Self { smbios, ..self }
    }

    /// Has it tell how much memory is used, for [`Guest::used_memory`].
    #[must_use]
    pub fn balloon(self) -> Self {
        Self { has_balloon: true, ..self }
    }

    /// The port of this machine's loopback interface that leads to the agent's port.
    pub fn agent_port(&self) -> u16 {
        self.port
    }

    /// The raw content of an empty disk that was added, by its place in the order. To be read when the machine is off.
    pub fn disk_file(&self, index: usize) -> PathBuf {
        self.home.path().join(disk_id(index))
    }

    /// Switches it on. One boot at a time: they share its disks.
    ///
    /// # Errors
    /// QEMU or the firmware is missing, or QEMU refuses something.
    pub fn power_on(&self, boot: &Boot) -> Outcome<Guest> {
        let platform = Platform::of(self.arch);
        self.firmware.prepare(platform, self.home.path())?;
        let arguments = self.arguments(boot, platform, self.home.path())?;
        Guest::start(&self.name, platform.qemu, arguments, self.home.clone(), self.port)
    }

    fn arguments(&self, boot: &Boot, platform: &Platform, home: &Path) -> Outcome<Arguments> {
        let mut arguments = Arguments::default();
        arguments.option("-name", listed(&self.name));
        arguments.option("-machine", platform.machine);
        self.acceleration.add_to(&mut arguments, self.arch);
        arguments.option("-m", self.memory_mib.to_string());
        arguments.option("-smp", self.cpus.to_string());
        // Nothing that the user of this machine has configured, no display, no floppy, no second CD.
        for flag in ["-no-user-config", "-nodefaults"] {
            arguments.flag(flag);
        }
        arguments.option("-display", "none");
        self.firmware.add_to(&mut arguments, platform, home);
        self.smbios.add_to(&mut arguments);
        if self.disks.iter().any(|disk| disk.bus() == Bus::Scsi) {
            arguments.device(&json!({"driver": "virtio-scsi-pci", "id": "scsi"}));
        }
        if !platform.has_sata && self.disks.iter().any(|disk| disk.bus() == Bus::Sata) {
            // Its buses are called as those of the board that has one.
            arguments.device(&json!({"driver": "ahci", "id": "ide"}));
        }
        let usb_cd = platform.cds_are_usb && (boot.is_cd() || !self.cds.is_empty());
        if usb_cd || boot.is_stick() || self.disks.iter().any(|disk| disk.bus() == Bus::Usb) {
            arguments.device(&json!({"driver": "qemu-xhci", "id": "usb"}));
        }
        boot.add_to(&mut arguments, platform, home)?;
        for (index, disk) in self.disks.iter().enumerate() {
            let rank = (index == 0 && boot.is_disk()).then_some(1);
            disk.add_to(&mut arguments, &disk_id(index), &self.disk_file(index), rank);
        }
        for (index, cd) in self.cds.iter().enumerate() {
            cd.add_to(&mut arguments, platform, &format!("cd{index}"), None);
        }
        if self.has_balloon {
            balloon::add_to(&mut arguments);
        }
        for (index, nic) in self.nics.iter().enumerate() {
            nic.add_to(&mut arguments, index, (index == 0).then_some(self.port));
        }
        Ok(arguments)
    }
}

fn disk_id(index: usize) -> String {
    format!("disk{index}")
}
