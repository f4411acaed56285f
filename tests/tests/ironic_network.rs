//! The agent and its Ironic where network and clock behave badly.

use std::fs;
use std::time::{Duration, Instant};

use ipa_tests::fake_ironic::{Api, Received};
use ipa_tests::host::TOKEN;
use ipa_tests::own_network::{self, ADDRESS_V6, OTHER_END};
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
/// The machine's own address, where there is nothing but IPv6.
const MACHINE_V6: &str = "fd09::2";
/// Longest wait after a failed heartbeat, with what a busy machine adds.
const RECOVERY: Duration = Duration::from_secs(14);

fn gaps(beats: &[Received]) -> impl Iterator<Item = f64> {
    beats.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_secs_f64())
}

fn run(host: &Host, line: &str) -> String {
    let argv: Vec<&str> = line.split(' ').collect();
    host.in_its_network(&argv).unwrap_or_else(|error| panic!("{line}: {error}"))
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
    let builder = Host::with(machine::plain()).with_ironic(&ironic.url()).in_own_network().listens_by_default();
    let mut host = builder.flag("--http-request-timeout").flag("2").launch();
    host.log_line(&["lookup failed", "tcp connect error"]);
    own_network::connect(host.id());
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
