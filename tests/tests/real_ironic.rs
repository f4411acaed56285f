//! The agent and an unmodified Ironic of PyPI, over TLS 1.3, with nothing loosened on either side.
//!
//! `cargo xtask test` installs Ironic and names it in `IPA_IRONIC_PYTHON`.

use ipa_tests::real_ironic::{Ironic, Machine, Node, interface};
use serde_json::{Value, json};

/// The inventory that is stored is the generic manager's of this machine, and its interfaces become ports.
#[tokio::test]
#[ignore = "needs Ironic; cargo xtask test has it"]
async fn inspection_stores_the_inventory_and_creates_ports() {
    let node = Node::manageable().await;
    let second = "52:54:00:1c:00:01";
    node.provision("inspect", json!({})).await;
    node.reaches("inspect wait").await;
    let interfaces = json!([interface("eno1", node.mac()), interface("eno2", second)]);
    let machine = Machine::of(&node).with_interfaces(&interfaces);
    let callback = format!("{}/v1/continue_inspection", Ironic::shared().url());
    let _host = machine.flag("--inspection-callback-url").flag(&callback).boot();
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
    let cached =
        node.until("the steps", |node| !node["driver_internal_info"]["hardware_manager_version"].is_null()).await;
    let info = &cached["driver_internal_info"];
    assert_eq!(info["hardware_manager_version"]["acme"], "1.0.0", "{info:#}");
    node.reaches("available").await;
    host.log_line(&["erasing", "controller=0", "acme"]);
    let _: &Value = info;
}
