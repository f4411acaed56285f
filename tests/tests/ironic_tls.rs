//! The agent and its Ironic over TLS: whom the agent believes, what it says of the others, and what it serves itself.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ipa_tests::certificates::{Authority, DAYS, Pair, self_signed};
use ipa_tests::fake_ironic::Api;
use ipa_tests::host::Builder;
use ipa_tests::tls::{TLS12, server, server_of};
use ipa_tests::tunnel::Tunnel;
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::json;

/// What every certificate here is for.
const HERE: &str = "IP:127.0.0.1";

/// An agent that trusts this authority.
fn agent(url: &str, authority: &Path) -> Builder {
    Host::with(machine::plain()).with_ironic(url).flag("--cafile").flag(&authority.display().to_string())
}

fn client_certificate(builder: Builder, pair: &Pair) -> Builder {
    let show = |path: &Path| path.display().to_string();
    builder.flag("--certfile").flag(&show(&pair.certificate)).flag("--keyfile").flag(&show(&pair.key))
}

/// Over TLS the agent believes only who is in `cafile`, says what is missing, and believes anybody with `insecure`.
#[tokio::test]
async fn over_tls_only_a_trusted_ironic_is_believed() {
    let machines = [(); 3].map(|()| machine::plain());
    let pair = self_signed(machines[0].home(), HERE);
    let ironic = FakeIronic::start_with_tls(server(&pair));
    let cafile = pair.certificate.display().to_string();
    let [trusting, doubting, careless] = machines.map(|machine| Host::with(machine).with_ironic(&ironic.url()));

    let doubting = doubting.launch();
    doubting.log_line(&["lookup failed", "cafile"]);
    assert_eq!(ironic.received(Api::Lookup).len(), 0);
    drop(doubting);

    let host = trusting.flag("--cafile").flag(&cafile).start();
    ironic.wait_for(Api::Heartbeat, 1);
    host.assert_well().await;
    assert_eq!(host.terminate(), 0);

    ironic.forget_agent();
    let host = careless.flag("--insecure").start();
    ironic.next(Api::Heartbeat);
    host.assert_well().await;
}

/// Whoever is wrong is told nothing and named in the log with the cure, and the agent goes on trying.
#[tokio::test]
async fn each_way_to_be_wrong_is_named_with_its_cure() {
    let (authority, stranger, namesake) = (Authority::named("a"), Authority::named("b"), Authority::named("a"));
    let trusted = authority.certify(HERE);
    let cases = [
        ("nobody who is trusted has signed it", server(&stranger.certify(HERE)), "1.2"),
        ("another authority of the same name", server(&namesake.certify(HERE)), "1.2"),
        ("not valid for name", server(&authority.certify("IP:127.0.0.2")), "1.2"),
        ("tls_min_version", server_of(&trusted, &[&TLS12], None), "1.3"),
        ("give it with certfile and keyfile", server_of(&trusted, &[&TLS12], Some(&authority.file())), "1.2"),
    ];
    let cases = cases.map(|(says, config, floor)| {
        let ironic = FakeIronic::start_with_tls(config);
        let host = agent(&ironic.url(), &authority.file()).flag("--tls-min-version").flag(floor).launch();
        (says, ironic, host)
    });
    for (says, ironic, host) in cases {
        host.log_line(&["lookup failed", says]);
        assert_eq!(ironic.received(Api::Lookup).len() + ironic.received(Api::Root).len(), 0, "{says}");
        assert_eq!(host.terminate(), 0, "it still tries");
    }
}

/// Servers that stopped at TLS 1.0 or 1.1 are out of reach on purpose, and told so. One says no by itself, the other
/// offers what it has.
#[tokio::test]
async fn an_ironic_with_nothing_but_old_tls_is_named() {
    let authority = Authority::named("a");
    let pair = authority.certify(HERE);
    for version in ["-tls1", "-tls1_1"] {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www", version, "-cipher", "ALL:@SECLEVEL=0"]);
        command.arg("-cert").arg(&pair.certificate).arg("-key").arg(&pair.key);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl is installed");
        // It writes to it for as long as it runs.
        let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
        let place =
            lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        let url = format!("https://{}", place.expect("it tells its place"));
        let host = agent(&url, &authority.file()).launch();
        let line = host.log_line(&["lookup failed", OLD_TLS]);
        assert_eq!(host.terminate(), 0, "it still tries: {line}");
        server.kill().expect("our own child");
        server.wait().expect("killed");
    }

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Part of the agent's hello is enough, and the rest may be lost.
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(&server_hello_of_tls11());
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let host = agent(&url, &authority.file()).launch();
    host.log_line(&["lookup failed", OLD_TLS]);
    assert_eq!(host.terminate(), 0);
}

/// What the log says of such servers.
const OLD_TLS: &str = "the server speaks no TLS version from tls_min_version on";

/// A record with the message `server_hello` and nothing else: TLS 1.1, no session, `TLS_RSA_WITH_AES_128_CBC_SHA`.
fn server_hello_of_tls11() -> Vec<u8> {
    let hello = [&[3, 2][..], &[7; 32], &[0], &[0, 0x2f], &[0]].concat();
    let message = [&[2, 0, 0, u8::try_from(hello.len()).expect("short")][..], &hello].concat();
    [&[22, 3, 2, 0, u8::try_from(message.len()).expect("short")][..], &message].concat()
}

#[tokio::test]
async fn tls_and_plain_http_are_told_apart() {
    let authority = Authority::named("a");
    let (plain, tls) = (FakeIronic::start(), FakeIronic::start_with_tls(server(&authority.certify(HERE))));
    let host = agent(&plain.url().replace("http:", "https:"), &authority.file()).launch();
    host.log_line(&["lookup failed", "does it speak TLS?"]);
    let host = agent(&tls.url().replace("https:", "http:"), &authority.file()).launch();
    host.log_line(&["lookup failed"]);
    assert_eq!(plain.received(Api::Lookup).len() + tls.received(Api::Lookup).len(), 0);
}

#[tokio::test]
async fn an_ironic_that_wants_a_client_certificate_gets_it() {
    let authority = Authority::named("a");
    let config = server_of(&authority.certify(HERE), &[&TLS12], Some(&authority.file()));
    let ironic = FakeIronic::start_with_tls(config);
    let own = authority.certify("DNS:agent");
    let host = client_certificate(agent(&ironic.url(), &authority.file()), &own).start();
    ironic.wait_for(Api::Heartbeat, 1);
    host.assert_well().await;

    let other = Authority::named("b");
    let stranger = client_certificate(agent(&ironic.url(), &authority.file()), &other.certify("DNS:agent")).launch();
    stranger.log_line(&["lookup failed", "does not accept the client certificate of certfile"]);
}

/// A machine whose clock is wrong is told so, whichever way, and goes on by itself once it is right.
#[tokio::test]
async fn a_wrong_clock_is_named_and_not_for_ever() {
    let authority = Authority::named("a");
    let ironic = FakeIronic::start_with_tls(server(&authority.certify(HERE)));
    let far = |years: i64| (years * 365 * 86_400).to_string();
    let later = (i64::from(DAYS + 1) * 86_400).to_string();
    for (shift, says) in [(later, "certificate expired"), (far(-40), "not valid yet")] {
        ironic.forget_agent();
        let plugins = machine::plain();
        let clock = plugins.home().join("clock");
        fs::write(&clock, shift).expect("our own directory");
        let builder = Host::with(plugins).with_ironic(&ironic.url()).with_wall_clock(&clock);
        let mut host = builder.flag("--cafile").flag(&authority.file().display().to_string()).launch();
        host.log_line(&["lookup failed", says, "this machine's clock says", "ipa-ntp-server"]);
        fs::write(&clock, "0").expect("our own file");
        host.listens();
        ironic.next(Api::Heartbeat);
        host.assert_well().await;
    }
}

/// Through a proxy the agent checks the same server in the same way.
#[tokio::test]
async fn a_proxy_changes_nothing_of_the_checks() {
    let (authority, stranger) = (Authority::named("a"), Authority::named("b"));
    let ironic = FakeIronic::start_with_tls(server(&authority.certify("DNS:ironic.invalid")));
    let tunnel = Tunnel::to(ironic.url().trim_start_matches("https://"));
    let through = |authority: &Path| {
        agent("https://ironic.invalid:6385", authority)
            .variable("https_proxy", &tunnel.url())
            .flag("--advertise-host")
            .flag("10.0.0.5")
    };
    let doubting = through(&stranger.file()).launch();
    doubting.log_line(&["lookup failed", "nobody who is trusted has signed it"]);
    assert_eq!(ironic.received(Api::Lookup).len(), 0);
    drop(doubting);
    let host = through(&authority.file()).start();
    ironic.wait_for(Api::Heartbeat, 1);
    host.assert_well().await;
    let asked = tunnel.asked();
    assert!(asked.iter().all(|line| line == "CONNECT ironic.invalid:6385 HTTP/1.1"), "{asked:?}");
}

/// One request as Ironic sends it, which trusts nothing but the certificate of the heartbeat.
fn curl(url: &str, certificate: &Path, options: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"]).arg(certificate);
    curl.args(options).arg(format!("{url}/v1/status")).output().expect("these tests need the program curl")
}

/// With a manager that makes certificates the agent serves TLS, not below the version of the lookup, and tells Ironic
/// whom to trust.
#[test]
fn the_heartbeat_tells_the_certificate_that_the_agent_serves() {
    let ironic = FakeIronic::start();
    let generic = ipa_tests::artifacts::plugin("ipa-generic");
    let plugins = machine::describe(PluginDir::new().with(&generic), &json!({}));
    let file = plugins.home().join("agent.crt");
    let mut host = Host::with(plugins).with_ironic(&ironic.url()).launch();
    host.listens();
    let beat = &ironic.wait_for(Api::Heartbeat, 1)[0];
    let pem = beat.body["agent_verify_ca"].as_str().unwrap_or_default();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && !pem.contains("PRIVATE"), "{}", beat.body);
    let port = host.address().rsplit_once(':').expect("with port").1;
    let url = format!("https://127.0.0.1:{port}");
    assert_eq!(beat.body["callback_url"], url);

    fs::write(&file, pem).expect("our own directory");
    let trusted = curl(&url, &file, &[]);
    assert!(String::from_utf8_lossy(&trusted.stdout).contains("started_at"), "{trusted:?}\n{}", host.log());
    let older = curl(&url, &file, &["--tls-max", "1.2"]);
    assert!(!older.status.success(), "the lookup said 1.3: {older:?}");
}
