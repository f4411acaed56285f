//! The node is looked up again where a hardware manager needs to know it as it is now.

use ipa_tests::client::step_params;
use ipa_tests::fake_ironic::{Api, Fault, NODE};
use ipa_tests::host::Builder;
use ipa_tests::machine::{self, MACS};
use ipa_tests::{FakeIronic, Host, PluginDir};
use serde_json::{Value, json};

/// A machine whose step `choose` names the root device that the node's hints ask for, as a manager chooses it.
fn host(ironic: &FakeIronic) -> Builder {
    let choose = json!({
        "get_os_install_device": {"hinted": 0},
        "choose": {"hinted": 0},
    });
    let plugins = machine::describe(PluginDir::with_acme(), &choose);
    Host::with(plugins.with_config("[DEFAULT]\nenable_auto_tls = false\n")).with_ironic(&ironic.url())
}

async fn chosen(host: &Host, permit_refresh: bool) -> Value {
    let mut step = step_params("choose", json!({"permit_refresh": permit_refresh}));
    // As Ironic knew it when it sent the command.
    step["node"] = json!({"uuid": NODE, "properties": {}, "instance_info": {}});
    let result = host.client().run("clean.execute_clean_step", step).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    result["command_result"]["clean_result"].clone()
}

/// An operator gives hints after the ramdisk has booted.
#[tokio::test]
async fn hints_that_came_after_the_lookup_are_seen_by_who_asks_for_them() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).start();
    ironic.wait_for(Api::Heartbeat, 1);
    ironic.set_properties(json!({"root_device": {"name": "/dev/sdb"}}));
    assert_eq!(chosen(&host, false).await, Value::Null, "nobody asked for it");
    assert_eq!(ironic.received(Api::Lookup).len(), 1);
    let roots = ironic.received(Api::Root).len();

    assert_eq!(chosen(&host, true).await, "/dev/sdb");
    let lookup = ironic.received(Api::Lookup).swap_remove(1);
    assert_eq!(lookup.line, format!("GET /v1/lookup?addresses={MACS}&node_uuid={NODE}"));
    assert_eq!(
        ironic.received(Api::Root).len(),
        roots,
        "it is the client of the first lookup, which knows the version"
    );
    host.log_line(&["looking the node up again", "puppet_aaaa"]);

    assert_eq!(chosen(&host, true).await, "/dev/sdb");
    host.assert_well().await;
    ironic.next(Api::Heartbeat);
}

/// An Ironic that does not answer costs some time and nothing else.
#[tokio::test]
async fn without_an_answer_the_node_is_as_it_was() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).flag("--lookup-timeout").flag("1").start();
    ironic.wait_for(Api::Heartbeat, 1);
    ironic.lies(Api::Lookup, vec![Fault::Html(503); 20]);
    assert_eq!(chosen(&host, true).await, Value::Null);
    host.log_line(&["the node could not be looked up again", "Error 503"]);
    host.assert_well().await;
}

#[tokio::test]
async fn without_ironic_the_node_is_as_it_was_given() {
    let ironic = FakeIronic::start();
    let plugins = machine::describe(PluginDir::with_acme(), &json!({"choose": {"hinted": 0}}));
    let host = Host::with(plugins).flag("--api-url").flag(&ironic.url()).start();
    assert_eq!(chosen(&host, true).await, Value::Null);
    host.assert_well().await;
    assert_eq!([Api::Lookup, Api::Heartbeat].map(|api| ironic.received(api).len()), [0; 2], "it is standalone");
}

/// The generic manager's choice, told by another manager's step: hints that an operator gives after the ramdisk has
/// booted are seen, and those that fit no disk are an error that says so.
#[tokio::test]
async fn the_generic_manager_sees_hints_that_came_late() {
    let ironic = FakeIronic::start();
    let plugins = machine::describe(PluginDir::with_acme(), &json!({"choose": {"dispatch": "get_os_install_device"}}))
        .with(&ipa_tests::artifacts::plugin("ipa-generic"))
        .with_config("[DEFAULT]\nenable_auto_tls = false\n");
    let host = Host::with(plugins).with_ironic(&ironic.url()).flag("--disk-wait-attempts").flag("1").start();
    ironic.wait_for(Api::Heartbeat, 1);
    ironic.set_properties(json!({"root_device": {"serial": "no such disk"}}));
    let mut step = step_params("choose", json!({"permit_refresh": true}));
    step["node"] = json!({"uuid": NODE, "properties": {}, "instance_info": {}});
    let result = host.client().run("clean.execute_clean_step", step).await;
    assert_eq!(result["command_status"], "FAILED", "{result}");
    let details = result["command_error"]["details"].as_str().unwrap_or_default();
    assert!(details.contains("using these hints {\"serial\":\"no such disk\"}"), "{result}");
    assert_eq!(host.terminate(), 0);
}
