//! `ipa-host inspect`: inspection by command, against a server in Ironic's place.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipa_tests::fake_ironic::{Api, Fault, NODE};
use ipa_tests::program::{Finished, ipa_host};
use ipa_tests::{FakeIronic, Host, PluginDir, artifacts, processes};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn machine() -> PluginDir {
    let interfaces = json!([{"name": "eth0", "mac_address": "52:54:00:12:34:56", "ipv4_address": "10.0.0.5"}]);
    let inventory = json!({
        "interfaces": interfaces, "hostname": "host-1", "disks": [{"name": "/dev/sda", "size": 8_u64 << 30}],
        "boot": {"current_boot_mode": "uefi", "pxe_interface": "52:54:00:12:34:56"},
    });
    let answers = json!({
        "list_network_interfaces": {"value": interfaces}, "list_hardware_info": {"value": inventory},
    });
    PluginDir::with_acme().with_puppet("aaaa", &answers)
}

/// The command with the machine's plugins and these arguments.
fn arguments(machine: &PluginDir, more: &[&str]) -> Vec<String> {
    let places = ["--plugin-dir", "--config-file"].map(str::to_owned);
    let [plugins, config] = places;
    let (directory, file) = (machine.path(), machine.config_file());
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let mut all = vec!["inspect".to_owned(), plugins, path(&directory), config, path(&file)];
    all.extend(more.iter().map(|word| (*word).to_owned()));
    all
}

fn inspect(more: &[&str]) -> Finished {
    let machine = machine();
    ipa_host(&arguments(&machine, more))
}

fn callback(ironic: &FakeIronic) -> String {
    format!("{}/v1/continue_inspection", ironic.url())
}

#[test]
fn without_an_address_the_data_are_printed() {
    let printed = inspect(&["--inspection-collectors", "default"]);
    assert_eq!(printed.code, Some(0), "{printed:#?}");
    let data = printed.json();
    assert_eq!((&data["error"], &data["inventory"]["hostname"]), (&Value::Null, &json!("host-1")));
    assert_eq!(data["root_disk"]["name"], "/dev/sda");
    assert_eq!(data["boot_interface"], "52:54:00:12:34:56");
    assert_eq!(data["configuration"]["collectors"], json!(["default"]));
    assert!(data.get("logs").is_none());

    let failed = inspect(&["--inspection-collectors", "default,magic"]);
    assert_eq!(failed.code, Some(70), "{failed:#?}");
    assert!(failed.json()["error"].as_str().is_some_and(|error| error.contains("magic")), "{failed:#?}");
    assert!(failed.stderr.contains("no collector is called magic"), "{failed:#?}");

    let nobody = inspect(&["--daemon"]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(70), ""), "{nobody:#?}");
    assert!(nobody.stderr.contains("--inspection-callback-url"), "{nobody:#?}");
}

#[test]
fn the_data_are_posted_once_to_the_first_address_that_answers() {
    let (dead, ironic) = (FakeIronic::start(), FakeIronic::start());
    dead.go_down();
    let urls = format!("{},{}", callback(&dead), callback(&ironic));
    let posted = inspect(&["--inspection-callback-url", &urls, "--global-request-id", "req-7"]);
    assert_eq!((posted.code, posted.stdout.as_str()), (Some(0), ""), "{posted:#?}");
    let posts = ironic.received(Api::Inspection);
    let [post] = posts.as_slice() else { panic!("{posts:#?}") };
    assert_eq!(post.line, "POST /v1/continue_inspection");
    assert_eq!((&post.body["error"], &post.body["inventory"]["hostname"]), (&Value::Null, &json!("host-1")));
    assert!(post.body["logs"].as_str().is_some_and(|logs| logs.starts_with("H4sI")), "a gzip file in base64");
    let header = |name: &str| post.header(name).to_owned();
    assert_eq!([header("content-type"), header("accept")], ["application/json", "application/json"]);
    assert_eq!(header("x-openstack-request-id"), "req-7");
    for name in ["x-openstack-ironic-api-version", "authorization", "x-auth-token"] {
        assert_eq!(header(name), "", "{name}");
    }
    assert!(posted.stderr.contains(NODE), "{posted:#?}");
    let others = [Api::Root, Api::Lookup, Api::Heartbeat].map(|api| ironic.received(api).len());
    assert_eq!(others, [0, 0, 0], "nobody else is asked anything");
}

/// The address follows from Ironic's if only collectors are named.
#[test]
fn with_collectors_the_data_go_to_each_address_of_ironic() {
    let (dead, ironic) = (FakeIronic::start(), FakeIronic::start());
    dead.go_down();
    let urls = format!("{},{}/", dead.url(), ironic.url());
    let posted = inspect(&["--api-url", &urls, "--inspection-collectors", "default"]);
    assert_eq!(posted.code, Some(0), "{posted:#?}");
    assert_eq!(ironic.received(Api::Inspection).len(), 1);
    assert!(posted.stderr.contains(&format!("{}: ", callback(&dead))), "{posted:#?}");
    let printed = inspect(&["--api-url", &urls]);
    assert!(printed.json()["inventory"].is_object(), "without collectors or callback nobody is told: {printed:#?}");
    assert_eq!(ironic.received(Api::Inspection).len(), 1);
}

#[test]
fn what_ironic_refuses_is_a_failure_and_not_sent_again() {
    let ironic = FakeIronic::start();
    ironic.lies(Api::Inspection, [Fault::Json(404, json!({"faultstring": "Node could not be found."}))]);
    let refused = inspect(&["--inspection-callback-url", &callback(&ironic)]);
    assert_eq!(refused.code, Some(70), "{refused:#?}");
    assert!(refused.stderr.contains("Node could not be found."), "{refused:#?}");
    assert_eq!(ironic.received(Api::Inspection).len(), 1);
}

/// A collector that fails spoils only its part, and Ironic is told.
#[test]
fn a_collector_that_fails_is_told_with_the_data_of_the_others() {
    let ironic = FakeIronic::start();
    let flags = ["--inspection-callback-url", &callback(&ironic), "--inspection-collectors", "lldp,default,logs"];
    let failed = inspect(&flags);
    assert_eq!(failed.code, Some(70), "{failed:#?}");
    let body = ironic.received(Api::Inspection).swap_remove(0).body;
    let error = body["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("The following errors were encountered:\n* collector lldp failed: "), "{error}");
    assert!(body["inventory"].is_object() && body["logs"].is_string(), "{body}");
    assert!(failed.stderr.contains("collector lldp failed"), "{failed:#?}");
}

#[test]
fn a_locked_node_is_tried_again_and_then_taken() {
    let ironic = FakeIronic::start();
    ironic.lies(Api::Inspection, [Fault::Json(409, json!({"faultstring": "Node is locked"})), Fault::Html(503)]);
    let posted = inspect(&["--inspection-callback-url", &callback(&ironic), "--inspection-collectors", "default"]);
    assert_eq!(posted.code, Some(0), "{posted:#?}");
    let posts = ironic.received(Api::Inspection);
    assert_eq!(posts.len(), 3);
    for pair in posts.windows(2) {
        assert!(pair[1].at.duration_since(pair[0].at) >= Duration::from_secs(5));
        assert_eq!(pair[0].body, pair[1].body, "nothing is collected again");
    }
}

/// Nobody takes the data: the agent ends, to be started again.
#[tokio::test]
async fn exhausted_tries_end_the_agent() {
    let ironic = FakeIronic::start();
    ironic.go_down();
    let start = Instant::now();
    let mut host =
        Host::with(machine()).for_ironic().flag("--inspection-callback-url").flag(&callback(&ironic)).launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    assert!(start.elapsed() >= Duration::from_secs(28), "after waits of 5, 5, 6 and 12 seconds");
    host.log_line(&["ipa-host: the inspection data could not be posted", "refused"]);
    assert_eq!(host.log().matches("posting the collected data").count(), 5, "{}", host.log());
}

/// Under the Python agent's name, again and again until a signal ends it.
#[test]
fn as_a_daemon_it_goes_on_also_after_failures() {
    let (machine, ironic) = (machine(), FakeIronic::start());
    let program = machine.home().join("ironic-collect-introspection-data");
    symlink(artifacts::host_binary(), &program).expect("our own directory");
    let url = callback(&ironic);
    let flags = [
        "--inspection_callback_url",
        &url,
        "--inspection_collectors",
        "default",
        "--introspection_daemon",
        "--introspection_daemon_post_interval",
        "1",
    ];
    let mut command = Command::new(&program);
    command.args(&arguments(&machine, &flags)[1..]).stdin(Stdio::null()).stderr(Stdio::piped());
    let (mut child, tag) = processes::spawn_tagged(&mut command);
    let stderr = child.stderr.take().expect("piped");
    let log = std::thread::spawn(move || BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>());
    ironic.wait_for(Api::Inspection, 1);
    ironic.lies(Api::Inspection, [Fault::Json(400, json!({"faultstring": "not now"}))]);
    let posts = ironic.wait_for(Api::Inspection, 4);
    for pair in posts.windows(2) {
        assert!(pair[1].at.duration_since(pair[0].at) >= Duration::from_millis(690));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("positive")).expect("positive");
    kill_process(pid, Signal::TERM).expect("it runs");
    assert!(processes::wait_for(pid, Instant::now() + PATIENCE), "it does not end");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    let log = log.join().expect("reading does not panic").join("\n");
    assert!(log.contains("not now") && log.contains("waiting before the next inspection"), "{log}");
    assert!(log.contains("SIGTERM received"), "{log}");
    let left = processes::left_after(PATIENCE, tag);
    processes::kill_left(&left);
    assert!(left.is_empty(), "{left:#?}");

    ironic.go_down();
    ironic.come_up();
    ironic.lies(Api::Inspection, [Fault::Json(400, json!({"faultstring": "not now"}))]);
    let flags = ["--inspection-callback-url", &url, "--daemon", "--inspection-collectors", "default"];
    let first = ipa_host(&arguments(&machine, &flags));
    assert_eq!(first.code, Some(70), "a first failure ends it: {first:#?}");
}
