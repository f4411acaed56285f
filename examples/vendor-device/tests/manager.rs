//! The manager on a fake host, with a directory in the place of sysfs.

use std::fs;
use std::path::PathBuf;

use ipa_example_vendor_device::ExampleDevice;
use ipa_plugin_api::prelude::*;
use ipa_plugin_api::testing::{Bench, FakeHost, conformance, output};

const STEP: &str = "upgrade_example_device_model1234_firmware";

/// A machine: sysfs and the folder with firmware images.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir_all(machine.path("firmware")).expect("a new directory");
        machine.pci("0000:00:1f.0", "0x8086", "0x2918", None)
    }

    fn path(&self, part: &str) -> PathBuf {
        self.0.path().join(part)
    }

    /// Adds a device to the PCI bus. The form is that of Linux: one line an attribute, with a line feed.
    fn pci(self, address: &str, vendor: &str, device: &str, firmware: Option<&str>) -> Self {
        let folder = self.path("sys/bus/pci/devices").join(address);
        fs::create_dir_all(&folder).expect("a new directory");
        let write = |name: &str, text: &str| fs::write(folder.join(name), format!("{text}\n")).expect("a new file");
        write("vendor", vendor);
        write("device", device);
        if let Some(version) = firmware {
            write("firmware_version", version);
        }
        self
    }

    fn device(self, address: &str, firmware: &str) -> Self {
        self.pci(address, "0xe1e1", "0x1234", Some(firmware))
    }

    fn image(self, version: &str) -> Self {
        fs::write(self.path("firmware").join(format!("model1234-{version}.bin")), "image").expect("a new file");
        self
    }

    /// A host whose configuration points here. `target` is the version that devices should run.
    fn host(&self, target: Option<&str>) -> FakeHost {
        let mut section = json!({"sysfs": self.path("sys"), "firmware_dir": self.path("firmware")});
        if let Some(target) = target {
            section["target_version"] = target.into();
        }
        FakeHost::new().config(section)
    }

    fn flash(&self, address: &str, version: &str) -> Vec<String> {
        let image = self.path("firmware").join(format!("model1234-{version}.bin"));
        ["examplectl", "flash", "--device", address, "--image", &image.display().to_string()]
            .map(str::to_owned)
            .to_vec()
    }
}

fn with_command(host: FakeHost, argv: &[String], code: i32, stdout: &str, stderr: &str) -> FakeHost {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    host.command(&argv, output(code, stdout, stderr))
}

fn run(host: &FakeHost, args: Value) -> HwResult<Value> {
    Bench::<ExampleDevice>::new(host).expect("a good configuration").call(STEP, args)
}

fn support(machine: &Machine) -> Support {
    let host = machine.host(None);
    Bench::<ExampleDevice>::new(&host).expect("a good configuration").evaluate().expect("readable")
}

#[test]
fn it_keeps_the_rules_for_managers() {
    assert_eq!(conformance::<ExampleDevice>(), Vec::<String>::new());
}

#[test]
fn presence_of_the_device_is_support() {
    assert_eq!(support(&Machine::new()), Support::NONE);
    assert_eq!(support(&Machine::new().pci("0000:3b:00.0", "0xe1e1", "0x9999", None)), Support::NONE);
    assert_eq!(support(&Machine::new().device("0000:3b:00.0", "2.3.0")), Support::SERVICE_PROVIDER);
    let no_pci = Machine(tempfile::tempdir().expect("a temporary directory"));
    assert_eq!(support(&no_pci), Support::NONE);
}

#[test]
fn ironic_is_told_what_the_step_needs() {
    let host = FakeHost::new();
    let bench = Bench::<ExampleDevice>::new(&host).expect("the defaults are good");
    let steps = bench.call("get_clean_steps", json!({"node": {}, "ports": []})).expect("a list");
    let step = &steps[0];
    assert_eq!((&step["step"], &step["priority"]), (&json!(STEP), &json!(37)));
    assert_eq!((&step["reboot_requested"], &step["abortable"]), (&json!(true), &json!(false)));
    assert_eq!(step["argsinfo"]["version"]["required"], false);
}

#[test]
fn an_old_device_is_flashed_and_progress_is_told() {
    let machine = Machine::new().device("0000:3b:00.0", "2.3.0").image("2.4.0");
    let tool = machine.flash("0000:3b:00.0", "2.4.0");
    let host = with_command(machine.host(Some("2.4.0")), &tool, 0, "Erasing\nWriting: 40%\nWriting: 100%\n", "");
    let value = run(&host, json!({"node": {}, "ports": []})).expect("flashed");
    assert_eq!(value, json!({"0000:3b:00.0": "2.3.0 to 2.4.0, active after the reboot"}));
    assert_eq!(host.commands_run(), [tool]);
    let percents: Vec<u32> = host.progress_reports().into_iter().map(|(percent, _)| percent).collect();
    assert_eq!(percents, [0, 40, 100, 100]);
}

#[test]
fn a_device_that_is_up_to_date_is_left_alone_unless_forced() {
    let machine = Machine::new().device("0000:3b:00.0", "2.4.0").image("2.4.0");
    let host = machine.host(Some("2.4.0"));
    assert_eq!(run(&host, json!({})).expect("nothing to do"), json!({"0000:3b:00.0": "2.4.0 already"}));
    assert_eq!(host.commands_run(), Vec::<Vec<String>>::new());

    let tool = machine.flash("0000:3b:00.0", "2.4.0");
    let host = with_command(machine.host(Some("2.4.0")), &tool, 0, "", "");
    run(&host, json!({"force": true})).expect("flashed");
    assert_eq!(host.commands_run(), [tool]);
}

#[test]
fn the_operators_version_wins_over_the_configuration() {
    let machine = Machine::new().device("0000:3b:00.0", "2.4.0").image("2.3.9");
    let tool = machine.flash("0000:3b:00.0", "2.3.9");
    let host = with_command(machine.host(Some("2.4.0")), &tool, 0, "", "");
    run(&host, json!({"version": "2.3.9"})).expect("flashed");
    assert_eq!(host.commands_run(), [tool]);
}

/// What an operator reads in `last_error` says which device, what was run and what the tool said.
#[test]
fn a_failing_tool_is_explained() {
    let machine = Machine::new().device("0000:3b:00.0", "2.3.0").device("0000:5e:00.0", "2.3.0").image("2.4.0");
    let first = machine.flash("0000:3b:00.0", "2.4.0");
    let second = machine.flash("0000:5e:00.0", "2.4.0");
    let host = with_command(machine.host(Some("2.4.0")), &first, 0, "", "");
    let host = with_command(host, &second, 3, "Erasing\n", "sector 12: write protected\n");
    let error = run(&host, json!({})).expect_err("exit code 3");
    assert_eq!(error.class(), "CleaningError");
    for part in
        ["0000:5e:00.0", "old one stays active", "examplectl flash", "exited with 3", "sector 12: write protected"]
    {
        assert!(error.details().contains(part), "{part}: {error}");
    }
}

#[test]
fn what_cannot_work_is_refused_before_the_device_is_touched() {
    let machine = Machine::new().device("0000:3b:00.0", "2.3.0");
    for (target, args, part) in [
        (None, json!({}), "no version to upgrade to"),
        (Some("2.4.0"), json!({}), "model1234-2.4.0.bin is no file"),
        (Some("2.4.0"), json!({"version": "../../x"}), "no firmware version"),
        (Some("2.4.0"), json!({"force": "perhaps"}), "expected a boolean"),
    ] {
        let host = machine.host(target);
        let error = run(&host, args).expect_err(part);
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert_eq!(host.commands_run(), Vec::<Vec<String>>::new());
    }
}

#[test]
fn a_device_that_vanished_or_tells_nonsense_is_an_error() {
    let host = Machine::new().host(Some("2.4.0"));
    let error = run(&host, json!({})).expect_err("no device");
    assert!(error.details().contains("gone from the PCI bus"), "{error}");

    let machine = Machine::new().device("0000:3b:00.0", "ERR_TIMEOUT");
    let error = run(&machine.host(Some("2.4.0")), json!({})).expect_err("no version");
    assert!(error.details().contains("0000:3b:00.0") && error.details().contains("ERR_TIMEOUT"), "{error}");
}

#[test]
fn a_typing_error_in_the_configuration_is_named() {
    for (section, part) in
        [(json!({"target_verison": "2.4.0"}), "target_verison"), (json!({"target_version": "new"}), "new")]
    {
        let host = FakeHost::new().config(section);
        let error = Bench::<ExampleDevice>::new(&host).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.details().contains("[plugin:example_device]") && error.details().contains(part), "{error}");
    }
}

#[test]
fn the_report_of_each_device_goes_with_the_logs() {
    let machine = Machine::new().device("0000:3b:00.0", "2.3.0");
    let host = machine
        .host(None)
        .command(&["examplectl", "report", "--device", "0000:3b:00.0"], output(0, "temperature: 41\n", ""));
    let bench = Bench::<ExampleDevice>::new(&host).expect("a good configuration");
    bench.call("collect_system_logs", json!({})).expect("collected");
    assert_eq!(host.attached_logs()["example-device-0000:3b:00.0"], "temperature: 41\n");
}
