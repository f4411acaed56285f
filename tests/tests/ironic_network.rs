//! The agent and its Ironic where network and clock behave badly.

use std::fs;
use std::time::{Duration, Instant};

use ipa_tests::fake_ironic::{Api, Received};
use ipa_tests::host::TOKEN;
use ipa_tests::own_network::{self, ADDRESS_V4, ADDRESS_V6, OTHER_END};
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
/// The machine's own address, where there is nothing but IPv6.
const MACHINE_V6: &str = "fd09::2";
/// The address that it changes to.
const MACHINE_V4: [&str; 2] = ["10.9.0.2", "10.9.0.3"];
/// Interfaces of a machine that has many.
const MANY: usize = 64;
/// Longest wait after a failed heartbeat, with what a busy machine adds.
const RECOVERY: Duration = Duration::from_secs(14);

fn gaps(beats: &[Received]) -> impl Iterator<Item = f64> {
    beats.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64())
}

fn run(host: &Host, line: &str) -> String {
    let argv: Vec<&str> = line.split(' ').collect();
    host.in_its_network(&argv).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// An agent in a network namespace of its own, which gets its cable when a lookup has failed without one.
fn plugged_in_late(ironic: &FakeIronic) -> Host {
    let builder = Host::with(machine::plain()).with_ironic(&ironic.url()).in_own_network().listens_by_default();
    let host = builder.flag("--http-request-timeout").flag("2").launch();
    host.log_line(&["lookup failed", "tcp connect error"]);
    own_network::connect(host.id());
    host
}

/// A machine with a network namespace of its own, the cable of which is plugged in when the agent runs already. There
/// is no IPv4 but the loopback's, and the agent listens where it does by default.
#[test]
fn a_machine_with_nothing_but_ipv6_meets_ironic() {
    if !own_network::enter("a_machine_with_nothing_but_ipv6_meets_ironic") {
        return;
    }
    let ironic = FakeIronic::start_on(&format!("[{ADDRESS_V6}]:0"));
    ironic.set_heartbeat_timeout(4);
    let mut host = plugged_in_late(&ironic);
    run(&host, &format!("ip address add {MACHINE_V6}/64 dev {OTHER_END} nodad"));
    run(&host, &format!("ip link set {OTHER_END} up"));
    host.listens();
    assert_eq!(host.address(), "[::]:9999");
    let url = format!("http://[{MACHINE_V6}]:9999");
    assert_eq!(ironic.wait_for(Api::Heartbeat, 1)[0].body["callback_url"], url);
    assert_eq!(run(&host, "ip -4 address show scope global"), "", "there is an IPv4 address");
    // From here to there, as Ironic calls.
    let status = curl(&format!("{url}/v1/commands/?agent_token={TOKEN}"));
    assert!(status.contains("\"commands\""), "{status}");

    // Every packet to Ironic is lost, without an error: the neighbour is told to be somewhere else.
    run(&host, &format!("ip neighbour replace {ADDRESS_V6} lladdr 02:00:00:00:00:99 dev {OTHER_END} nud permanent"));
    host.log_line(&["heartbeat failed"]);
    run(&host, &format!("ip neighbour del {ADDRESS_V6} dev {OTHER_END}"));
    let start = Instant::now();
    let beat = ironic.next(Api::Heartbeat);
    assert!(start.elapsed() < RECOVERY, "{:?}", start.elapsed());
    assert_eq!(beat.body["callback_url"], url);
    // With the machine's network the cable goes, and both of its ends.
    drop(ironic);
    assert_eq!(host.terminate(), 0);
}

fn curl(url: &str) -> String {
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--globoff", "--noproxy", "*", "--max-time", "20", url]);
    let output = curl.output().expect("these tests need the program curl");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A day forwards, two days back: heartbeats keep their pace by a clock that nobody sets, and the API serves on.
#[tokio::test]
async fn a_wall_clock_that_jumps_moves_no_heartbeat() {
    let ironic = FakeIronic::start();
    ironic.set_heartbeat_timeout(4);
    let plugins = machine::plain();
    let clock = plugins.home().join("clock");
    fs::write(&clock, "0").expect("our own directory");
    let host = Host::with(plugins).with_ironic(&ironic.url()).with_wall_clock(&clock).start();
    let mut count = ironic.wait_for(Api::Heartbeat, 2).len();
    let today = host.log_line(&["heartbeats begin"]);
    for seconds in [86_400, -86_400, 4 * 365 * 86_400, -50 * 365 * 86_400] {
        fs::write(&clock, seconds.to_string()).expect("our own file");
        count += 2;
        ironic.wait_for(Api::Heartbeat, count);
        host.assert_well().await;
    }
    for gap in gaps(&ironic.received(Api::Heartbeat)) {
        // A command that ends forces the next one, 5 seconds after the last.
        assert!((1.2..3.5).contains(&gap), "{gap} s");
    }
    let last = host.log().lines().last().unwrap_or_default().to_owned();
    assert_ne!(last[..4], today[..4], "the log tells the wall clock's time, so that it did move: {last}");
    assert_eq!(host.terminate(), 0);
}

/// Without an address that Ironic could call there is no use in an agent; but it is looked for as long as a node is.
#[test]
fn without_an_address_to_advertise_the_agent_ends() {
    let ironic = FakeIronic::start();
    let flags = ["--network-interface", "no-such0", "--lookup-timeout", "0"];
    let builder = Host::with(machine::describe(PluginDir::with_acme(), &json!({}))).with_ironic(&ironic.url());
    let mut host = flags.iter().fold(builder, |builder, flag| builder.flag(flag)).launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&["no address to advertise: the interface no-such0"]);
    assert_eq!(ironic.received(Api::Heartbeat).len(), 0);
}

/// A name that nobody knows is like a server that is not there.
#[tokio::test]
async fn a_name_that_does_not_resolve_is_named_and_passed_over() {
    let ironic = FakeIronic::start();
    let urls = format!("http://ironic.invalid:6385,{}", ironic.url());
    let host = Host::with(machine::plain()).with_ironic(&urls).flag("--debug").start();
    host.log_line(&["ironic.invalid"]);
    ironic.wait_for(Api::Heartbeat, 1);
    host.assert_well().await;
}

/// A lease that ends and another address that comes: heartbeats go on from there. Ironic is told the first address for
/// ever, because it refuses another one for as long as it has one.
#[test]
fn heartbeats_go_on_from_another_address() {
    if !own_network::enter("heartbeats_go_on_from_another_address") {
        return;
    }
    let ironic = FakeIronic::start_on(&format!("{ADDRESS_V4}:0"));
    ironic.set_heartbeat_timeout(4);
    let mut host = plugged_in_late(&ironic);
    let [before, after] = MACHINE_V4;
    run(&host, &format!("ip address add {before}/24 dev {OTHER_END}"));
    run(&host, &format!("ip link set {OTHER_END} up"));
    host.listens();
    let url = format!("http://{before}:9999");
    assert_eq!(ironic.wait_for(Api::Heartbeat, 2)[0].body["callback_url"], url);

    run(&host, &format!("ip address del {before}/24 dev {OTHER_END}"));
    run(&host, &format!("ip address add {after}/24 dev {OTHER_END}"));
    let start = Instant::now();
    let count = ironic.received(Api::Heartbeat).len() + 2;
    let beats = ironic.wait_for(Api::Heartbeat, count);
    assert!(start.elapsed() < 2 * RECOVERY, "{:?}", start.elapsed());
    assert!(beats.iter().all(|beat| beat.body["callback_url"] == url), "{beats:#?}");
    let status = curl(&format!("http://{after}:9999/v1/status"));
    assert!(status.contains("started_at"), "{status}");
    drop(ironic);
    assert_eq!(host.terminate(), 0);
}

/// The name of an Ironic that moves to another machine is looked up anew.
#[tokio::test]
async fn an_ironic_that_moves_is_found_behind_its_name() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: a file of host names of its own needs root");
        return;
    }
    let first = FakeIronic::start_on("127.0.0.2:0");
    let port = first.url().rsplit_once(':').expect("with port").1.to_owned();
    let plugins = machine::plain();
    let names = plugins.home().join("hosts");
    let points_to = |address: &str| fs::write(&names, format!("{address} ironic.test\n")).expect("our own directory");
    points_to("127.0.0.2");
    let own_names = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", OWN_NAMES, "sh"];
    let own_names = own_names.map(Into::into).into_iter().chain([names.clone().into_os_string()]);
    let host = Host::with(plugins)
        .with_ironic(&format!("http://ironic.test:{port}"))
        .inside(&own_names.collect::<Vec<std::ffi::OsString>>())
        .start();
    let beat = &first.wait_for(Api::Heartbeat, 1)[0];
    assert_eq!(beat.header("host"), format!("ironic.test:{port}"));

    let second = FakeIronic::start_on(&format!("127.0.0.3:{port}"));
    second.give_token_away();
    first.go_down();
    points_to("127.0.0.3");
    // A command that ends forces a heartbeat.
    host.assert_well().await;
    let moved = second.wait_for(Api::Heartbeat, 1)[0].clone();
    assert_eq!((&moved.line, &moved.body), (&beat.line, &beat.body));
    assert_eq!(host.terminate(), 0);
}

/// `OWN_NAMES FILE COMMAND [ARGUMENT...]`: COMMAND has the file in the place of `/etc/hosts`.
const OWN_NAMES: &str = "mount --bind \"$1\" /etc/hosts; shift; exec \"$@\"";

/// A machine full of network cards, one of them without a cable: all are known, and nothing takes long.
#[test]
fn a_machine_with_many_interfaces_is_looked_up_by_all() {
    if !own_network::enter("a_machine_with_many_interfaces_is_looked_up_by_all") {
        return;
    }
    let ironic = FakeIronic::start_on(&format!("{ADDRESS_V4}:0"));
    let generic = ipa_tests::artifacts::plugin("ipa-generic");
    let plugins = PluginDir::new().with(&generic).with_config("[DEFAULT]\nenable_auto_tls = false\n");
    let builder = Host::with(plugins).with_ironic(&ironic.url()).in_own_network().listens_by_default();
    let mut host = builder.inside(&["sh", "-c", MANY_INTERFACES, "sh", &MANY.to_string()]).launch();
    host.log_line(&["lookup failed", "tcp connect error"]);
    own_network::connect(host.id());
    run(&host, &format!("ip address add {}/24 dev {OTHER_END}", MACHINE_V4[0]));
    run(&host, &format!("ip link set {OTHER_END} up"));
    host.listens();
    let lookup = &ironic.wait_for(Api::Lookup, 1)[0].line;
    assert_eq!(lookup.matches("%2C").count() + 1, MANY + 1, "{lookup}");

    let program = ipa_tests::artifacts::host_binary().display().to_string();
    let directory = host.plugin_dir().path().display().to_string();
    let start = Instant::now();
    let inventory = host.in_its_network(&[&program, "inventory", "--json", "--plugin-dir", &directory]);
    let took = start.elapsed();
    let inventory: serde_json::Value = serde_json::from_str(&inventory.expect("it is the machine's")).expect("JSON");
    let interfaces = inventory["interfaces"].as_array().expect("a list");
    assert_eq!(interfaces.len(), MANY + 1);
    for interface in interfaces {
        let plugged = interface["name"] != "unplugged.1";
        assert_eq!(interface["has_carrier"], plugged, "{interface}");
        assert_eq!(interface["ipv4_address"].is_string(), plugged, "{interface}");
    }
    assert!(took < Duration::from_secs(5), "{took:?}");
    let status = curl(&format!("http://{}:9999/v1/status", MACHINE_V4[0]));
    assert!(status.contains("started_at"), "{status}");
    drop(ironic);
    assert_eq!(host.terminate(), 0);
}

/// `MANY_INTERFACES COUNT COMMAND [ARGUMENT...]`: COMMAND has that many interfaces with carrier and address, and one
/// without either. Their names are those of VLANs, which count without being hardware.
const MANY_INTERFACES: &str = r#"
set -eu
mount -t sysfs sysfs /sys
for i in $(seq "$1"); do
    echo "link add card.$i address 52:54:00:64:00:$(printf %02x "$i") type veth peer name far$i"
    echo "link set card.$i up"
    echo "link set far$i up"
    echo "address add 10.64.$i.1/24 dev card.$i"
done | ip -batch -
ip link add unplugged.1 address 52:54:00:64:01:01 type veth peer name nowhere
ip link set unplugged.1 up
shift
exec "$@"
"#;
