//! The page for browsers and the numbers for Prometheus, beside an API that does not change.

use super::client::{Answer, Fixture, fixture, serve, settings};
use crate::agent::Settings;
use crate::api::{Limits, Transport};
use crate::testing::TOKEN;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn ask(fixture: &Fixture, method: &str, target: &str, accept: &str) -> Answer {
    let mut connection = fixture.connect().await;
    connection.send(method, target, &[("Accept", accept), ("Connection", "close")], b"").await;
    connection.receive(method).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[tokio::test]
async fn a_browser_gets_a_page_that_may_load_nothing() {
    let fixture = fixture();
    for target in ["/", "//", "/?agent_token=x"] {
        let answer = ask(&fixture, "GET", target, BROWSER).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["vary"], "Accept");
        assert!(text(&answer).starts_with("<!doctype html>") && !text(&answer).contains(TOKEN));
    }
    let head = ask(&fixture, "HEAD", "/", BROWSER).await;
    assert_eq!((head.headers["content-type"].as_str(), head.body.len()), ("text/html; charset=utf-8", 0));
    assert_eq!(ask(&fixture, "POST", "/", BROWSER).await.status, 405);
}

#[tokio::test]
async fn other_clients_and_paths_have_upstreams_document() {
    let fixture = fixture();
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let answer = ask(&fixture, "GET", "/", accept).await;
        assert_eq!(answer.json()["name"], "OpenStack Ironic Python Agent API", "{accept}");
        assert!(!answer.headers.contains_key("vary") && !answer.headers.contains_key("content-security-policy"));
    }
    for target in ["/v1/", "/v1/status"] {
        assert_eq!(ask(&fixture, "GET", target, BROWSER).await.headers["content-type"], "application/json");
    }
    assert_eq!(ask(&fixture, "GET", "/v1/commands/", BROWSER).await.status, 401);
}

#[tokio::test]
async fn prometheus_gets_numbers() {
    let fixture = fixture();
    fixture.agent.mark_started_at(1_764_000_000.5);
    fixture.post(&serde_json::json!({"name": "probe.text", "params": {}}), true).await;
    fixture.send("GET", "/v1/commands/", b"").await;
    fixture.get("/v1/commands/").await;
    let answer = ask(&fixture, "GET", "/metrics", "text/plain;version=0.0.4;q=0.3,*/*;q=0.2").await;
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    let text = text(&answer);
    for line in [
        "ipa_info{version=\"13.0.0\"} 1",
        "ipa_start_time_seconds 1764000000.5",
        "ipa_commands_total{status=\"succeeded\"} 1",
        "ipa_commands_total{status=\"failed\"} 0",
        "ipa_command_running 0",
        "ipa_api_request_seconds_count{request=\"run_command\"} 1",
        "ipa_api_request_seconds_count{request=\"list_commands\"} 2",
        "ipa_api_requests_refused_total{request=\"list_commands\"} 1",
        "ipa_plugins_refused 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("ipa_heartbeat"), "no value, no line");
    // Each sample belongs to the family that was announced last.
    let mut family = "";
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(announced) => family = announced.split(' ').next().unwrap(),
            None => assert!(line.starts_with('#') || line.starts_with(family), "{line} after {family}"),
        }
    }
}

#[tokio::test]
async fn both_can_be_switched_off_without_a_trace() {
    let off = Settings { no_status_page: true, no_metrics: true, ..settings() };
    let fixture = serve(off, Limits::default(), Transport::Plain);
    assert_eq!(ask(&fixture, "GET", "/", BROWSER).await.json()["default_version"]["id"], "v1");
    for method in ["GET", "POST"] {
        let (here, nowhere) =
            (ask(&fixture, method, "/metrics", "*/*").await, ask(&fixture, method, "/nope", "*/*").await);
        assert_eq!((here.status, text(&here)), (404, text(&nowhere)));
    }
}
