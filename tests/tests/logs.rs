//! The agent's own log, and what it collects of others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ipa_tests::{Host, PluginDir, artifacts};
use serde_json::{Value, json};

/// How long Ironic waits for an answer.
const IRONICS_PATIENCE: Duration = Duration::from_secs(60);

/// Programs that a machine in trouble may have: all of them hang.
const TOOLS: [&str; 13] = [
    "journalctl",
    "df",
    "dmesg",
    "efibootmgr",
    "iptables",
    "ip",
    "lsblk",
    "lshw",
    "cat",
    "mount",
    "multipath",
    "parted",
    "ps",
];

/// Where all tools hang, there is still an answer while Ironic waits for it, with what could be had.
#[tokio::test]
async fn a_collection_of_hanging_tools_ends_in_time() {
    let plugins = PluginDir::with_acme().with(&artifacts::plugin("ipa-generic"));
    let tools = plugins.home().join("tools");
    fs::create_dir(&tools).expect("our own directory");
    for name in TOOLS {
        let tool = tools.join(name);
        fs::write(&tool, "#!/bin/sh\nexec /bin/sleep 1000\n").expect("our own directory");
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    // The first place where the agent looks for programs.
    let mounted = format!("/bin/mount --bind {} /usr/local/sbin && exec \"$@\"", tools.display());
    let inside = ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", &mounted, "sh"];
    let host = Host::with(plugins).inside(&inside).start();
    let start = Instant::now();
    let result = host.client().run("log.collect_system_logs", json!({})).await;
    assert!(start.elapsed() < IRONICS_PATIENCE - Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    assert!(result["command_result"]["system_logs"].as_str().is_some_and(|logs| logs.starts_with("H4sI")));
    host.log_line(&["WARN", "a log was left out", "the other tools took all the time"]);
    host.assert_well().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_stops_nothing() {
    let host = Host::with(PluginDir::with_acme()).flag("--log-file").flag("/no/such/directory/agent.log").start();
    host.log_line(&["WARN", "the log file cannot be opened", "/no/such/directory/agent.log"]);
    host.assert_well().await;
}

/// All lines are objects, on standard error and in the file, and the file is for its owner alone.
#[tokio::test]
async fn the_log_goes_to_a_file_too_and_may_be_json() {
    let plugins = PluginDir::with_acme();
    let file = plugins.home().join("agent.log");
    let builder =
        Host::with(plugins).flag("--log-dir").flag(&file.parent().expect("a directory").display().to_string());
    let flags = ["--log-file", "agent.log", "--use-json", "--use-syslog"];
    let host = flags.iter().fold(builder, |builder, flag| builder.flag(flag)).start();
    host.log_line(&["--use-syslog has no effect"]);
    host.assert_well().await;
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let written = fs::read_to_string(&file).expect("readable");
    for line in written.lines() {
        host.log_line(&[line]);
    }
    let parsed: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let step = parsed.iter().find(|line| line["message"] == "step completed").expect("the step's line");
    assert_eq!((&step["level"], &step["step"]), (&json!("INFO"), &json!("acme_erase_cache")));
}
