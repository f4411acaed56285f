//! Pages that a hardware manager fetches through the host.

use ipa_tests::certificates::Authority;
use ipa_tests::client::step_params;
use ipa_tests::fake_ironic::{Api, Fault};
use ipa_tests::tls::{TLS12, server, server_of};
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::{Value, json};

const HERE: &str = "IP:127.0.0.1";

/// The result of a step that fetches a page.
async fn fetched(host: &Host, url: &str) -> Value {
    host.client().run("clean.execute_clean_step", step_params("fetch", json!({"url": url}))).await
}

async fn refused(host: &Host, url: &str) -> String {
    let result = fetched(host, url).await;
    assert_eq!(result["command_error"]["type"], "CommandExecutionError", "{result}");
    result["command_error"]["details"].to_string()
}

fn plugins() -> PluginDir {
    let plugins = machine::describe(PluginDir::with_acme(), &json!({"fetch": {"fetch": 0}}));
    plugins.with_config("[DEFAULT]\nenable_auto_tls = false\n")
}

#[tokio::test]
async fn a_page_comes_whole_or_not_at_all() {
    let web = FakeIronic::start();
    let host = Host::with(plugins()).start();
    let page = |status: u16| Fault::Json(status, json!({"version": "1.2"}));
    let there = format!("{}/there", web.url());
    web.lies(Api::Unknown, [page(200), page(404), Fault::Redirect(302, "/there".into()), page(200)]);
    for status in [200, 404, 200] {
        let result = fetched(&host, &there).await;
        let value = &result["command_result"]["clean_result"];
        assert_eq!(value, &json!({"status": status, "text": r#"{"version":"1.2"}"#}), "{result}");
    }
    let faults = [
        (Fault::Redirect(302, "file:///etc/shadow".into()), "must not go"),
        (Fault::Huge, "larger than 1000 bytes"),
        (Fault::GzipBomb, "packed"),
        (Fault::Truncated, "broke off"),
        (Fault::Garbage, "invalid HTTP"),
        (Fault::Hangup, "connection closed"),
        (Fault::Drip, "larger than 1000 bytes"),
        (Fault::Silence, "no complete answer within 10 s"),
    ];
    web.lies(Api::Unknown, faults.iter().map(|(fault, _)| fault.clone()));
    for (fault, says) in faults {
        let why = refused(&host, &there).await;
        assert!(why.contains(says), "{fault:?}: {why}");
    }
    assert!(refused(&host, "file:///etc/shadow").await.contains("is no address"));
    host.assert_well().await;
}

/// Servers are checked as Ironic is, with the settings that Ironic's lookup has sent meanwhile.
#[tokio::test]
async fn over_tls_the_agents_own_settings_count() {
    let (authority, stranger) = (Authority::named("a"), Authority::named("b"));
    let pair = authority.certify(HERE);
    let ironic = FakeIronic::start();
    let good = FakeIronic::start_with_tls(server(&pair));
    let old = FakeIronic::start_with_tls(server_of(&pair, &[&TLS12], None));
    let unknown = FakeIronic::start_with_tls(server(&stranger.certify(HERE)));
    let cafile = authority.file().display().to_string();
    let host = Host::with(plugins()).with_ironic(&ironic.url()).flag("--cafile").flag(&cafile).start();
    ironic.wait_for(Api::Heartbeat, 1);
    let result = fetched(&host, &good.url()).await;
    assert_eq!(result["command_result"]["clean_result"]["status"], 200, "{result}");
    let why = refused(&host, &old.url()).await;
    assert!(why.contains("tls_min_version"), "the lookup said 1.3: {why}");
    let why = refused(&host, &unknown.url()).await;
    assert!(why.contains("nobody who is trusted has signed it"), "{why}");
    host.assert_well().await;
}
