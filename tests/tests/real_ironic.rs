//! The agent and an unmodified Ironic of PyPI, over TLS 1.3, with nothing loosened on either side.
//!
//! `cargo xtask test` installs Ironic and names it in `IPA_IRONIC_PYTHON`. Ironic boots its nodes by iPXE; the tests read
//! the kernel line in what it writes for that and start the agent with it, and with nothing else but the authority that
//! signed Ironic's certificate. Needs root, for the agents' file systems of their own.

use std::fs;
use std::time::Duration;

use ipa_tests::Host;
use ipa_tests::real_ironic::{Machine, Node, free_port, interface};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// Steps that an operator asks for by name, under the key that the target state has for them.
fn steps(key: &str, names: &[&str]) -> Value {
    let steps: Vec<_> = names.iter().map(|name| json!({"interface": "deploy", "step": name})).collect();
    json!({key: steps})
}

/// What a manager says of a step.
fn step(name: &str, priority: u32) -> Value {
    json!({"step": name, "interface": "deploy", "priority": priority, "reboot_requested": false, "abortable": true})
}

/// A node that waits for its ramdisk to clean it with these steps.
async fn waiting_to_clean(names: &[&str]) -> Node {
    let node = Node::manageable().await;
    node.provision("clean", steps("clean_steps", names)).await;
    node.reaches("clean wait").await;
    node
}

/// A machine whose clean step `work` takes until it is cancelled.
fn works(machine: Machine) -> Machine {
    machine.does("clean_steps", json!([step("work", 0)])).does("work", json!({"work": ["10", "working"]}))
}

/// Waits until Ironic knows that the step `work` runs. An agent that is gone before that fails the cleaning.
async fn is_at_work(node: &Node) {
    let is_waited_for = |node: &Value| {
        node["clean_step"]["step"] == "work" && node["provision_state"] == "clean wait" && node["reservation"].is_null()
    };
    node.until("the running step", is_waited_for).await;
}

/// The steps that an agent has completed: kind and name.
fn performed(host: &Host) -> Vec<String> {
    let log = host.log();
    let word = |line: &str, key: &str| {
        let value = line.split(' ').find_map(|word| word.strip_prefix(key));
        value.unwrap_or_else(|| panic!("no {key} in {line}")).to_owned()
    };
    let lines = log.lines().filter(|line| line.contains("step completed"));
    lines.map(|line| format!("{} {}", word(line, "kind="), word(line, "step="))).collect()
}

/// The token in the answer of a lookup.
fn token(lookup: &Value) -> &str {
    lookup["config"]["agent_token"].as_str().expect("a lookup has a token")
}

/// A token may begin with a dash.
fn token_flag(token: &str) -> String {
    format!("--agent-token={token}")
}

/// The inventory that is stored is the generic manager's of this machine, and its interfaces become ports.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn inspection_stores_the_inventory_and_creates_ports() {
    let node = Node::manageable().await;
    let second = "52:54:00:1c:00:01";
    node.provision("inspect", json!({})).await;
    node.reaches("inspect wait").await;
    let interfaces = json!([interface("eno1", node.mac()), interface("eno2", second)]);
    let _host = Machine::of(&node).with_interfaces(&interfaces).boot();
    let inspected = node.reaches("manageable").await;
    assert!(inspected["inspection_finished_at"].is_string(), "{inspected:#}");
    assert_eq!(inspected["properties"]["cpu_arch"], std::env::consts::ARCH);
    let stored = node.part("inventory").await;
    assert_eq!(stored["inventory"]["interfaces"][1]["mac_address"], second, "{stored:#}");
    assert!(stored["inventory"]["cpu"]["count"].as_u64() > Some(0), "{stored:#}");
    assert!(stored["inventory"]["memory"]["physical_mb"].as_u64() > Some(0), "{stored:#}");
    let ports = node.part("ports").await;
    let mut addresses: Vec<_> =
        ports["ports"].as_array().expect("a list").iter().map(|port| &port["address"]).collect();
    addresses.sort_by_key(|address| address.to_string());
    assert_eq!(addresses, [&json!(node.mac()), &json!(second)]);
}

/// Automated cleaning runs the step of an example plugin and makes the node available.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn automated_cleaning_runs_the_step_of_an_example() {
    let node = Node::manageable().await;
    node.provision("provide", json!({})).await;
    node.reaches("clean wait").await;
    let host = Machine::of(&node).boot();
    let version = |node: &Value| node["driver_internal_info"]["hardware_manager_version"].clone();
    let cleaning = node.until("the steps", |node| version(node).is_object()).await;
    assert_eq!(version(&cleaning)["acme"], "1.0.0");
    node.reaches("available").await;
    host.log_line(&["erasing", "controller=0", "acme"]);
    assert_eq!(performed(&host), ["clean acme_erase_cache"]);
}

/// Ironic tells the agent to speak nothing below TLS 1.3, trusts the certificate that the agent made, and nobody else
/// has the token.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn the_agent_serves_tls_1_3_with_a_certificate_of_its_own() {
    let node = waiting_to_clean(&["work"]).await;
    let _host = works(Machine::of(&node)).boot();
    is_at_work(&node).await;
    let agent = node.agent().await;
    assert!(agent.url().starts_with("https://127.0.0.1:"), "{}", agent.url());
    assert_eq!(agent.status("/v1/status", "1.3"), Ok(200));
    for query in ["", "?agent_token=", "?agent_token=wrong"] {
        assert_eq!(agent.status(&format!("/v1/commands/{query}"), "1.3"), Ok(401), "{query}");
    }
    let older = agent.status("/v1/status", "1.2").expect_err("the agent takes a client of TLS 1.2");
    assert!(older.contains("protocol version"), "{older}");
}

/// After a reboot the ramdisk has other managers than the step list was made by: the agent refuses to go on with it,
/// and Ironic begins anew.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn other_managers_after_a_reboot_start_cleaning_anew() {
    let node = Node::manageable().await;
    let machine = || {
        let mut flash = step("flash", 60);
        flash["reboot_requested"] = json!(true);
        Machine::of(&node)
            .does("clean_steps", json!([flash, step("check", 50)]))
            .does("flash", json!({"value": "flashed"}))
            .does("check", json!({"value": "checked"}))
    };
    node.provision("provide", json!({})).await;
    node.reaches("clean wait").await;
    let is_rebooted = |node: &Value| {
        let info = &node["driver_internal_info"];
        info["cleaning_reboot"] == true && info["agent_url"].is_null() && node["provision_state"] == "clean wait"
    };

    let first = machine().boot();
    node.until("the reboot after the first step", is_rebooted).await;
    assert_eq!(performed(&first), ["clean flash"]);
    drop(first);

    let second = machine().with_another_manager().boot();
    second.log_line(&["Hardware managers version mismatch", "puppet_more"]);
    node.until("the reboot after the first step of the new beginning", is_rebooted).await;
    assert_eq!(performed(&second), ["clean flash"]);
    drop(second);

    let third = machine().with_another_manager().boot();
    let cleaned = node.reaches("available").await;
    assert!(cleaned["last_error"].is_null(), "{cleaned:#}");
    assert_eq!(performed(&third), ["clean check", "clean acme_erase_cache"]);
}

/// What a manager says about its failure is what the operator reads at the node, and Ironic has the agent's logs.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn the_message_of_a_failing_step_is_the_nodes_last_error() {
    let node = waiting_to_clean(&["flash"]).await;
    let _host = Machine::of(&node)
        .does("clean_steps", json!([step("flash", 0)]))
        .does("flash", json!({"cleaning_error": "0000:3b:00.0: sector 12 is write protected"}))
        .boot();
    let failed = node.ends("clean failed").await;
    let error = failed["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("flash") && error.contains("0000:3b:00.0: sector 12 is write protected"), "{error}");
    assert_eq!(node.logs().len(), 1, "{:?}", node.logs());
}

/// A step of a node with an instance, which is active again afterwards.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn a_service_step_runs_on_an_active_node() {
    let node = Node::active().await;
    node.provision("service", steps("service_steps", &["look"])).await;
    node.reaches("service wait").await;
    let host = Machine::of(&node)
        .does("service_steps", json!([step("look", 0)]))
        .does("look", json!({"value": "seen"}))
        .boot();
    let served = node.reaches("active").await;
    assert!(served["last_error"].is_null(), "{served:#}");
    assert_eq!(performed(&host), ["service look"]);
}

/// A deployment whose only step in the ramdisk is a plugin's. At its end the agent is to power the machine off.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn a_deploy_step_of_a_plugin_deploys_a_node() {
    let node = Node::available().await;
    node.provision("active", json!({})).await;
    node.reaches("wait call-back").await;
    let machine = Machine::of(&node)
        .does("deploy_steps", json!([step("install", 85)]))
        .does("install", json!({"value": "installed"}));
    let asked = machine.asked();
    let host = machine.boot();
    let deployed = node.reaches("active").await;
    assert!(deployed["last_error"].is_null(), "{deployed:#}");
    assert_eq!(performed(&host), ["deploy install"]);
    assert_eq!(asked.call("poweroff").await, "poweroff");
}

/// The password that Ironic hashed arrives, and the agent stops serving before the user's network is connected.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn rescue_leaves_the_password_and_ends_the_agent() {
    let node = Node::active().await;
    node.provision("rescue", json!({"rescue_password": "tests-only"})).await;
    node.reaches("rescue wait").await;
    let machine = Machine::of(&node);
    let password = machine.etc("ipa-rescue-config/ipa-rescue-password");
    let mut host = machine.boot();
    let rescued = node.reaches("rescue").await;
    assert!(rescued["last_error"].is_null(), "{rescued:#}");
    let hash = fs::read_to_string(password).expect("the password's hash");
    assert!(hash.starts_with("$5$") || hash.starts_with("$6$"), "a hash, not {hash}");
    assert_eq!(host.ended(PATIENCE).code(), Some(0));
}

/// A new process on a machine that was not rebooted has no token, and Ironic gives none twice. The agent says so; the
/// operator aborts, and the next boot works.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn an_agent_that_is_restarted_in_a_step_is_refused_until_the_node_is_rebooted() {
    let node = waiting_to_clean(&["work"]).await;
    let host = works(Machine::of(&node)).boot();
    is_at_work(&node).await;
    drop(host);

    let restarted = works(Machine::of(&node)).boot();
    restarted.log_line(&["agent token of this node has been given out already", "Reboot the node through Ironic"]);
    assert_eq!(node.show().await["provision_state"], "clean wait");
    node.provision("abort", json!({})).await;
    node.ends("clean failed").await;
    drop(restarted);

    node.provision("manage", json!({})).await;
    node.reaches("manageable").await;
    node.provision("clean", steps("clean_steps", &["acme_erase_cache"])).await;
    node.reaches("clean wait").await;
    let rebooted = works(Machine::of(&node)).boot();
    node.reaches("manageable").await;
    assert_eq!(performed(&rebooted), ["clean acme_erase_cache"]);
}

/// Whoever shows up with another token than Ironic gave is nobody, and so is a second agent with the same MAC address.
/// Neither disturbs the one with the right token.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn a_wrong_token_and_a_second_agent_are_refused() {
    let node = waiting_to_clean(&["acme_erase_cache"]).await;
    let given = node.look_up().await;
    assert_eq!(token(&node.look_up().await), "******", "Ironic tells a token once");

    let second = Machine::of(&node).boot();
    second.log_line(&["agent token of this node has been given out already"]);
    let wrong = "W".repeat(token(&given).len());
    let impostor = Machine::of(&node).flag(&token_flag(&wrong)).boot();
    impostor.log_line(&["heartbeat failed", "Invalid or missing agent token received"]);
    let before = node.show().await;
    assert_eq!(before["provision_state"], "clean wait");
    assert!(before["driver_internal_info"]["agent_url"].is_null(), "{before:#}");

    let first = Machine::of(&node).flag(&token_flag(token(&given))).boot();
    node.reaches("manageable").await;
    assert_eq!(performed(&first), ["clean acme_erase_cache"]);
    for other in [second, impostor] {
        assert!(!other.has_logged(&["heartbeat accepted"]), "{}", other.log());
        assert!(performed(&other).is_empty(), "{}", other.log());
    }
}

/// Ironic keeps the certificate of the first heartbeat, so that nobody can put himself in the agent's place.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn a_changed_certificate_is_refused() {
    let node = waiting_to_clean(&["work"]).await;
    let given = node.look_up().await;
    let port = free_port();
    let machine = || works(Machine::of(&node)).listens_on(port).flag(&token_flag(token(&given)));
    let host = machine().boot();
    is_at_work(&node).await;
    drop(host);
    let other = machine().boot();
    other.log_line(&["heartbeat failed", "Detected change in ramdisk provided", "agent_verify_ca"]);
    assert_eq!(node.show().await["provision_state"], "clean wait");
}

/// Ironic's default is to speak to agents over TLS only.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn an_agent_without_tls_is_refused() {
    let node = waiting_to_clean(&["acme_erase_cache"]).await;
    let host = Machine::of(&node).flag("--noenable-auto-tls").boot();
    host.log_line(&["heartbeat failed", "TLS is required by configuration"]);
    let waiting = node.show().await;
    assert!(waiting["driver_internal_info"]["agent_url"].is_null(), "{waiting:#}");
}
