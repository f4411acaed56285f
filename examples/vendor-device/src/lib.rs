//! A hardware manager for one vendor's device: it finds the device, and upgrades its firmware while Ironic cleans the
//! machine. Copy this folder to start a plugin of your own.
//!
//! # What to look at
//!
//! * [`ExampleDevice`] is the manager: what Ironic sees of it stands in `export_manager!` at the end of this file.
//! * [`device`] finds devices in sysfs. Presence is support: without a device the manager ranks itself out, and the
//!   agent never asks it again.
//! * [`firmware`] compares versions and runs the vendor's tool.
//! * `tests/manager.rs` runs all of it against a fake host and a directory that looks like sysfs. No device is needed.
//!
//! # Configuration
//!
//! ```ini
//! [plugin:example_device]
//! # Where the images are, model1234-VERSION.bin
//! firmware_dir = /usr/share/example-device
//! # What every device should run
//! target_version = 2.4.0
//! ```
//!
//! # Four habits worth copying
//!
//! * **Step names are unique in the world.** Ironic calls a step by its name, and the highest ranked manager that has
//!   it answers. `upgrade_firmware` would be a bad name.
//! * **A step that has nothing to do does nothing.** Cleaning runs after every tenant; flash memory does not survive a
//!   rewrite each time.
//! * **The version is raised with every change** of what the steps do. If it changes while Ironic cleans a machine,
//!   Ironic starts cleaning again, so that no machine is cleaned half by the old and half by the new code.
//! * **Errors name the device, what was tried and what came of it.** The text reaches the operator as the node's
//!   `last_error`, often without any log beside it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod device;
pub mod firmware;

use std::path::PathBuf;

use ipa_plugin_api::prelude::*;

use crate::device::Device;
use crate::firmware::Version;

/// The section `[plugin:example_device]` of the agent's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where sysfs is mounted. Tests set it.
    pub sysfs: PathBuf,
    /// Where the firmware images are.
    pub firmware_dir: PathBuf,
    /// The vendor's tool: a path, or a name that is searched for in `PATH`.
    pub tool: String,
    /// The version that every device should run; none to upgrade only when the step names one.
    pub target_version: Option<Version>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sysfs: "/sys".into(),
            firmware_dir: "/usr/share/example-device".into(),
            tool: "examplectl".to_owned(),
            target_version: None,
        }
    }
}

/// What an operator may give to the firmware step.
#[derive(Debug, Deserialize)]
struct UpgradeArgs {
    version: Option<Version>,
    #[serde(default)]
    force: bool,
}

/// The manager.
#[derive(Debug)]
pub struct ExampleDevice {
    settings: Settings,
}

impl HardwareManager for ExampleDevice {
    /// Reads the configuration and touches no hardware. An unknown key is an error: a typing error in it should not
    /// pass for a default.
    fn new(config: &Value) -> HwResult<Self> {
        let settings = Settings::deserialize(config)
            .map_err(|error| HwError::configuration(format!("section [plugin:example_device]: {error}")))?;
        Ok(Self { settings })
    }

    /// Runs once, before the agent looks for Ironic, so it must be quick.
    fn evaluate_hardware_support(&self, cx: &Cx<'_>) -> HwResult<Support> {
        let devices = device::find(&self.settings.sysfs)?;
        cx.log(Level::Debug, "looked for example devices", &[("found", &devices.len())]);
        Ok(if devices.is_empty() { Support::NONE } else { Support::SERVICE_PROVIDER })
    }

    /// What support wants to see goes with the logs that Ironic keeps of a failed deployment.
    fn collect_system_logs(&self, cx: &Cx<'_>) -> HwResult<()> {
        for device in device::find(&self.settings.sysfs)? {
            cx.attach_log(
                &format!("example-device-{}", device.address),
                &firmware::report(cx, &self.settings.tool, &device)?,
            )?;
        }
        Ok(())
    }
}

impl ExampleDevice {
    /// The step: brings every device to one version. Its value is shown in the agent's result: what was done, by
    /// device.
    fn upgrade_firmware(&self, cx: &Cx<'_>, step: StepArgs<UpgradeArgs>) -> HwResult<Value> {
        let UpgradeArgs { version, force } = step.args;
        let target = version.or_else(|| self.settings.target_version.clone()).ok_or_else(|| {
            HwError::invalid_command_params(
                "upgrade_example_device_model1234_firmware: no version to upgrade to; give the step the argument \
                 version, or set target_version in section [plugin:example_device]",
            )
        })?;
        let devices = device::find(&self.settings.sysfs)?;
        if devices.is_empty() {
            // It was there when the agent started.
            return Err(HwError::cleaning("the example device is gone from the PCI bus; reseat or replace it"));
        }
        let mut done = serde_json::Map::new();
        for (index, device) in devices.iter().enumerate() {
            let progress = |percent: u8| cx.progress(share(index, devices.len(), percent), &device.address);
            progress(0);
            let outcome = self.upgrade(cx, device, &target, force, &progress)?;
            done.insert(device.address.clone(), outcome.into());
        }
        cx.progress(100, "done");
        Ok(Value::Object(done))
    }

    fn upgrade(
        &self,
        cx: &Cx<'_>,
        device: &Device,
        target: &Version,
        force: bool,
        progress: &dyn Fn(u8),
    ) -> HwResult<String> {
        let current = device.firmware_version()?;
        if current == *target && !force {
            cx.log(Level::Info, "firmware is up to date", &[("device", &device.address), ("version", target)]);
            return Ok(format!("{current} already"));
        }
        cx.log(Level::Info, "flashing", &[("device", &device.address), ("from", &current), ("to", target)]);
        let image = firmware::image(&self.settings.firmware_dir, target)?;
        firmware::flash(cx, &self.settings.tool, device, &image, progress)?;
        Ok(format!("{current} to {target}, active after the reboot"))
    }
}

/// Percent of the whole when device `index` of `count` is at `percent`.
fn share(index: usize, count: usize, percent: u8) -> u8 {
    let whole = (index * 100 + usize::from(percent.min(100))) / count.max(1);
    u8::try_from(whole).unwrap_or(100)
}

export_manager! {
    ExampleDevice, name = "example_device", version = env!("CARGO_PKG_VERSION"),
    class_name = "ExampleDeviceHardwareManager", tools = ["examplectl"],
    methods { collect_system_logs }
    clean_steps {
        // A flash must not be cut short, so it cannot be aborted, and the deadline is far beyond what it takes.
        upgrade_example_device_model1234_firmware => ExampleDevice::upgrade_firmware,
            priority = 37, reboot_requested = true, abortable = false, deadline_s = 3600,
            args = &[
                ArgSpec::optional("version", "Firmware version, target_version of the configuration if not given"),
                ArgSpec::optional("force", "True to flash a device that runs this version already"),
            ];
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn progress_is_shared_among_the_devices() {
        assert_eq!([share(0, 1, 40), share(0, 2, 100), share(1, 2, 50), share(2, 3, 100)], [40, 50, 75, 100]);
        assert_eq!(share(0, 1, 250), 100, "a tool may count beyond 100");
    }
}
