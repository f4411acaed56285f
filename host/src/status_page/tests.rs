//! What is on the page, and what is not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use slog::{debug, info};
use warp::http::HeaderValue;

use super::*;
use crate::agent::{Heartbeat, Settings};
use crate::commands::{Begin, Command, Engine};
use crate::testing::{FakeManagers, TOKEN, agent_and_managers};

/// Text that tries all that text can try.
const EVIL: &str = "</pre><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;\u{202e}";

fn settings() -> Settings {
    Settings { version: "13.0.0".into(), agent_token: Some(TOKEN.into()), ..Settings::default() }
}

fn agent() -> (Arc<Agent>, Arc<FakeManagers>) {
    let (agent, managers) = agent_and_managers(settings());
    agent.mark_started();
    (agent, managers)
}

async fn run(agent: &Arc<Agent>, name: &str, params: Value) -> Arc<Command> {
    let Value::Object(params) = params else { panic!("params are an object") };
    Engine::execute(agent, name.into(), params).await.unwrap()
}

fn manager(name: &str, state: &str) -> Value {
    json!({"rank": 1, "name": name, "class_name": name, "version": "2.1", "support": 3, "pid": 7, "pss_kib": 712,
        "state": state, "reason": "it died twice", "restarts": 1, "file": "libacme.so"})
}

#[tokio::test]
async fn the_page_says_who_what_and_how() {
    let (agent, managers) = agent();
    let left = json!({"file": "bad.so", "name": null, "version": null, "unsupported": false,
        "cause": "it is empty", "cure": "install it again"});
    *managers.described.lock().unwrap() =
        json!({"places": ["/p"], "managers": [manager("acme", "quarantined")], "left_out": [left]});
    agent.cache_node(&json!({"uuid": "5c6b1a3e-1111-2222-3333-444455556666"})).await;
    let time = SystemTime::now() - Duration::from_secs(61);
    agent.note_heartbeat(Heartbeat { time, answer: "202 Accepted".into() });
    run(&agent, "probe.fail", json!({})).await;
    let step = json!({"step": {"step": "acme_block"}, "node": {}, "ports": []});
    let command = run(&agent, "clean.execute_clean_step", step).await;
    while command.call().progress().is_none() {
        tokio::task::yield_now().await;
    }
    let page = render(&agent, "https");
    for part in [
        "version 13.0.0",
        "<strong class=\"ok\">running a command</strong>",
        "<dd>5c6b1a3e-1111-2222-3333-444455556666</dd>",
        "1 min 1 s ago, ",
        ": 202 Accepted",
        "<dd>https</dd>",
        "<strong>execute_clean_step: acme_block</strong> for ",
        "<progress max=\"100\" value=\"40\">40 %</progress>",
        "40 %: waiting",
        "acme (libacme.so)",
        "712 KiB",
        "<span class=\"bad\">quarantined</span>: it died twice",
        "bad.so is not used: it is empty; install it again",
        "<td data-name=\"Status\" class=\"bad\">failed</td>",
        "ClockSyncError: no time",
        "asynchronous command started command=execute_clean_step",
        "<meta http-equiv=\"refresh\" content=\"5\">",
    ] {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    managers.release.send_replace(true);
    command.wait().await;
    let page = render(&agent, "http");
    assert!(page.contains("idle, waiting for commands") && !page.contains("<progress"), "{page}");
    agent.stop_serving();
    assert!(render(&agent, "http").contains("stopping"));
    agent.lock_down();
    assert!(render(&agent, "http").contains("locking down"));
}

#[tokio::test]
async fn a_fresh_agent_has_a_page_without_made_up_facts() {
    let (agent, _) = agent_and_managers(Settings { standalone: true, read_only: true, ..settings() });
    let page = render(&agent, "http");
    for part in
        ["starting", "not known yet", "standalone", "read-only", "None since the start", "No manager in /plugins"]
    {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }
    assert!(!page.contains("Last heartbeat") && !page.contains("Started"), "{page}");
}

#[tokio::test]
async fn hostile_text_stays_text_wherever_it_comes_from() {
    let (agent, managers) = agent_and_managers(Settings { version: EVIL.into(), ..settings() });
    let mut row = manager(EVIL, EVIL);
    for key in ["class_name", "version", "reason", "file"] {
        row[key] = json!(EVIL);
    }
    let left = json!({"file": EVIL, "name": EVIL, "version": EVIL, "unsupported": true, "cause": EVIL, "cure": EVIL});
    *managers.described.lock().unwrap() = json!({"places": [EVIL], "managers": [row], "left_out": [left]});
    agent.mark_started();
    agent.cache_node(&json!({"uuid": EVIL})).await;
    agent.note_heartbeat(Heartbeat { time: SystemTime::now(), answer: EVIL.into() });
    info!(agent.log(), "{}", EVIL; "key" => EVIL);
    let history = agent.engine().history();
    let error = ipa_plugin_api::error::HwError::cleaning(EVIL);
    history.record(Arc::new(Command::finished(EVIL, Begin::now(), Err(error))));
    let running = Arc::new(Command::running(EVIL, crate::managers::CallContext::new()).performing(Some(EVIL)));
    running.call().report(1, EVIL);
    history.record(running);
    let page = render(&agent, EVIL);
    assert_eq!(page.matches("&lt;script&gt;").count(), 21, "{page}");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    assert_eq!(page.matches("</pre>").count(), 1);
    // Between tags there are no others than ours.
    let tags: std::collections::BTreeSet<&str> =
        page.split('<').skip(1).map(|tag| tag.split([' ', '>']).next().unwrap().trim_start_matches('/')).collect();
    for tag in tags {
        let ours = "!doctype body dd div dl dt footer h1 h2 head header html main meta p pre progress span strong style \
            table tbody td th thead title tr";
        assert!(ours.split_whitespace().any(|known| known == tag), "<{tag}>");
    }
}

#[tokio::test]
async fn no_secret_is_on_the_page() {
    let (agent, _) = agent();
    info!(agent.log(), "GET /v1/commands/?agent_token={}", TOKEN; "rescue_password" => "hunter2");
    info!(agent.log(), "command completed"; "result" => "{\"private\": \"hunter1\"}");
    info!(agent.log(), "fetching https://user:hunter3@store.example/i?temp_url_sig=hunter4");
    debug!(agent.log(), "executing command params={{\"anything\": \"hunter5\"}}");
    agent.note_heartbeat(Heartbeat {
        time: SystemTime::now(),
        answer: format!("400: {{\"agent_token\": \"{TOKEN}\"}}"),
    });
    let error = ipa_plugin_api::error::HwError::image_download("https://h/?sig=hunter6: 403");
    agent.engine().history().record(Arc::new(Command::finished("x", Begin::now(), Err(error))));
    let page = render(&agent, "http");
    assert!(page.contains("store.example") && page.contains("https://h/?&lt;...&gt; 403"), "{page}");
    assert!(!page.contains("hunter") && !page.contains(TOKEN), "{page}");
}

#[tokio::test]
async fn a_long_run_has_a_page_of_bounded_size() {
    let (agent, _) = agent();
    for index in 0..1000 {
        info!(agent.log(), "line {index} {}", "x".repeat(5000));
        let error = ipa_plugin_api::error::HwError::cleaning("y".repeat(100_000));
        agent.engine().history().record(Arc::new(Command::finished(format!("c{index}"), Begin::now(), Err(error))));
    }
    let page = render(&agent, "http");
    assert!(page.len() < 150_000, "{} bytes", page.len());
    assert!(page.contains("and 950 older ones") && page.contains(">c999<") && !page.contains(">c949<"));
    assert!(page.contains("line 999 ") && !page.contains("line 899 "));
}

#[test]
fn browsers_get_the_page_and_other_clients_json() {
    let wanted = |accept: &'static str| {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        is_wanted(&headers)
    };
    for accept in [
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "text/html",
        "application/json;q=0.5, TEXT/HTML;level=1;q=0.7",
        "text/html, application/json",
    ] {
        assert!(wanted(accept), "{accept}");
    }
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/json, text/html;q=0.9",
        "text/*",
        "text/html;q=0",
        "text/html;q=x",
        "text/htmlx",
    ] {
        assert!(!wanted(accept), "{accept}");
    }
}
