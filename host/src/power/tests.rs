//! The end of the machine's run, on a machine that is a directory with programs of our own. Neither the real programs
//! nor the real kernel can be reached from here.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::agent::Settings;
use crate::commands::Engine;
use crate::root::Root;
use crate::testing::{FakeManagers, agent_on};

struct Machine {
    directory: TempDir,
    agent: Arc<Agent>,
    managers: Arc<FakeManagers>,
}

/// A machine on which these programs are installed; each notes how it was called and then does what its script says.
fn machine(programs: &[(&str, &str)], settings: Settings) -> Machine {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("bin")).unwrap();
    fs::create_dir(root.join("proc")).unwrap();
    fs::write(root.join(SYSRQ), "").unwrap();
    for (name, does) in programs {
        // Links to one file: a file that was just written can be busy when it is run.
        symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/src/power/tests/program"), root.join("bin").join(name)).unwrap();
        fs::write(root.join("bin").join(format!("{name}.does")), does).unwrap();
    }
    let (agent, managers) = agent_on(Settings { root: Root::at(root), ..settings }, root.join("bin").to_str().unwrap());
    Machine { directory, agent, managers }
}

impl Machine {
    async fn run(&self, name: &str) -> Value {
        let command = Engine::execute(&self.agent, name.into(), serde_json::Map::new()).await.unwrap();
        command.wait().await;
        serde_json::from_slice(&command.to_json()).unwrap()
    }

    fn read(&self, path: impl AsRef<Path>) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap_or_default()
    }

    fn calls(&self) -> Vec<String> {
        self.read("calls").lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_system_is_asked_after_clock_and_disks() {
    for (command, program) in [("standby.power_off", "poweroff "), ("standby.run_image", "reboot ")] {
        let machine = machine(&[("hwclock", ""), ("poweroff", ""), ("reboot", "")], Settings::default());
        let answer = machine.run(command).await;
        assert_eq!((&answer["command_status"], &answer["command_result"]), (&json!("SUCCEEDED"), &Value::Null));
        assert_eq!(machine.calls(), ["hwclock -v --systohc", program]);
        let flushed: Vec<String> =
            machine.managers.calls.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(flushed, ["full_sync"]);
        assert_eq!(machine.read(SYSRQ), "", "the kernel is not asked");
        // The fake managers cannot flush, which is told and stops nothing.
        assert!(machine.agent.logging().ring().text().contains("not everything was flushed"));
    }
}

#[tokio::test]
async fn the_kernel_is_asked_where_the_system_does_not_obey() {
    let ignoring = "echo 'Running in chroot, ignoring request.' >&2";
    for (command, program, script, order) in [
        ("standby.power_off", "poweroff", "exit 1", "o"),
        ("standby.power_off", "poweroff", ignoring, "o"),
        ("standby.run_image", "reboot", "exit 1", "b"),
        ("standby.run_image", "reboot", ignoring, "b"),
        ("standby.run_image", "another", "", "b"),
    ] {
        let machine = machine(&[("hwclock", ""), (program, script)], Settings::default());
        let answer = machine.run(command).await;
        assert_eq!(answer["command_status"], "SUCCEEDED", "{answer}");
        assert_eq!(machine.read(SYSRQ), order, "{command} {script}");
    }
}

#[tokio::test]
async fn a_machine_that_stays_up_is_an_error_with_both_reasons() {
    let machine = machine(&[("hwclock", ""), ("poweroff", "echo 'no bus' >&2; exit 4")], Settings::default());
    fs::remove_file(machine.directory.path().join(SYSRQ)).unwrap();
    let error = machine.run("standby.power_off").await["command_error"].clone();
    assert_eq!(error["type"], "SystemRebootError");
    let details = error["details"].as_str().unwrap();
    assert!(
        details.contains("exited with status 4: no bus; and the kernel does not obey: /proc/sysrq-trigger: No such"),
        "{details}"
    );
    assert!(!machine.directory.path().join(SYSRQ).exists(), "the order is never a file of its own");
}

#[tokio::test]
async fn a_failing_clock_stops_nothing_unless_it_must_be_set() {
    let failing = [("hwclock", "exit 1"), ("poweroff", "")];
    let lenient = machine(&failing, Settings::default());
    assert_eq!(lenient.run("standby.power_off").await["command_status"], "SUCCEEDED");
    assert_eq!(lenient.calls(), ["hwclock -v --systohc", "poweroff "]);
    let clock = ClockOptions { must_be_set: true, ..ClockOptions::default() };
    let strict = machine(&failing, Settings { clock, ..Settings::default() });
    assert_eq!(strict.run("standby.power_off").await["command_error"]["type"], "ClockSyncError");
    let without = machine(&[("poweroff", "")], Settings::default());
    let error = without.run("standby.power_off").await["command_error"].clone();
    assert!(error["details"].as_str().unwrap().contains("hwclock is not installed"), "{error}");
    assert_eq!(without.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn the_clock_is_set_by_chrony_or_else_ntpdate() {
    let chrony = [("chronyc", "exit 1"), ("chronyd", ""), ("ntpdate", "")];
    for (programs, server, calls) in [
        (&chrony[..], "ntp.example", &["chronyc shutdown", "chronyd -q server ntp.example iburst"][..]),
        (&chrony[2..], "2001:db8::1", &["ntpdate 2001:db8::1"]),
        (&[], "ntp.example", &[]),
        (&chrony[..], "", &[]),
    ] {
        let machine = machine(programs, Settings::default());
        let (agent, options) = (&machine.agent, ClockOptions { ntp_server: Some(server.into()), must_be_set: false });
        set_from_network(&options, agent.runner(), agent.log()).await.unwrap();
        assert_eq!(machine.calls(), calls);
        let log = agent.logging().ring().text();
        assert_eq!(log.contains("neither chronyd nor ntpdate is installed"), programs.is_empty(), "{log}");
    }
}

#[tokio::test]
async fn a_clock_that_must_be_set_and_an_odd_server_are_errors() {
    let machine = machine(&[("ntpdate", "exit 1")], Settings::default());
    let agent = &machine.agent;
    for (server, must_be_set, says) in [
        ("ntp.example", true, "the clock was not set from ntp.example: "),
        ("a; reboot", false, "ntp_server is \"a; reboot\""),
        ("a\nserver b", false, "ntp_server is"),
    ] {
        let options = ClockOptions { ntp_server: Some(server.into()), must_be_set };
        let error = set_from_network(&options, agent.runner(), agent.log()).await.unwrap_err();
        assert!(error.details().starts_with(says), "{error}");
    }
    assert_eq!(machine.calls(), ["ntpdate ntp.example"]);
}

#[tokio::test]
async fn a_read_only_agent_ends_nothing() {
    let programs = [("hwclock", ""), ("poweroff", ""), ("reboot", "")];
    let machine = machine(&programs, Settings { read_only: true, ..Settings::default() });
    for command in ["standby.power_off", "standby.run_image", "standby.sync", "rescue.finalize_rescue"] {
        let answer = machine.run(command).await;
        assert!(answer["command_error"]["details"].as_str().unwrap().contains("--read-only"), "{answer}");
    }
    assert_eq!((machine.calls(), machine.read(SYSRQ)), (Vec::new(), String::new()));
    assert!(machine.managers.calls.lock().unwrap().is_empty() && machine.agent.is_serving());
}

#[tokio::test]
async fn sync_flushes_every_manager() {
    let machine = machine(&[], Settings::default());
    let answer = machine.run("standby.sync").await;
    assert_eq!(*machine.managers.calls.lock().unwrap(), [("full_sync".to_owned(), None)]);
    // None of the fake managers can.
    assert_eq!(answer["command_error"]["type"], "HardwareManagerMethodNotFound");
}
