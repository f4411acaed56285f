//! The command line: help, exit codes, and what each command prints.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ipa_tests::program::{Finished, ipa_host};
use ipa_tests::{Client, Host, PluginDir, artifacts, processes};
use serde_json::{Value, json};

/// Runs a command on a plugin directory, without a host that runs.
fn on(plugins: &PluginDir, arguments: &[&str]) -> Finished {
    let directory = plugins.path().display().to_string();
    let config = plugins.config_file().display().to_string();
    let nobody = plugins.home().join("no.sock").display().to_string();
    let mut all = arguments.to_vec();
    all.extend(["--plugin-dir", &directory, "--config-file", &config]);
    if arguments.starts_with(&["plugins", "list"]) {
        all.extend(["--control-socket", &nobody]);
    }
    ipa_host(&all)
}

fn check(file: &Path, more: &[&str]) -> Finished {
    let file = file.display().to_string();
    ipa_host(&[&["plugins", "check", &file], more].concat())
}

const COMMANDS: [&[&str]; 10] = [
    &[],
    &["run"],
    &["plugins"],
    &["plugins", "list"],
    &["plugins", "check"],
    &["explain"],
    &["explain", "method"],
    &["explain", "root-device"],
    &["inventory"],
    &["config"],
];

#[test]
fn help_fits_80_columns() {
    for command in COMMANDS {
        let done = ipa_host(&[command, &["--help"]].concat());
        assert_eq!(done.code, Some(0), "{done:#?}");
        for line in done.stdout.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line:?}");
            assert_eq!(line, line.trim_end(), "{command:?}: {line:?}");
        }
        assert_eq!(done.stderr, "");
    }
}

#[test]
fn help_of_run_names_every_flag() {
    let help = ipa_host(&["run", "--help"]).stdout;
    for flag in [
        "--plugin-dir",
        "--standalone",
        "--agent-token",
        "--agent-token-file",
        "--read-only",
        "--isolation",
        "--listen-host",
        "--listen-port",
        "--deadline",
        "--plugin-memory",
        "--config-file",
        "--debug",
        "--control-socket",
    ] {
        assert!(help.contains(flag), "{flag}:\n{help}");
    }
}

#[test]
fn the_version_is_told() {
    let done = ipa_host(&["--version"]);
    assert_eq!(done.code, Some(0));
    assert!(done.stdout.starts_with("ipa-host "), "{done:#?}");
}

/// A wrong command line is an error that names the word, and starts nothing.
#[test]
fn wrong_words_are_named() {
    for (arguments, word) in [
        (&["run", "--no-such-flag"][..], "--no-such-flag"),
        (&["nosuch"], "nosuch"),
        (&["run", "--isolation", "perhaps"], "perhaps"),
        (&["run", "--deadline", "boot=5"], "boot"),
        (&["run", "--listen-port", "70000"], "70000"),
        (&["plugins", "check"], "file"),
        (&["run", "--standalone", "--config-file", "/nonexistent/agent.conf"], "/nonexistent/agent.conf"),
    ] {
        let done = ipa_host(arguments);
        assert!(matches!(done.code, Some(2 | 70)), "{arguments:?}: {done:#?}");
        assert!(done.stderr.contains(word), "{arguments:?}: {done:#?}");
        assert!(!done.stderr.contains("panicked"), "{arguments:?}: {done:#?}");
    }
}

#[test]
fn check_of_a_good_plugin_tells_what_it_offers() {
    let done = check(&artifacts::minimal(), &[]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    for part in ["acme", "1.0.0", "acme_erase_cache"] {
        assert!(done.stdout.contains(part), "{part}: {done:#?}");
    }
    let json = check(&artifacts::minimal(), &["--json"]);
    assert_eq!(json.code, Some(0), "{json:#?}");
    let text = json.json().to_string();
    for part in ["\"acme\"", "\"Acme\"", "\"1.0.0\"", "\"acme_erase_cache\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn check_of_a_bad_plugin_is_exit_code_1_with_a_reason() {
    let plugins = PluginDir::new();
    let file = plugins.put("bad.so", b"not a library");
    for arguments in [&[][..], &["--json"]] {
        let done = check(&file, arguments);
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert!(format!("{}{}", done.stdout, done.stderr).contains("ELF"), "{done:#?}");
    }
    assert!(check(&file, &["--json"]).json().is_object());
    let missing = check(&plugins.path().join("missing.so"), &[]);
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert!(format!("{}{}", missing.stdout, missing.stderr).contains("missing.so"), "{missing:#?}");
}

/// A check runs nothing of the file: a constructor that hangs does not hang it.
#[test]
fn check_runs_no_code() {
    let done = check(&artifacts::misbehaving("ctor_hang"), &[]);
    assert_eq!(done.code, Some(0), "{done:#?}");
}

fn two_managers() -> PluginDir {
    let plugins = PluginDir::with_acme()
        .with_puppet("aaaa", &json!({"support": 9, "probe": {"value": 1}}))
        .with_puppet("none", &json!({"support": 0}));
    plugins.put("bad.so", b"not a library");
    plugins
}

fn assert_lists_two_managers(list: &Value) {
    let managers = list["managers"].as_array().unwrap_or_else(|| panic!("managers: {list}"));
    let told: Vec<_> = managers
        .iter()
        .map(|row| (row["rank"].as_u64(), row["name"].as_str(), row["support"].as_i64(), row["state"].as_str()))
        .collect();
    assert_eq!(
        told,
        [(Some(1), Some("puppet_aaaa"), Some(9), Some("healthy")), (Some(2), Some("acme"), Some(3), Some("healthy"))]
    );
    let left_out = list["left_out"].as_array().unwrap_or_else(|| panic!("left_out: {list}"));
    let files: Vec<_> = left_out.iter().map(|left| left["file"].as_str().unwrap_or_default()).collect();
    assert_eq!(files, ["bad.so", "none.so"]);
    for left in left_out {
        let has = |key: &str| left[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(has("cause") && has("cure"), "why and what to do: {left}");
    }
}

#[test]
fn list_loads_by_itself_where_no_host_runs() {
    let plugins = two_managers();
    let done = on(&plugins, &["plugins", "list", "--json"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert_lists_two_managers(&done.json());
    let text = on(&plugins, &["plugins", "list"]);
    assert_eq!(text.code, Some(0), "{text:#?}");
    let place = |part: &str| text.stdout.find(part).unwrap_or_else(|| panic!("{part}: {text:#?}"));
    assert!(place("puppet_aaaa") < place("acme"), "in rank order: {text:#?}");
    assert!(place("acme") < place("bad.so"), "what is not used comes last: {text:#?}");
}

/// Asked through its socket, a running host tells of its own workers.
#[tokio::test]
async fn list_asks_a_running_host() {
    let host = Host::with(two_managers()).start();
    let socket = host.control_socket().display().to_string();
    let done = ipa_host(&["plugins", "list", "--json", "--control-socket", &socket]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let list = done.json();
    assert_lists_two_managers(&list);
    let workers = processes::tagged(host.tag());
    for manager in list["managers"].as_array().expect("a list") {
        let pid = manager["pid"].as_i64().unwrap_or_else(|| panic!("a worker: {manager}"));
        assert!(workers.iter().any(|(number, _)| i64::from(*number) == pid), "{manager} in {workers:?}");
    }
}

#[test]
fn explain_tells_who_is_asked_and_why() {
    let plugins = two_managers();
    let names = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|row| row["name"].as_str().unwrap_or("").to_owned()).collect()
    };
    let own = on(&plugins, &["explain", "method", "acme_erase_cache", "--json"]);
    assert_eq!(own.code, Some(0), "{own:#?}");
    let own = own.json();
    // A dynamic manager can only be asked.
    assert_eq!(names(&own["asked"]), ["puppet_aaaa", "acme"], "{own}");
    let base = on(&plugins, &["explain", "method", "get_clean_steps", "--json"]).json();
    assert_eq!(names(&base["asked"]), ["puppet_aaaa", "acme"], "{base}");
    let other = on(&plugins, &["explain", "method", "probe", "--json"]).json();
    assert_eq!(names(&other["asked"]), ["puppet_aaaa"], "{other}");
    assert!(names(&other["skipped"]).contains(&"acme".to_owned()), "{other}");
    let text = on(&plugins, &["explain", "method", "acme_erase_cache"]);
    assert_eq!(text.code, Some(0));
    assert!(text.stdout.contains("acme_erase_cache") && text.stdout.contains("Acme"), "{text:#?}");
}

/// The choice among this machine's disks, by the generic manager; nothing is written.
#[test]
fn explain_root_device_tells_of_each_disk_why() {
    let plugins = PluginDir::new().with(&artifacts::plugin("ipa-generic")).with_puppet("aaaa", &json!({}));
    let explain = |more: &[&str]| on(&plugins, &[&["explain", "root-device"], more].concat());
    let told = explain(&["--hints", r#"{"size": "> 999999"}"#]);
    assert_eq!(told.code, Some(1), "no disk is so large: {told:#?}");
    assert!(told.stdout.contains("Root device  none\nBecause      No suitable device was found"), "{told:#?}");
    assert!(told.stdout.contains("\nAsked first  puppet_aaaa, which may choose another disk\n"), "{told:#?}");
    let told = explain(&["--hints", r#"{"size": "large"}"#, "--json"]);
    assert!(told.json()["problem"].to_string().contains("is not an integer value"), "{told:#?}");

    let disks = told.json()["disks"].as_array().cloned().unwrap_or_default();
    let Some(disk) = disks.iter().find(|disk| disk["size"].as_u64() >= Some(4 << 30)) else {
        eprintln!("left out: this machine has no disk to choose");
        return;
    };
    let name = disk["name"].as_str().expect("a name");
    let node = plugins.home().join("node.json");
    std::fs::write(&node, json!({"properties": {"root_device": {"name": name}}}).to_string())
        .expect("our own directory");
    let told = explain(&["--node", &node.display().to_string()]);
    assert_eq!(told.code, Some(0), "{told:#?}");
    assert!(told.stdout.contains(&format!("Root device  {name}\n")), "{told:#?}");
    assert!(told.stdout.contains(&format!("  name {name:?} matches {name}\n")), "{told:#?}");

    std::fs::write(&node, json!({"properties": {"skip_block_devices": [{"name": name}]}}).to_string()).expect("ours");
    let told = explain(&["--node", &node.display().to_string()]);
    assert!(told.stdout.contains("left alone: skip_block_devices has"), "{told:#?}");
    assert!(explain(&["--hints", "size>4"]).code == Some(2), "no JSON");
    assert!(explain(&["--node", "/nonexistent"]).stderr.contains("/nonexistent: the node cannot be read"));
}

/// The machine's own inventory, by the generic manager: the parts that Ironic demands are there.
#[test]
fn inventory_prints_this_machine() {
    let plugins = PluginDir::new().with(&artifacts::plugin("ipa-generic"));
    let done = on(&plugins, &["inventory", "--json"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let inventory = done.json();
    assert!(inventory["cpu"]["count"].as_u64().is_some_and(|count| count > 0), "{inventory}");
    assert!(inventory["memory"]["physical_mb"].is_number() || inventory["memory"]["total"].is_number(), "{inventory}");
    for list in ["interfaces", "disks"] {
        assert!(inventory[list].is_array(), "{list}: {inventory}");
    }
    for key in ["bmc_address", "bmc_v6address", "system_vendor", "boot", "hostname"] {
        assert!(inventory.get(key).is_some(), "{key}: {inventory}");
    }
}

#[test]
fn inventory_without_managers_is_an_error() {
    let done = on(&PluginDir::new(), &["inventory", "--json"]);
    assert_eq!(done.code, Some(70), "{done:#?}");
    assert!(done.stderr.contains("plugins"), "{done:#?}");
}

/// A made token lies in a file that only root can read, works, and is not in the log.
#[tokio::test]
async fn a_made_token_is_kept_private() {
    let host = Host::with(PluginDir::with_acme()).makes_token().start();
    let kept = std::fs::metadata(host.token_file()).expect("the host made a token");
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    let token = std::fs::read_to_string(host.token_file()).expect("we are root").trim().to_owned();
    assert!(token.len() >= 32, "as long as Ironic's: {token}");
    host.assert_well().await;
    let stranger = Client::new(&format!("http://{}", host.address()), &token[..31]);
    assert_eq!(stranger.get_with_token("/v1/commands/").await.status, 401);
    let told = format!("{}\n{}", host.stdout(), host.log()).matches(&token).count();
    assert!(told <= 1, "told {told} times");
}

/// A token that was given is nowhere in the log.
#[tokio::test]
async fn a_given_token_is_not_logged() {
    let host = Host::with(PluginDir::with_acme()).flag("--debug").start();
    host.assert_well().await;
    assert!(!host.log().contains(ipa_tests::host::TOKEN), "{}", host.log());
    assert!(!host.stdout().contains(ipa_tests::host::TOKEN));
}

/// An agent that only looks lists steps, but runs none.
#[tokio::test]
async fn read_only_refuses_steps() {
    let plugins = PluginDir::with_acme().with_puppet("aaaa", &json!({"probe": {"value": 1}}));
    let host = Host::with(plugins).flag("--read-only").start();
    let steps = host.client().clean_steps().await;
    assert_eq!(steps["clean_steps"]["Acme"][0]["step"], "acme_erase_cache");
    for step in ["acme_erase_cache", "probe"] {
        let params = ipa_tests::client::step_params(step, json!({}));
        let answer = host.client().post("clean.execute_clean_step", params, "&wait=true").await;
        assert_ne!(answer.body["command_status"], "SUCCEEDED", "{step}: {}", answer.body);
        assert!(answer.body.to_string().contains("read-only"), "{step}: {}", answer.body);
    }
}
