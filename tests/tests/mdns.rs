//! Finding Ironic by multicast DNS: the real binary, real sockets, and a responder that tells the truth or does not.

use std::net::IpAddr;
use std::time::Duration;

use ipa_tests::fake_ironic::{Api, Fault, NODE};
use ipa_tests::host::Builder;
use ipa_tests::own_network::{self, ADDRESS_LINK, ADDRESS_V4, ADDRESS_V6};
use ipa_tests::responder::{Responder, Service};
use ipa_tests::{FakeIronic, Host, PluginDir, processes};
use rustix::process::Signal;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Most resident memory of a host that is sent garbage.
const PEAK_KIB: u64 = 40 * 1024;

fn machine(config: &str) -> PluginDir {
    let interfaces = json!([{"name": "eth0", "mac_address": "52:54:00:12:34:56", "ipv4_address": "10.0.0.5"}]);
    let inventory = json!({"interfaces": interfaces, "hostname": "host-1", "disks": []});
    let answers = json!({"list_network_interfaces": {"value": interfaces}, "list_hardware_info": {"value": inventory}});
    PluginDir::with_acme().with_puppet("aaaa", &answers).with_config(&format!("[mdns]\n{config}\n"))
}

/// An agent for an Ironic whose section `mdns` is this. None of its managers makes certificates.
fn agent(config: &str) -> Builder {
    Host::with(machine(config)).for_ironic().flag("--noenable-auto-tls")
}

/// A service on a server of ours.
fn service(kind: &'static str, server: &FakeIronic, texts: &[&str]) -> Service {
    let (_, port) =
        server.url().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).expect("a port");
    Service {
        kind,
        host: "ironic.local",
        port: port.parse().expect("a port"),
        addresses: addresses(&["127.0.0.1", ADDRESS_V4]),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn ironic() -> FakeIronic {
    FakeIronic::start_on(&format!("{ADDRESS_V4}:0"))
}

#[tokio::test]
async fn ironic_and_inspection_are_found_where_an_option_says_mdns() {
    if !own_network::enter("ironic_and_inspection_are_found_where_an_option_says_mdns") {
        return;
    }
    let ironic = ironic();
    ironic.lies(Api::Unknown, [Fault::Json(202, json!({"uuid": NODE}))]);
    let _responder = Responder::announcing(vec![
        service("baremetal-introspection", &ironic, &["protocol=http", "path=/inspector"]),
        service("baremetal", &ironic, &["protocol=http"]),
    ]);
    let host = agent("lookup_attempts = 5").flag("--api-url=mdns").flag("--inspection-callback-url=mdns").start();
    let post = &ironic.wait_for(Api::Unknown, 1)[0];
    assert_eq!(post.line, "POST /inspector/v1/continue");
    assert_eq!((&post.body["error"], &post.body["inventory"]["hostname"]), (&Value::Null, &json!("host-1")));
    let lookup = &ironic.wait_for(Api::Lookup, 1)[0];
    assert!(lookup.line.ends_with(&format!("&node_uuid={NODE}")), "{}", lookup.line);
    let port = host.address().rsplit_once(':').expect("with port").1;
    let beat = &ironic.wait_for(Api::Heartbeat, 1)[0];
    assert_eq!(beat.body["callback_url"], format!("http://{ADDRESS_V4}:{port}"));
}

#[tokio::test]
async fn by_default_nobody_is_asked() {
    if !own_network::enter("by_default_nobody_is_asked") {
        return;
    }
    let ironic = ironic();
    let responder = Responder::announcing(vec![service("baremetal", &ironic, &["protocol=http"])]);
    let host = agent("").start();
    host.log_line(&["neither ipa-api-url nor ipa-inspection-callback-url"]);
    assert_eq!(responder.asked(), []);
    let standalone = Host::with(machine("")).flag("--api-url=mdns").start();
    assert_eq!(standalone.client().get("/v1/status").await.status, 200);
    assert_eq!(responder.asked(), []);
}

/// Only `use_mdns`: where there is no Ironic the agent goes on without, where there is one it is used.
#[tokio::test]
async fn without_an_address_an_ironic_is_used_if_there_is_one() {
    if !own_network::enter("without_an_address_an_ironic_is_used_if_there_is_one") {
        return;
    }
    let host = agent("use_mdns = true\nlookup_attempts = 1").start();
    host.log_line(&["going on without an Ironic", "nobody answered"]);
    host.log_line(&["neither ipa-api-url nor ipa-inspection-callback-url"]);

    let ironic = ironic();
    let _responder = Responder::announcing(vec![service("baremetal", &ironic, &["protocol=http"])]);
    let _host = agent(&format!("use_mdns = true\ninterfaces = {ADDRESS_V4}")).start();
    ironic.wait_for(Api::Heartbeat, 1);
}

/// At an address of the whole network, and at one of the link, which is reached through the interface of who said so.
#[tokio::test]
async fn ironic_is_found_by_ipv6() {
    if !own_network::enter("ironic_is_found_by_ipv6") {
        return;
    }
    let ironic = FakeIronic::start_on("[::]:0");
    for (address, shown) in
        [(ADDRESS_V6, format!("http://[{ADDRESS_V6}]:")), (ADDRESS_LINK, format!("http://[{ADDRESS_LINK}%"))]
    {
        let mut announced = service("baremetal", &ironic, &["protocol=http"]);
        announced.addresses = addresses(&["::1", address]);
        let _responder = Responder::announcing_by_ipv6(vec![announced]);
        let beats = ironic.received(Api::Heartbeat).len();
        ironic.forget_agent();
        let host = agent("lookup_attempts = 5").flag("--api-url=mdns").flag("--advertise-host=fd09::1").start();
        host.log_line(&["found by multicast DNS", &shown]);
        ironic.wait_for(Api::Heartbeat, beats + 1);
    }
}

#[tokio::test]
async fn an_answer_sets_only_what_is_listed_and_refusals_are_logged() {
    if !own_network::enter("an_answer_sets_only_what_is_listed_and_refusals_are_logged") {
        return;
    }
    let ironic = ironic();
    let texts = [
        "protocol=http",
        "ipa_insecure=true",
        "ipa_agent_token=hijacked-0123456789",
        "ipa_global_request_id=req-9",
        "ipa_listen_port=many",
        "hello=1",
        "ipa_lookup_interval",
    ];
    let _responder = Responder::announcing(vec![service("baremetal", &ironic, &texts)]);
    let allowed = "allowed_overrides = global_request_id, listen_port, lookup_interval";
    let host = agent(allowed).flag("--api-url=mdns").start();
    assert_eq!(ironic.wait_for(Api::Lookup, 1)[0].header("x-openstack-request-id"), "req-9");
    host.log_line(&["has set an option", "global_request_id"]);
    for parts in [
        ["not set", "insecure is not listed in [mdns]allowed_overrides"],
        ["not set", "agent_token is not listed in [mdns]allowed_overrides"],
        ["ipa_listen_port", "allowed is a whole number"],
        ["hello", "their names begin with ipa_"],
        ["ipa_lookup_interval", "has no value"],
    ] {
        host.log_line(&parts);
    }
    assert!(!host.log().contains("hijacked"), "{}", host.log());
}

/// Data and token go nowhere that is not listed, whoever asks for them.
#[tokio::test]
async fn an_ironic_in_a_foreign_network_is_refused_with_the_cure() {
    if !own_network::enter("an_ironic_in_a_foreign_network_is_refused_with_the_cure") {
        return;
    }
    let ironic = ironic();
    let mut far = service("baremetal", &ironic, &[]);
    far.addresses = addresses(&["203.0.113.9"]);
    let responder = Responder::announcing(vec![far]);
    let mut host = agent("lookup_attempts = 1").flag("--api-url=mdns").launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&["api_url is mdns, but", "203.0.113.9 is in no network that [mdns]allowed_addresses lists"]);
    drop(responder);

    let mut named = service("baremetal", &ironic, &["protocol=http"]);
    named.host = "localhost";
    let _responder = Responder::announcing(vec![named]);
    let mut host = agent("lookup_attempts = 1").flag("--api-url=mdns").launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&["its host is localhost, which [mdns]allowed_addresses does not list"]);
}

#[tokio::test]
async fn where_nobody_answers_the_agent_ends_with_a_reason_or_by_signal() {
    if !own_network::enter("where_nobody_answers_the_agent_ends_with_a_reason_or_by_signal") {
        return;
    }
    let launch = || agent("lookup_attempts = 1").flag("--api-url=mdns").launch();
    let mut host = launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&["api_url is mdns, but", "nobody answered", "enable_mdns"]);

    let mut host = launch();
    host.log_line(&["asking by multicast DNS"]);
    host.signal(Signal::TERM);
    assert_eq!(host.ended(PATIENCE).code(), Some(0), "{}", host.log());

    let absent = "lookup_attempts = 1\ninterfaces = 10.77.0.1, fd77::1";
    let mut host = agent(absent).flag("--inspection-callback-url=mdns").launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&["inspection_callback_url is mdns, but", "10.77.0.1: ", "that this machine does not have"]);
}

/// Garbage, names that go round in circles, and as much of all as fits: it costs neither the agent nor its memory.
#[tokio::test]
async fn hostile_answers_cost_nothing_but_the_time_of_the_lookup() {
    if !own_network::enter("hostile_answers_cost_nothing_but_the_time_of_the_lookup") {
        return;
    }
    let ironic = ironic();
    let honest = service("baremetal", &ironic, &["protocol=http"]);
    let number = std::sync::atomic::AtomicUsize::new(0);
    let responder = Responder::answering(Box::new(move |question| {
        let good = honest.answer(question)?;
        let header = [&question[..2], &[0x84, 0, 0, 0, 0, 200, 0, 0, 0, 0]].concat();
        Some(match number.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => [header, b"\xc0\x0c".repeat(4000)].concat(),
            1 => [header, b"\x01a\xc0\x0e\xc0\x0c\0\x10\0\x01\0\0\0\x0a\xff\xff".to_vec()].concat(),
            2 => [header, vec![0xff; 8000]].concat(),
            3 => good[..good.len() - 1].to_vec(),
            4 => Vec::new(),
            _ => return None,
        })
    }));
    let host = agent("use_mdns = true\nlookup_attempts = 2").flag("-d").start();
    host.log_line(&["going on without an Ironic"]);
    assert!(responder.asked().len() >= 5, "{:?}", responder.asked());
    assert!(host.log().matches("malformed answer").count() >= 4, "{}", host.log());
    let peak = processes::peak_resident_kib(host.id()).expect("it runs");
    assert!(peak < PEAK_KIB, "{peak} KiB");
    assert_eq!(host.client().get("/v1/status").await.status, 200);
}
