//! The agent and its Ironic: lookup, heartbeat and inspection by the real binary, against a server that lies.

use std::time::{Duration, Instant};

use ipa_tests::client::step_params;
use ipa_tests::fake_ironic::{Api, Fault, NODE, Received};
use ipa_tests::host::{Builder, TOKEN};
use ipa_tests::machine::{self, MACS};
use ipa_tests::{FakeIronic, Host, PluginDir, processes};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// Most resident memory of a host that is lied to; Ironic's largest true answers fit in.
const PEAK_KIB: u64 = 40 * 1024;

fn host(ironic: &FakeIronic) -> Builder {
    Host::with(machine::plain()).with_ironic(&ironic.url())
}

fn assert_heartbeat(host: &Host, beat: &Received) {
    assert_eq!(beat.line, format!("POST /v1/heartbeat/{NODE}"));
    assert_eq!(beat.header("x-openstack-ironic-api-version"), "1.68");
    let port = host.address().rsplit_once(':').expect("with port").1;
    assert_eq!(
        beat.body,
        json!({"callback_url": format!("http://127.0.0.1:{port}"), "agent_token": TOKEN,
            "agent_version": env!("CARGO_PKG_VERSION")})
    );
}

#[tokio::test]
async fn the_agent_looks_its_node_up_serves_with_the_token_and_beats() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).flag("--global-request-id").flag("req-7").start();
    let lookup = &ironic.wait_for(Api::Lookup, 1)[0];
    assert_eq!(lookup.line, format!("GET /v1/lookup?addresses={MACS}"));
    assert_eq!(lookup.header("x-openstack-ironic-api-version"), "1.62");
    assert_eq!(ironic.received(Api::Inspection).len(), 0, "nobody asked for an inspection");
    let beat = &ironic.wait_for(Api::Heartbeat, 1)[0];
    assert_heartbeat(&host, beat);
    assert!(beat.at > lookup.at);
    for request in [lookup, beat] {
        assert_eq!(request.header("x-openstack-request-id"), "req-7");
        assert_eq!(
            (request.header("content-type"), request.header("accept")),
            ("application/json", "application/json")
        );
    }
    // The harness's client uses the token that this Ironic gave.
    host.assert_well().await;
    let without = host.client().get("/v1/commands/").await;
    assert_eq!(without.status, 401, "{}", without.body);
    assert!(!host.log().contains(TOKEN), "the token must not be logged");
    assert_eq!(host.terminate(), 0);
}

/// What may come in the place of an answer to a lookup, and a part of what the log says of it.
fn lies() -> Vec<(Fault, &'static str)> {
    let node = |uuid: &str, config: Value| Fault::Json(200, json!({"node": {"uuid": uuid}, "config": config}));
    vec![
        (Fault::Hangup, "connection closed"),
        (Fault::Json(500, json!({"error_message": {"faultstring": "oops"}})), "Error 500: oops"),
        (Fault::Json(409, json!({"faultstring": "Node is locked"})), "Node is locked"),
        (Fault::Json(404, json!({"title": "nobody"})), "Error 404: nobody. Ironic has no node"),
        (Fault::Json(302, Value::Null), "Error 302"),
        (node("../../etc", json!({"heartbeat_timeout": 1})), "no node with a uuid"),
        (node(NODE, json!({"heartbeat_timeout": "soon"})), "no heartbeat_timeout"),
        (Fault::Html(200), "web page"),
        (Fault::Html(503), "Error 503"),
        (Fault::Redirect(308, "file:///etc/passwd".into()), "must not go"),
        (Fault::Truncated, "broke off"),
        (Fault::Huge, "larger than"),
        (Fault::ManyElements, "more than 200000 elements"),
        (Fault::Deep, "no JSON"),
        (Fault::GzipBomb, "packed"),
        (Fault::Garbage, "invalid HTTP"),
        (Fault::EndlessHeaders, "message head is too large"),
    ]
}

/// No lie ends the agent or fills its memory, each is explained, and the first true answer is taken. Three lies a
/// host, since the waits grow.
#[tokio::test]
async fn a_lookup_survives_every_lie() {
    let mut hosts = Vec::new();
    for lies in lies().chunks(3) {
        let ironic = FakeIronic::start();
        ironic.lies(Api::Lookup, lies.iter().map(|(fault, _)| fault.clone()));
        hosts.push((host(&ironic).flag("--lookup-interval").flag("0").launch(), ironic, lies.to_vec()));
    }
    for (mut host, ironic, lies) in hosts {
        host.listens();
        let beat = ironic.wait_for(Api::Heartbeat, 1).swap_remove(0);
        assert_heartbeat(&host, &beat);
        assert_eq!(ironic.received(Api::Lookup).len(), lies.len() + 1);
        for (fault, part) in &lies {
            assert!(host.log().contains(part), "{part:?} for {fault:?}:\n{}", host.log());
        }
        let peak = processes::peak_resident_kib(host.id()).expect("it runs");
        assert!(peak < PEAK_KIB, "{peak} KiB:\n{}", host.log());
        host.assert_well().await;
    }
}

/// Nothing at all, and a byte now and then: neither is waited for longer than the option says.
#[tokio::test]
async fn a_lookup_is_not_held_up_by_a_slow_server() {
    let ironic = FakeIronic::start();
    ironic.lies(Api::Root, [Fault::Silence]);
    ironic.lies(Api::Lookup, [Fault::Silence, Fault::Drip]);
    let host = host(&ironic).flag("--debug").flag("--http-request-timeout").flag("1").start();
    ironic.wait_for(Api::Heartbeat, 1);
    assert_eq!(host.log().matches("no complete answer within 1 s").count(), 3, "{}", host.log());
}

/// A heartbeat that fails in whatever way is repeated after 5 to 10 seconds, and one that is forced by a command too.
#[tokio::test]
async fn heartbeats_survive_every_lie_without_a_flood() {
    let refusals = [
        Fault::Hangup,
        Fault::Json(409, json!({"faultstring": "locked"})),
        Fault::Json(
            400,
            json!({"error_message": {"faultstring": "Agent token is required for heartbeat processing."}}),
        ),
        Fault::Json(200, Value::Null),
        Fault::Html(503),
        Fault::Huge,
        Fault::GzipBomb,
        Fault::Garbage,
    ];
    let mut hosts = Vec::new();
    for fault in refusals {
        let ironic = FakeIronic::start();
        ironic.lies(Api::Heartbeat, [fault.clone(), fault.clone()]);
        hosts.push((host(&ironic).launch(), ironic, fault));
    }
    for (mut host, ironic, fault) in hosts {
        host.listens();
        let beats = ironic.wait_for(Api::Heartbeat, 3);
        for pair in beats.windows(2) {
            let gap = pair[1].at.duration_since(pair[0].at).as_secs_f64();
            // A little more than the wait itself, on a machine with other work.
            assert!((5.0..14.0).contains(&gap), "{gap} s after {fault:?}");
            assert_eq!(pair[0].body, pair[1].body, "a heartbeat must not change");
        }
        host.log_line(&["heartbeat accepted", "failed_before=2"]);
        host.assert_well().await;
    }
}

#[tokio::test]
async fn a_command_that_ends_forces_a_heartbeat() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).deadline("step", 1.0).start();
    let first = ironic.wait_for(Api::Heartbeat, 1).swap_remove(0);
    let id = host.client().start("clean.execute_clean_step", step_params("work", json!({}))).await;
    assert_eq!(host.client().ended(&id).await["command_status"], "FAILED");
    // The next regular one would come after 90 seconds.
    let forced = ironic.wait_for(Api::Heartbeat, 2).swap_remove(1);
    let gap = forced.at.duration_since(first.at).as_secs_f64();
    assert!((5.0..30.0).contains(&gap), "{gap}");
}

#[tokio::test]
async fn the_heartbeat_timeout_of_the_lookup_sets_the_pace() {
    let ironic = FakeIronic::start();
    ironic.set_heartbeat_timeout(4);
    let _host = host(&ironic).start();
    let beats = ironic.wait_for(Api::Heartbeat, 4);
    for pair in beats.windows(2) {
        let gap = pair[1].at.duration_since(pair[0].at).as_secs_f64();
        assert!((1.2..3.5).contains(&gap), "{gap}");
    }
}

/// An hour without Ironic, in small: it goes away under the agent and comes back, and nobody has to reboot anything.
#[tokio::test]
async fn ironic_may_go_away_and_come_back() {
    let ironic = FakeIronic::start();
    ironic.set_heartbeat_timeout(4);
    let host = host(&ironic).start();
    ironic.wait_for(Api::Heartbeat, 1);
    ironic.go_down();
    host.log_line(&["heartbeat failed", "refused"]);
    host.assert_well().await;
    ironic.come_up();
    let start = Instant::now();
    let beat = ironic.next(Api::Heartbeat);
    // At most ten seconds after a failure, and what a busy machine adds.
    assert!(start.elapsed() < Duration::from_secs(14), "{:?}", start.elapsed());
    assert_heartbeat(&host, &beat);
    assert_eq!(host.terminate(), 0);
}

#[tokio::test]
async fn ironic_may_come_later_than_the_agent() {
    let ironic = FakeIronic::start();
    ironic.go_down();
    let mut host = host(&ironic).launch();
    host.log_line(&["lookup failed", "refused"]);
    ironic.come_up();
    host.listens();
    assert_heartbeat(&host, &ironic.wait_for(Api::Heartbeat, 1)[0]);
}

#[tokio::test]
async fn the_second_address_is_used_while_the_first_is_dead() {
    let (dead, ironic) = (FakeIronic::start(), FakeIronic::start());
    dead.go_down();
    let urls = format!("{},{}", dead.url(), ironic.url());
    let host = Host::with(machine::plain()).with_ironic(&urls).start();
    assert_heartbeat(&host, &ironic.wait_for(Api::Heartbeat, 1)[0]);
}

/// A token that somebody else has: explained to who stands before the machine, and not waited for in silence.
#[tokio::test]
async fn a_token_that_is_gone_is_explained_and_asked_for_again() {
    let ironic = FakeIronic::start();
    ironic.give_token_away();
    let mut host = host(&ironic).launch();
    host.log_line(&["has been given out already", "Reboot the node through Ironic"]);
    ironic.wait_for(Api::Lookup, 2);
    assert_eq!(ironic.received(Api::Heartbeat).len(), 0);
    ironic.forget_agent();
    host.listens();
    assert_heartbeat(&host, &ironic.wait_for(Api::Heartbeat, 1)[0]);
    host.assert_well().await;
}

/// Virtual media bring the token along, and Ironic hides it from the first lookup on.
#[tokio::test]
async fn a_token_from_the_start_is_kept() {
    let ironic = FakeIronic::start();
    ironic.give_token_away();
    let host = host(&ironic).flag("--agent-token").flag(TOKEN).start();
    assert_heartbeat(&host, &ironic.wait_for(Api::Heartbeat, 1)[0]);
    host.assert_well().await;
}

#[tokio::test]
async fn a_lookup_in_vain_ends_the_agent_with_a_reason() {
    let ironic = FakeIronic::start();
    ironic.go_down();
    let mut host = host(&ironic).flag("--lookup-timeout").flag("1").launch();
    let status = host.ended(PATIENCE);
    assert_eq!(status.code(), Some(70), "{}", host.log());
    assert!(host.log().contains("could not be looked up within 1 s"), "{}", host.log());
}

#[tokio::test]
async fn sigterm_ends_the_agent_while_it_looks_for_ironic() {
    let ironic = FakeIronic::start();
    ironic.go_down();
    let host = host(&ironic).launch();
    host.log_line(&["lookup failed"]);
    assert_eq!(host.terminate(), 0);
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    let mut host = Host::with(machine::plain()).with_ironic("http://").launch();
    assert_ne!(host.ended(PATIENCE).code(), Some(0));
    assert!(host.log().contains("api-url") || host.log().contains("api_url"), "{}", host.log());
}

/// By link-local address and interface, as in a network without routers or DHCP.
#[tokio::test]
async fn an_address_may_name_its_interface() {
    let ironic = FakeIronic::start_on("[::1]:0");
    let url = ironic.url().replace("::1]", "::1%25lo]");
    let host = Host::with(machine::plain()).with_ironic(&url).flag("--listen-host").flag("::1").start();
    let beat = &ironic.wait_for(Api::Heartbeat, 1)[0];
    let port = host.address().rsplit_once(':').expect("with port").1;
    assert_eq!(beat.body["callback_url"], format!("http://[::1]:{port}"));
}

#[tokio::test]
async fn what_is_advertised_can_be_chosen() {
    let ironic = FakeIronic::start();
    let flags = ["--advertise-host", "agent.example", "--advertise-port", "19901", "--advertise-protocol", "https"];
    let _host = flags.iter().fold(host(&ironic), |host, flag| host.flag(flag)).start();
    assert_eq!(ironic.wait_for(Api::Heartbeat, 1)[0].body["callback_url"], "https://agent.example:19901");
}

#[tokio::test]
async fn a_proxy_is_taken_from_the_environment() {
    let proxy = FakeIronic::start();
    let _host = Host::with(machine::plain())
        .with_ironic("http://ironic.invalid:6385")
        .variable("http_proxy", &proxy.url())
        .flag("--advertise-host")
        .flag("10.0.0.5")
        .start();
    assert_eq!(proxy.wait_for(Api::Lookup, 1)[0].header("host"), "ironic.invalid:6385");
    proxy.wait_for(Api::Heartbeat, 1);
}

/// The data of an inspection, which comes before the lookup.
#[tokio::test]
async fn an_inspection_posts_what_it_collected_and_tells_the_lookup_the_node() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).flag("--inspection-collectors").flag("default,pci-devices,logs").start();
    let post = &ironic.wait_for(Api::Inspection, 1)[0];
    assert_eq!(post.header("x-openstack-ironic-api-version"), "", "a version would change the answer");
    assert_eq!(post.body["error"], Value::Null);
    assert_eq!(post.body["inventory"]["hostname"], "host-1");
    assert_eq!(post.body["root_disk"]["name"], "/dev/sda", "the smallest that is large enough");
    assert_eq!(post.body["boot_interface"], "01-52-54-00-12-34-56");
    assert_eq!(
        post.body["configuration"],
        json!({"collectors": ["default", "pci-devices", "logs"],
            "managers": [{"name": "acme", "version": "1.0.0"}, {"name": "puppet_aaaa", "version": "1.aaaa"}]})
    );
    assert!(post.body["pci_devices"].is_array() || post.body["error"].is_string());
    assert!(post.body["logs"].as_str().is_some_and(|logs| logs.starts_with("H4sI")), "a gzip file in base64");
    assert!(post.body.get("agent_token").is_none());
    let lookup = &ironic.wait_for(Api::Lookup, 1)[0];
    assert!(lookup.line.ends_with(&format!("&node_uuid={NODE}")), "{}", lookup.line);
    assert!(lookup.at > post.at);
    host.assert_well().await;
}

#[tokio::test]
async fn an_inspection_that_ironic_refuses_does_not_stop_the_agent() {
    let ironic = FakeIronic::start();
    let refusal = Fault::Json(404, json!({"error_message": {"faultstring": "Node could not be found."}}));
    let locked = Fault::Json(409, json!({"faultstring": "Node is locked"}));
    ironic.lies(Api::Inspection, [locked, refusal]);
    let host = host(&ironic).flag("--inspection-collectors").flag("default").start();
    assert_eq!(ironic.wait_for(Api::Lookup, 1)[0].line, format!("GET /v1/lookup?addresses={MACS}"));
    assert_eq!(ironic.received(Api::Inspection).len(), 2, "a locked node is tried again, an unknown one is not");
    host.log_line(&["inspection failed", "Node could not be found."]);
}

#[tokio::test]
async fn a_lookup_in_vain_tells_of_the_inspection_before_it() {
    let ironic = FakeIronic::start();
    ironic.lies(Api::Inspection, [Fault::Json(400, json!({"faultstring": "no ports for this node"}))]);
    ironic.lies(Api::Lookup, std::iter::repeat_n(Fault::Json(404, json!({"faultstring": "nobody"})), 20));
    let flags = ["--inspection-collectors", "default", "--lookup-timeout", "1"];
    let mut host = flags.iter().fold(host(&ironic), |host, flag| host.flag(flag)).launch();
    assert_eq!(host.ended(PATIENCE).code(), Some(70), "{}", host.log());
    host.log_line(&[
        "could not be looked up",
        "nobody",
        "the inspection before it has failed",
        "no ports for this node",
    ]);
}

/// The time server comes before everything, even before the managers; this one is none.
#[tokio::test]
async fn the_start_has_its_order() {
    let ironic = FakeIronic::start();
    let mut early = host(&ironic).flag("--ntp-server").flag("no server!").launch();
    assert_eq!(early.ended(PATIENCE).code(), Some(70), "{}", early.log());
    early.log_line(&["ntp_server is \"no server!\""]);
    assert!(!early.has_logged(&["plugins are ready"]) && ironic.received(Api::Root).is_empty(), "{}", early.log());

    let delay = Duration::from_secs(2);
    let flags = ["--inspection-collectors", "default", "--hardware-initialization-delay", "2"];
    let mut host = flags.iter().fold(host(&ironic), |host, flag| host.flag(flag)).launch();
    host.log_line(&["plugins are ready"]);
    let ready = Instant::now();
    host.listens();
    let times = [Api::Inspection, Api::Lookup, Api::Heartbeat].map(|api| ironic.wait_for(api, 1)[0].at);
    assert!(times[0] > ready + delay / 2 && times.is_sorted(), "{ready:?} {times:?}");
    let log = host.log();
    let at = |part: &str| log.find(part).unwrap_or_else(|| panic!("no {part} in the log:\n{log}"));
    let order = ["plugins are ready", "inspection begins", "lookup succeeded", "listening on", "heartbeats begin"];
    assert!(order.map(at).is_sorted(), "{log}");
    assert_eq!(host.terminate(), 0);
}

/// What managers know of the switch and of the bus goes out under the names that Ironic's hooks read.
#[tokio::test]
async fn neighbours_and_usb_devices_are_collected_from_the_managers() {
    let ironic = FakeIronic::start();
    let frames = json!({"eth0": [[1, "04112233aabbcc"], [2, "07373334"], [0, ""]], "eth1": []});
    let devices = json!([{"product": "Key", "vendor": "Acme", "handle": "USB:1:2"}]);
    let more = json!({"collect_lldp_data": {"value": frames}, "get_usb_devices": {"value": devices}});
    let plugins = machine::describe(PluginDir::with_acme(), &more);
    let host = Host::with(plugins.with_config("[DEFAULT]\nenable_auto_tls = false\n"))
        .with_ironic(&ironic.url())
        .flag("--inspection-collectors")
        .flag("default,lldp,usb-devices")
        .start();
    let post = &ironic.wait_for(Api::Inspection, 1)[0];
    assert_eq!((&post.body["lldp_raw"], &post.body["usb_devices"]), (&frames, &devices), "{}", post.body["error"]);
    assert_eq!(post.body["error"], Value::Null);
    ironic.wait_for(Api::Heartbeat, 1);
    assert_eq!(host.terminate(), 0);
}

/// A collector that fails spoils only its part. Its tool is in no package of Debian, so it is not on this machine.
#[tokio::test]
async fn what_a_collector_misses_is_told_with_what_the_others_found() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).flag("--inspection-collectors").flag("extra-hardware,numa-topology,default").start();
    let post = &ironic.wait_for(Api::Inspection, 1)[0];
    let error = post.body["error"].as_str().unwrap_or_default();
    assert!(error.contains("\n* failed to run hardware-detect utility"), "{}", post.body);
    assert_eq!(post.body["inventory"]["hostname"], "host-1");
    host.log_line(&["inspection failed", "hardware-detect"]);
    ironic.wait_for(Api::Heartbeat, 1);
}

/// Whatever could be collected is posted, with what went wrong.
#[tokio::test]
async fn an_unknown_collector_is_told_to_ironic() {
    let ironic = FakeIronic::start();
    let host = host(&ironic).flag("--inspection-collectors").flag("default,magic").start();
    let error = ironic.wait_for(Api::Inspection, 1)[0].body["error"].clone();
    let text = error.as_str().unwrap_or_default();
    assert!(text.starts_with("The following errors were encountered:\n* ") && text.contains("magic"), "{error}");
    host.log_line(&["inspection failed", "magic"]);
}

/// As Ironic boots a node for inspection alone: the data are posted, and then there is nobody to look up or beat for.
#[tokio::test]
async fn with_only_a_callback_the_agent_inspects_and_serves() {
    let ironic = FakeIronic::start();
    let url = format!("{}/v1/continue_inspection", ironic.url());
    let host = Host::with(machine::plain()).for_ironic().flag("--inspection-callback-url").flag(&url).start();
    let post = &ironic.wait_for(Api::Inspection, 1)[0];
    assert_eq!(post.body["configuration"]["collectors"], json!(["default", "logs"]));
    host.log_line(&["no lookup and no heartbeat after the inspection"]);
    assert_eq!(host.client().get("/v1/status").await.status, 200);
    assert_eq!(host.client().get_with_token("/v1/commands/").await.status, 401, "there is no token");
    assert_eq!(ironic.received(Api::Lookup).len() + ironic.received(Api::Root).len(), 0);
}

#[tokio::test]
async fn without_any_address_the_agent_says_so_and_serves() {
    let host = Host::with(machine::plain()).for_ironic().start();
    host.log_line(&["neither ipa-api-url nor ipa-inspection-callback-url"]);
    assert_eq!(host.client().get("/v1/status").await.status, 200);
}

/// The forms of 2015, chosen by the operator: commands came without a token then.
#[tokio::test]
async fn an_ironic_of_2015_is_served_in_its_form() {
    let ironic = FakeIronic::of_2015();
    let host = host(&ironic).flag("--ironic-api").flag("passthru").start();
    let lookup = &ironic.wait_for(Api::DriverLookup, 1)[0];
    assert_eq!(lookup.line, "POST /v1/drivers/agent_ipmitool/vendor_passthru/lookup");
    assert_eq!(lookup.header("x-openstack-ironic-api-version"), "");
    assert_eq!(lookup.body["version"], "2");
    assert_eq!(lookup.body["inventory"]["interfaces"][0]["switch_port_descr"], Value::Null);
    let beat = &ironic.wait_for(Api::NodeHeartbeat, 1)[0];
    assert_eq!(beat.line, format!("POST /v1/nodes/{NODE}/vendor_passthru/heartbeat"));
    assert_eq!(beat.body, json!({"agent_url": format!("http://{}", host.address())}));
    assert_eq!(ironic.received(Api::Lookup).len(), 0);
    host.log_line(&["knows no tokens"]);
    assert_eq!(host.client().get("/v1/commands/").await.status, 200);
}

/// In between the agent tries today's form first, and asks the node where the driver is not the usual one.
#[tokio::test]
async fn an_old_ironic_is_recognised_by_its_answers() {
    let ironic = FakeIronic::of_2015();
    ironic.lies(Api::Inspection, [Fault::Json(202, json!({"uuid": NODE}))]);
    let flags = ["--ironic-api", "auto", "--driver-name", "agent_ilo", "--inspection-collectors", "default"];
    let host = flags.iter().fold(host(&ironic), |host, flag| host.flag(flag)).start();
    ironic.wait_for(Api::NodeHeartbeat, 1);
    let counts = [Api::Lookup, Api::DriverLookup, Api::NodeLookup].map(|api| ironic.received(api).len());
    assert_eq!(counts, [1, 1, 1]);
    assert_eq!(host.client().get("/v1/commands/").await.status, 401, "only the operator waives the token");
}

/// A node that is unknown for the moment is no sign of an old Ironic.
#[tokio::test]
async fn a_new_ironic_is_not_taken_for_an_old_one() {
    let ironic = FakeIronic::start();
    ironic.lies(Api::Lookup, [Fault::Json(404, json!({"faultstring": "no node"}))]);
    let host = host(&ironic).flag("--ironic-api").flag("auto").start();
    assert_heartbeat(&host, &ironic.wait_for(Api::Heartbeat, 1)[0]);
    assert_eq!(ironic.received(Api::NodeHeartbeat).len(), 0);
}
