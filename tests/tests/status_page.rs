//! The page for browsers and the numbers for Prometheus, from a running host.

use ipa_tests::client::step_params;
use ipa_tests::{Host, PluginDir, host};
use serde_json::json;

/// What browsers send.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";

#[tokio::test]
async fn a_browser_sees_managers_and_history() {
    let plugins = PluginDir::with_acme();
    plugins.put("bad.so", b"");
    let host = Host::with(plugins).start();
    host.client().clean_step("acme_erase_cache").await;
    host.client().run("clean.execute_clean_step", step_params("no_such_step", json!({}))).await;
    let (status, kind, page) = host.client().document("/", BROWSER).await;
    assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"));
    for part in [
        "acme (",
        ">healthy<",
        "bad.so is not used: ",
        "execute_clean_step",
        "HardwareManagerMethodNotFound: ",
        "idle, waiting",
    ] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(!page.contains(host::TOKEN), "{page}");
    let (_, kind, document) = host.client().document("/", "*/*").await;
    assert_eq!(kind, "application/json");
    assert!(document.contains("default_version"), "{document}");
}

#[tokio::test]
async fn a_running_command_shows_its_progress() {
    let plugins = PluginDir::with_acme().with_misbehaving("hang_step");
    let host = Host::with(plugins).deadline("grace", 0.5).start();
    host.client().start("clean.execute_clean_step", step_params("misbehave", json!({}))).await;
    let (_, _, page) = host.client().document("/", BROWSER).await;
    assert!(
        page.contains("running a command") && page.contains("<strong>execute_clean_step: misbehave</strong> for "),
        "{page}"
    );
}

#[tokio::test]
async fn prometheus_sees_managers_and_commands() {
    let host = Host::with(PluginDir::with_acme()).start();
    host.client().clean_step("acme_erase_cache").await;
    let (status, kind, text) = host.client().document("/metrics", "text/plain").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "ipa_manager_healthy{manager=\"acme\",version=\"1.0.0\"} 1",
        "ipa_commands_total{status=\"succeeded\"} 1",
        "ipa_api_request_seconds_count{request=\"run_command\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}

#[tokio::test]
async fn the_configuration_switches_both_off() {
    let plugins = PluginDir::with_acme().with_config("[DEFAULT]\nenable_status_page = false\nenable_metrics = false\n");
    let host = Host::with(plugins).start();
    assert_eq!(host.client().document("/", BROWSER).await.1, "application/json");
    assert_eq!(host.client().document("/metrics", "*/*").await.0, 404);
}
