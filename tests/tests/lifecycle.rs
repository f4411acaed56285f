//! The life of a host: start, restart of a worker, quarantine, end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ipa_tests::client::step_params;
use ipa_tests::program::ipa_host;
use ipa_tests::{Host, PluginDir, processes};
use rustix::process::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn sigterm_and_sigint_end_the_host_with_code_0() {
    let host = Host::with(PluginDir::with_acme()).start();
    host.assert_well().await;
    assert_eq!(host.terminate(), 0);

    let mut host = Host::with(PluginDir::with_acme()).start();
    host.signal(Signal::INT);
    assert_eq!(host.ended(PATIENCE).code(), Some(0));
}

/// A step that hangs does not hold up the end, and its command never reports success.
#[tokio::test]
async fn sigterm_ends_the_host_while_plugins_hang() {
    for fault in ["hang_step", "ignore_signals", "busy_loop"] {
        let plugins = PluginDir::with_acme().with_misbehaving(fault);
        let host = Host::with(plugins).deadline("grace", 0.5).start();
        host.client().start("clean.execute_clean_step", step_params("misbehave", json!({}))).await;
        assert_eq!(host.terminate(), 0, "{fault}");
    }
}

/// SIGKILL gives the host no chance to clean up, so the workers must see to their own end.
#[tokio::test]
async fn sigkill_of_the_host_leaves_no_process() {
    for fault in ["hang_step", "ignore_signals", "busy_loop"] {
        let plugins = PluginDir::with_acme().with_misbehaving(fault);
        let mut host = Host::with(plugins).start();
        host.client().start("clean.execute_clean_step", step_params("misbehave", json!({}))).await;
        host.signal(Signal::KILL);
        assert_eq!(host.ended(PATIENCE).code(), None);
        // Dropping the host waits for the workers and fails the test if one is left.
    }
}

fn with_exit() -> Host {
    Host::with(PluginDir::with_acme().with_misbehaving("exit_silent")).start()
}

/// The state of a manager in the list that the running host gives.
fn listed(host: &Host, name: &str) -> Value {
    let socket = host.control_socket();
    let done = ipa_host(&["plugins", "list", "--json", "--control-socket", &socket.display().to_string()]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let list = done.json();
    let managers = list["managers"].as_array().unwrap_or_else(|| panic!("a list of managers: {list}"));
    managers.iter().find(|manager| manager["name"] == name).unwrap_or_else(|| panic!("no {name}: {list}")).clone()
}

/// After its first death a worker is started again; after the second its plugin is quarantined, with reason and
/// remedy in the command's error, the log and the list.
#[tokio::test]
async fn a_worker_is_restarted_once_then_its_plugin_is_quarantined() {
    let host = with_exit();
    let client = host.client();
    for _ in 0..2 {
        let error = client.clean_error("misbehave").await;
        assert!(error["details"].as_str().unwrap_or_default().contains('7'), "the exit code: {error}");
    }
    let error = client.clean_error("misbehave").await;
    let details = error["details"].as_str().unwrap_or_default();
    assert!(details.contains("exit_silent") && details.contains("quarantine"), "{error}");
    host.log_line(&["exit_silent", "quarantine"]);
    let manager = listed(&host, "exit_silent").to_string();
    assert!(manager.contains("quarantine") && manager.contains('7'), "{manager}");
    host.assert_well().await;
    assert_eq!(host.terminate(), 0);
}

/// Its steps stay listed as long as Ironic may have planned with them: a quarantine must not look like a machine that
/// needs less cleaning.
#[tokio::test]
async fn a_quarantined_manager_is_not_silently_forgotten() {
    let host = with_exit();
    let client = host.client();
    let before = client.clean_steps().await;
    for _ in 0..2 {
        client.clean_error("misbehave").await;
    }
    let params = json!({"node": {}, "ports": []});
    let after = client.post("clean.get_clean_steps", params, "&wait=true").await.body;
    let same = after["command_result"] == before;
    assert!(same || after.to_string().contains("exit_silent"), "{after}");
}

#[tokio::test]
async fn an_empty_or_missing_directory_is_no_reason_to_die() {
    let host = Host::with(PluginDir::new()).start();
    assert_eq!(host.client().get("/v1/status").await.status, 200);
    let steps = host.client().run("clean.get_clean_steps", json!({"node": {}, "ports": []})).await;
    assert_eq!(steps["command_error"]["type"], "HardwareManagerNotFound", "{steps}");

    let plugins = PluginDir::new();
    fs::remove_dir(plugins.path()).expect("an empty directory");
    let name = plugins.path().display().to_string();
    let host = Host::with(plugins).start();
    host.log_line(&[&name]);
    assert_eq!(host.client().get("/v1/status").await.status, 200);
}

/// Anybody could put a plugin into such a directory, so none of its files is loaded.
#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused_as_a_whole() {
    let plugins = PluginDir::with_acme();
    fs::set_permissions(plugins.path(), fs::Permissions::from_mode(0o777)).expect("our own directory");
    let name = plugins.path().display().to_string();
    let host = Host::with(plugins).start();
    host.log_line(&[&name, "write"]);
    let error = host.client().clean_error("acme_erase_cache").await;
    assert_eq!(error["type"], "HardwareManagerNotFound", "{error}");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_directory_is_named() {
    let plugins = PluginDir::new();
    fs::remove_dir(plugins.path()).expect("an empty directory");
    fs::write(plugins.path(), "no directory").expect("our own directory");
    let name = plugins.path().display().to_string();
    let host = Host::with(plugins).start();
    host.log_line(&[&name]);
    assert_eq!(host.client().get("/v1/status").await.status, 200);
}

/// Two hundred managers start, rank and answer; the lowest is reached through all others.
#[tokio::test]
async fn two_hundred_plugins() {
    let plugins = (0..200).fold(PluginDir::new(), |plugins, number| {
        let section = json!({"support": 1 + number, "number": {"incompatible": "not the lowest"}});
        let lowest = json!({"support": 1, "number": {"value": "lowest"}});
        plugins.with_puppet(&format!("{number:04}"), if number == 0 { &lowest } else { &section })
    });
    let host = Host::with(plugins).start();
    let versions = host.client().clean_steps().await["hardware_manager_version"].clone();
    assert_eq!(versions.as_object().map(serde_json::Map::len), Some(200));
    assert_eq!(host.client().clean_value("number").await, "lowest");
    assert_eq!(host.terminate(), 0);
}

/// Two files with the same manager: of equal class names one answers for both, and the log says so.
#[tokio::test]
async fn the_same_plugin_twice_is_noticed() {
    let acme = ipa_tests::artifacts::minimal();
    let plugins = PluginDir::new().with_as(&acme, "one.so").with_as(&acme, "two.so");
    let host = Host::with(plugins).start();
    host.assert_well().await;
    host.log_line(&["two.so", "acme"]);
    let steps = host.client().clean_steps().await["clean_steps"].clone();
    assert_eq!(steps["Acme"].as_array().map(Vec::len), Some(1), "{steps}");
}

/// In the host's own process, for debuggers: the same plugins, the same answers.
#[tokio::test]
async fn in_process_isolation_runs_the_same_plugins() {
    let host = Host::with(PluginDir::with_acme()).flag("--isolation").flag("in-process").start();
    host.assert_well().await;
    let workers = processes::tagged(host.tag());
    assert_eq!(workers.len(), 1, "the host alone: {workers:?}");
    assert_eq!(host.terminate(), 0);
}
