//! Rescue mode: the agent gets out of the way, and a restarted one stays out of it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use ipa_tests::fake_ironic::Api;
use ipa_tests::host::Builder;
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

/// A machine with an `/etc` of its own, in which there is nothing yet.
fn plain() -> PluginDir {
    let plugins = machine::plain();
    fs::create_dir(plugins.home().join("etc")).expect("our own directory");
    fs::write(plugins.home().join("cmdline"), "").expect("our own directory");
    plugins
}

fn agent(plugins: PluginDir, ironic: &FakeIronic) -> Builder {
    let home = plugins.home().to_owned();
    Host::with(plugins).with_own_files(&home).with_ironic(&ironic.url())
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn is_rescued(etc: &Path) -> bool {
    etc.join(".rescued").exists()
}

/// API and heartbeats end with the answer, the process soon after; the marker and the password's hash stay.
#[tokio::test]
async fn the_agent_ends_with_the_answer_and_leaves_a_marker() {
    let ironic = FakeIronic::start();
    ironic.set_heartbeat_timeout(4);
    let plugins = plain();
    let etc = plugins.home().join("etc");
    let mut host = agent(plugins, &ironic).start();
    ironic.wait_for(Api::Heartbeat, 1);
    assert!(!is_rescued(&etc));
    let params = json!({"rescue_password": "tests-only", "hashed": false});
    let answer = host.client().post("rescue.finalize_rescue", params, "").await;
    assert_eq!((answer.status, &answer.body["command_status"]), (200, &json!("SUCCEEDED")), "{}", answer.body);
    assert_eq!(answer.body["command_result"], Value::Null);
    assert_eq!(host.ended(PATIENCE).code(), Some(0), "{}", host.log());
    assert!(TcpStream::connect(host.address()).is_err(), "nobody listens any more");
    assert!(is_rescued(&etc));
    let hash = fs::read_to_string(etc.join("ipa-rescue-config/ipa-rescue-password")).expect("it was written");
    assert!(hash.starts_with("$5$"), "{hash}");
    assert!(!host.log().contains("tests-only"), "the password must not be logged");
}

/// The rescued user's machine: nobody is asked or told anything, nothing listens, the interfaces stay as they are, and
/// the process waits, so that it is not started again.
#[test]
fn on_a_rescued_machine_the_api_is_never_served() {
    let ironic = FakeIronic::start();
    let plugins = plain();
    fs::write(plugins.home().join("etc/.rescued"), "").expect("our own directory");
    let port = free_port();
    let host = agent(plugins, &ironic).flag("--listen-port").flag(&port.to_string()).launch();
    host.log_line(&["the machine is in rescue mode: the API is not served"]);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let (code, log) = host.terminate_with_log();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("listening on") && !log.contains("locking down"), "{log}");
    assert_eq!([Api::Root, Api::Lookup, Api::Heartbeat].map(|api| ironic.received(api).len()), [0; 3]);
}
