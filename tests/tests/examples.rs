//! The examples that vendors start from, in the real host.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ipa_tests::client::step_params;
use ipa_tests::{Host, PluginDir, artifacts};
use serde_json::json;

const UPGRADE: &str = "upgrade_example_device_model1234_firmware";

#[tokio::test]
async fn minimal() {
    let host = Host::with(PluginDir::with_acme()).start();
    let listed = host.client().clean_steps().await;
    assert_eq!(listed["hardware_manager_version"], json!({"acme": "1.0.0"}));
    assert_eq!(
        listed["clean_steps"],
        json!({"Acme": [{"step": "acme_erase_cache", "priority": 40, "interface": "deploy",
                         "reboot_requested": false, "abortable": true}]})
    );
    host.assert_well().await;
    host.log_line(&["erasing", "controller=0", "acme"]);
}

/// A machine with one device: sysfs, a firmware image, and a vendor tool that does what `script` says.
fn with_device(script: &str) -> Host {
    let plugins = PluginDir::with_acme().with(&artifacts::plugin("ipa-example-vendor-device"));
    let home = plugins.home().to_owned();
    let device = home.join("sys/bus/pci/devices/0000:3b:00.0");
    fs::create_dir_all(&device).expect("our own directory");
    for (name, text) in [("vendor", "0xe1e1\n"), ("device", "0x1234\n"), ("firmware_version", "2.3.0\n")] {
        fs::write(device.join(name), text).expect("our own directory");
    }
    fs::write(home.join("model1234-2.4.0.bin"), "image").expect("our own directory");
    let tool = home.join("examplectl");
    fs::write(&tool, script).expect("our own directory");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("our own file");
    let config = format!(
        "[plugin:example_device]\nsysfs = {0}/sys\nfirmware_dir = {0}\ntool = {0}/examplectl\ntarget_version = 2.4.0\n",
        home.display()
    );
    Host::with(plugins.with_config(&config)).start()
}

/// From the step list over the tool's own lines to the value that Ironic keeps.
#[tokio::test]
async fn vendor_device_upgrades_its_firmware() {
    let host = with_device("#!/bin/sh\necho Erasing\necho 'Writing: 100%'\n");
    let listed = host.client().clean_steps().await;
    let step = &listed["clean_steps"]["ExampleDeviceHardwareManager"][0];
    assert_eq!((&step["step"], &step["reboot_requested"]), (&json!(UPGRADE), &json!(true)), "{listed}");
    assert!(step["argsinfo"]["version"]["description"].is_string(), "{listed}");
    assert!(step.get("deadline_s").is_none(), "the deadline is between plugin and host: {step}");
    let value = host.client().clean_value(UPGRADE).await;
    assert_eq!(value, json!({"0000:3b:00.0": "2.3.0 to 2.4.0, active after the reboot"}));
}

#[tokio::test]
async fn vendor_device_explains_a_failing_tool() {
    let host = with_device("#!/bin/sh\necho 'sector 12: write protected' >&2\nexit 3\n");
    let error = host.client().clean_error(UPGRADE).await;
    assert_eq!((&error["type"], &error["message"]), (&json!("CleaningError"), &json!("Clean step failed")));
    let details = error["details"].as_str().expect("a text");
    for part in ["0000:3b:00.0", "examplectl flash", "exited with 3", "sector 12: write protected"] {
        assert!(details.contains(part), "{part}: {details}");
    }
}

/// Arguments that the step does not take are refused before anything happens.
#[tokio::test]
async fn vendor_device_refuses_what_is_no_version() {
    let host = with_device("#!/bin/sh\nexit 0\n");
    let params = step_params(UPGRADE, json!({"version": "../../2.4.0"}));
    let result = host.client().run("clean.execute_clean_step", params).await;
    assert_eq!(result["command_status"], "FAILED", "{result}");
    assert!(result["command_error"]["details"].as_str().expect("a text").contains("no firmware version"), "{result}");
}

/// Without the device the manager ranks itself out: no step of it is offered.
#[tokio::test]
async fn vendor_device_is_silent_on_other_machines() {
    let plugins = PluginDir::with_acme().with(&artifacts::plugin("ipa-example-vendor-device"));
    let config = format!("[plugin:example_device]\nsysfs = {}\n", plugins.home().display());
    let host = Host::with(plugins.with_config(&config)).start();
    let listed = host.client().clean_steps().await;
    assert_eq!(listed["hardware_manager_version"], json!({"acme": "1.0.0"}));
}
