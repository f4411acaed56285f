//! `system.lockdown` in a network of its own: the machine is cut off, and the agent stays so that it is not started again.

use ipa_tests::host::{Builder, TOKEN};
use ipa_tests::{Host, PluginDir};
use serde_json::Value;

fn host() -> Builder {
    Host::with(PluginDir::with_acme()).in_own_network()
}

/// Starts it, with two interfaces that are up beside the loopback.
fn started(host: Builder) -> Host {
    let host = host.start();
    // What is mounted shows the interfaces of where it was mounted.
    run(&host, "mount -t sysfs sysfs /sys");
    run(&host, "ip link add ipa0 type veth peer name ipa1");
    for name in ["lo", "ipa0", "ipa1"] {
        run(&host, &format!("ip link set {name} up"));
    }
    assert_eq!(up(&host), ["ipa1", "ipa0"]);
    host
}

fn run(host: &Host, line: &str) -> String {
    let argv: Vec<&str> = line.split(' ').collect();
    host.in_its_network(&argv).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The names of the interfaces that are up, the loopback aside.
fn up(host: &Host) -> Vec<String> {
    let links: Value = serde_json::from_str(&run(host, "ip -json link")).expect("ip writes JSON");
    let links = links.as_array().expect("a list of links").iter();
    let is_up = |link: &&Value| link["flags"].as_array().is_some_and(|flags| flags.contains(&"UP".into()));
    let names = links.filter(is_up).filter_map(|link| link["ifname"].as_str());
    names.filter(|name| *name != "lo").map(str::to_owned).collect()
}

/// Posts the command and gives the answer.
fn lock_down(host: &Host) -> Value {
    let url = format!("http://{}/v1/commands/?agent_token={TOKEN}", host.address());
    let command = r#"{"name":"system.lockdown","params":{}}"#;
    let answer = run(host, &format!("curl --silent --show-error --max-time 20 {url} --json {command}"));
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn lockdown_sets_every_interface_down_and_the_agent_stays() {
    let host = started(host());
    let answer = lock_down(&host);
    assert_eq!(answer["command_status"], "SUCCEEDED", "the answer still gets out: {answer}");
    host.log_line(&["system locked down"]);
    assert_eq!(up(&host), Vec::<String>::new(), "{}", host.log());
    let status = format!("http://{}/v1/status", host.address());
    let served = host.in_its_network(&["curl", "--silent", "--show-error", "--max-time", "5", &status]);
    assert!(served.is_err_and(|error| error.contains("connect")), "the API still answers");
    assert_eq!(host.terminate(), 0, "it waited for a signal");
}

/// An agent that only looks must not cut off the machine it looks at.
#[test]
fn an_agent_that_only_looks_refuses_the_lockdown() {
    let host = started(host().flag("--read-only"));
    let answer = lock_down(&host).to_string();
    assert!(answer.contains("read-only"), "{answer}");
    assert_eq!(up(&host).len(), 2);
    assert_eq!(host.terminate(), 0);
}
