//! Commands as a client sees them.

use serde_json::{Value, json};

use super::client::{Fixture, fixture, serve, settings};
use crate::agent::Settings;
use crate::api::{Limits, Transport};
use crate::testing::TOKEN;

fn command(name: &str) -> Value {
    json!({"name": name, "params": {}})
}

fn step(name: &str) -> Value {
    json!({"name": "clean.execute_clean_step",
        "params": {"step": {"step": name, "interface": "deploy"}, "node": {"uuid": "u"}, "ports": []}})
}

async fn list(fixture: &Fixture) -> Vec<Value> {
    fixture.get("/v1/commands/").await.json()["commands"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_endpoint_checks_the_token() {
    let fixture = fixture();
    let done = fixture.post(&command("poll.get_hardware_info"), false).await.json();
    let one = format!("/v1/commands/{}", done["id"].as_str().unwrap());
    let body = command("poll.get_hardware_info").to_string();
    let right = format!("agent_token={TOKEN}");
    let long = format!("agent_token={TOKEN}0");
    let short = format!("agent_token={}", &TOKEN[1..]);
    let other_case = format!("agent_token={}", TOKEN.to_uppercase());
    for (method, path) in [
        ("GET", "/v1/commands/"),
        ("HEAD", "/v1/commands/"),
        ("GET", "/commands/"),
        ("GET", one.as_str()),
        ("POST", "/v1/commands/"),
        ("POST", "/commands/"),
    ] {
        let body = if method == "POST" { body.as_bytes() } else { b"" };
        for query in ["", "agent_token", "agent_token=", "agent_token=x", &long, &short, &other_case, "token=x"] {
            let answer = fixture.send(method, &format!("{path}?{query}"), body).await;
            assert_eq!(answer.status, 401, "{method} {path}?{query}");
        }
        let twice = format!("{path}?agent_token=x&{right}");
        assert_eq!(fixture.send(method, &twice, body).await.status, 401, "{method} {twice}");
        let answer = fixture.send(method, &format!("{path}?{right}&agent_token=x"), body).await;
        assert_eq!(answer.status, 200, "{method} {path}");
    }
    assert_eq!(list(&fixture).await.len(), 3, "refused requests leave no trace");
}

#[tokio::test]
async fn a_new_token_counts_at_once() {
    let fixture = fixture();
    let new = "f".repeat(43);
    fixture.agent.set_token(&new);
    assert_eq!(fixture.get("/v1/commands/").await.status, 401);
    assert_eq!(fixture.send("GET", &format!("/v1/commands/?agent_token={new}"), b"").await.status, 200);
}

#[tokio::test]
async fn while_a_command_runs_others_are_refused_and_reads_are_not() {
    let fixture = fixture();
    let started = fixture.post(&step("acme_block"), false).await.json();
    assert_eq!(started["command_status"], "RUNNING");
    let busy = fixture.post(&command("poll.get_hardware_info"), true).await;
    assert_eq!((busy.status, busy.fault().as_str()), (409, "Agent is busy: executing command execute_clean_step"));
    assert_eq!(list(&fixture).await.len(), 1);
    fixture.managers.release.send_replace(true);
    let target = format!("/v1/commands/{}?agent_token={TOKEN}&wait=True", started["id"].as_str().unwrap());
    let done = fixture.send("GET", &target, b"").await;
    assert_eq!(done.json()["command_status"], "SUCCEEDED");
    assert_eq!(fixture.post(&command("poll.get_hardware_info"), true).await.status, 200);
}

#[tokio::test]
async fn a_synchronous_command_makes_others_wait_but_no_reads() {
    let fixture = fixture();
    let mut first = fixture.connect().await;
    let target = format!("/v1/commands/?agent_token={TOKEN}");
    first.send("POST", &target, &[], command("probe.block").to_string().as_bytes()).await;
    // Once the manager has been called, the command holds its turn.
    while fixture.managers.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut second = fixture.connect().await;
    second.send("POST", &target, &[], command("probe.text").to_string().as_bytes()).await;
    assert!(list(&fixture).await.is_empty(), "it is recorded when it is done");
    fixture.managers.release.send_replace(true);
    assert_eq!(first.receive("POST").await.json()["command_name"], "block");
    assert_eq!(second.receive("POST").await.json()["command_result"], json!({"result": "hello"}));
    let names: Vec<Value> = list(&fixture).await.iter().map(|command| command["command_name"].clone()).collect();
    assert_eq!(names, ["block", "text"]);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_nothing() {
    let fixture = fixture();
    for (body, name) in [(step("acme_block"), "execute_clean_step"), (command("probe.block"), "block")] {
        fixture.managers.release.send_replace(false);
        fixture.managers.calls.lock().unwrap().clear();
        let mut client = fixture.connect().await;
        let target = format!("/v1/commands/?agent_token={TOKEN}&wait=true");
        client.send("POST", &target, &[], body.to_string().as_bytes()).await;
        while fixture.managers.calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(client);
        fixture.managers.release.send_replace(true);
        loop {
            let last = list(&fixture).await.pop();
            let last = last.filter(|last| last["command_name"] == name && last["command_status"] != "RUNNING");
            if let Some(last) = last {
                assert_eq!(last["command_status"], "SUCCEEDED");
                break;
            }
        }
    }
}

#[tokio::test]
async fn no_failure_poisons_the_list() {
    let fixture = fixture();
    for (name, status, recorded, class) in [
        ("probe.panic", 200, "probe.panic", "CommandExecutionError"),
        ("probe.fail", 200, "probe.fail", "ClockSyncError"),
        ("probe.foreign", 200, "probe.foreign", "CommandExecutionError"),
        ("probe.async_panic", 200, "async_panic", "CommandExecutionError"),
    ] {
        let answer = fixture.post(&command(name), true).await;
        assert_eq!(answer.status, status, "{name}");
        let last = list(&fixture).await.pop().unwrap();
        assert_eq!(answer.json(), last);
        assert_eq!((&last["command_name"], &last["command_status"]), (&json!(recorded), &json!("FAILED")));
        assert_eq!(last["command_error"]["type"], class);
        assert_eq!(last["command_result"], Value::Null);
    }
    let refused = fixture.post(&command("probe.refuse"), true).await;
    assert_eq!((refused.status, refused.fault().as_str()), (400, "Invalid command parameters: odd"));
    assert_eq!(list(&fixture).await.len(), 4);
}

#[tokio::test]
async fn a_panic_in_a_manager_call_fails_the_step() {
    let fixture = fixture();
    let failed = fixture.post(&step("acme_panic"), true).await.json();
    assert_eq!(failed["command_status"], "FAILED");
    assert!(failed["command_error"]["details"].as_str().unwrap().contains("a defect"), "{failed}");
}

#[tokio::test]
async fn text_is_wrapped() {
    let fixture = fixture();
    let text = |name: &'static str| {
        let fixture = &fixture;
        async move { fixture.post(&command(name), true).await.json()["command_result"].clone() }
    };
    assert_eq!(text("probe.text").await, json!({"result": "hello"}));
    assert_eq!(text("probe.async_text").await, json!({"result": "async_text: hello"}));
}

#[tokio::test]
async fn progress_is_told_while_it_runs() {
    let fixture = fixture();
    let started = fixture.post(&step("acme_block"), false).await.json();
    while fixture.managers.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let path = format!("/v1/commands/{}", started["id"].as_str().unwrap());
    let running = fixture.get(&path).await.json();
    assert_eq!(running["progress"], json!({"percent": 40, "message": "waiting"}));
    fixture.agent.engine().cancel_running();
    let done = fixture.send("GET", &format!("{path}?agent_token={TOKEN}&wait=true"), b"").await.json();
    assert_eq!(done["command_error"]["details"], "acme_block was cancelled");
    assert!(done.get("progress").is_none());
}

#[tokio::test]
async fn each_end_of_an_asynchronous_command_forces_a_heartbeat() {
    let fixture = fixture();
    for name in ["acme_ok", "acme_agent_error", "acme_panic"] {
        fixture.post(&step(name), true).await;
        fixture.agent.heartbeat_forced().await;
    }
}

#[tokio::test]
async fn read_only_refuses_what_changes_the_machine() {
    let fixture = serve(Settings { read_only: true, ..settings() }, Limits::default(), Transport::Plain);
    for body in [step("acme_ok"), command("system.lockdown")] {
        let answer = fixture.post(&body, true).await.json();
        assert_eq!(answer["command_status"], "FAILED");
        assert_eq!(answer["command_error"]["type"], "CommandExecutionError");
        assert!(answer["command_error"]["details"].as_str().unwrap().contains("--read-only"), "{answer}");
    }
    assert!(fixture.agent.is_serving() && !fixture.agent.is_locked_down());
    assert_eq!(fixture.managers.calls.lock().unwrap().len(), 0);
    let listed =
        fixture.post(&json!({"name": "clean.get_clean_steps", "params": {"node": {}, "ports": []}}), true).await;
    assert_eq!(listed.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_listed_deadline_holds_for_the_step() {
    let fixture = fixture();
    let listed =
        fixture.post(&json!({"name": "clean.get_clean_steps", "params": {"node": {}, "ports": []}}), true).await;
    assert!(!String::from_utf8(listed.body).unwrap().contains("deadline_s"));
    fixture.post(&step("acme_ok"), true).await;
    fixture.post(&step("acme_null"), true).await;
    let calls = fixture.managers.calls.lock().unwrap().clone();
    assert_eq!(calls, [("get_clean_steps".into(), None), ("acme_ok".into(), Some(77)), ("acme_null".to_owned(), None)]);
}

/// First the node, then the versions, and only then the step's name.
#[tokio::test]
async fn the_node_is_remembered_before_anything_else() {
    let fixture = fixture();
    let body = json!({"name": "clean.execute_clean_step", "params": {"step": {}, "node": {"uuid": "u"},
        "ports": [], "clean_version": {"acme": "0"}}});
    assert_eq!(fixture.post(&body, true).await.json()["command_status"], "CLEAN_VERSION_MISMATCH");
    assert_eq!(*fixture.managers.nodes.lock().unwrap(), [json!({"uuid": "u"})]);
}

#[tokio::test]
async fn listing_steps_remembers_the_node() {
    for kind in ["clean", "deploy", "service"] {
        let fixture = fixture();
        let body = json!({"name": format!("{kind}.get_{kind}_steps"), "params": {"node": {"uuid": kind}, "ports": []}});
        assert_eq!(fixture.post(&body, true).await.json()["command_status"], "SUCCEEDED");
        assert_eq!(*fixture.managers.nodes.lock().unwrap(), [json!({"uuid": kind})]);
    }
}

#[tokio::test]
async fn each_poll_reads_the_inventory_anew() {
    let fixture = fixture();
    for _ in 0..2 {
        fixture.post(&command("poll.get_hardware_info"), true).await;
    }
    let calls = fixture.managers.calls.lock().unwrap().clone();
    assert_eq!(calls, [("list_hardware_info".into(), None), ("list_hardware_info".to_owned(), None)]);
}

#[tokio::test]
async fn unknown_parameters_fail_the_command_of_either_kind() {
    let fixture = fixture();
    for (name, recorded) in [("flow.start_flow", "start_flow"), ("log.collect_system_logs", "log.collect_system_logs")]
    {
        let answer = fixture.post(&json!({"name": name, "params": {"flow": [], "odd": 1}}), true).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["command_status"], &body["command_name"]),
            (200, &json!("FAILED"), &json!(recorded))
        );
        let error = &body["command_error"];
        assert_eq!((&error["type"], &error["code"]), (&json!("CommandExecutionError"), &json!(500)));
        assert!(error["details"].as_str().unwrap().contains("unexpected argument"), "{error}");
    }
    assert_eq!(list(&fixture).await.len(), 2);
}

/// The client decides how long it waits, the agent does not.
#[tokio::test(start_paused = true)]
async fn a_wait_has_no_end_of_its_own() {
    let fixture = fixture();
    let started = fixture.post(&step("acme_block"), false).await.json();
    let path = format!("/v1/commands/{}?agent_token={TOKEN}&wait=true", started["id"].as_str().unwrap());
    let mut waiting = fixture.connect().await;
    waiting.send("GET", &path, &[], b"").await;
    tokio::time::sleep(std::time::Duration::from_secs(100 * 3600)).await;
    fixture.managers.release.send_replace(true);
    assert_eq!(waiting.receive("GET").await.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn node_info_needs_a_standalone_agent() {
    let fixture = serve(Settings { standalone: true, ..settings() }, Limits::default(), Transport::Plain);
    let body = json!({"name": "poll.set_node_info", "params": {"node_info": {"node": {"uuid": "u"}}}});
    let early = fixture.post(&body, true).await.json();
    assert_eq!(early["command_status"], "FAILED");
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    fixture.agent.on_node_info(Box::new(move |info| {
        sender.send(info).unwrap();
        Box::pin(async { Ok(()) })
    }));
    assert_eq!(fixture.post(&body, true).await.json()["command_status"], "SUCCEEDED");
    assert_eq!(receiver.recv().await.unwrap(), json!({"node": {"uuid": "u"}}));
}

#[tokio::test]
async fn logs_come_as_text() {
    let fixture = fixture();
    let answer = fixture.post(&command("log.collect_system_logs"), true).await.json();
    assert!(answer["command_result"]["system_logs"].as_str().unwrap().starts_with("H4sI"), "{answer}");
    let log = fixture.agent.logging().ring().text();
    assert!(log.contains("system_logs") && !log.contains("H4sI"), "the archive is no part of the log");
}

#[tokio::test]
async fn the_log_has_each_request_but_no_token() {
    let fixture = fixture();
    fixture.get("/v1/commands/").await;
    fixture.send("GET", &format!("/v1/commands/?agent%5Ftoken={TOKEN}"), b"").await;
    let log = fixture.agent.logging().ring().text();
    assert_eq!(log.matches("api request client=127.0.0.1 method=GET path=").count(), 2, "{log}");
    assert!(!log.contains(TOKEN), "{log}");
}

/// Proxies tell whom a request comes from; the first of several counts.
#[tokio::test]
async fn the_log_tells_client_path_status_and_time() {
    let fixture = fixture();
    for (headers, client) in [
        (&[][..], "127.0.0.1"),
        (&[("X-Real-IP", "192.0.2.7")], "192.0.2.7"),
        (&[("X-Real-IP", "192.0.2.7"), ("X-Forwarded-For", "192.0.2.8, 192.0.2.9")], "192.0.2.8"),
    ] {
        let mut connection = fixture.connect().await;
        connection.send("POST", &format!("/v1/status?from={client}"), headers, b"").await;
        assert_eq!(connection.receive("POST").await.status, 405);
        let log = fixture.agent.logging().ring().text();
        let line = log.lines().last().unwrap();
        let told = format!("api request client={client} method=POST path=\"/v1/status?from={client}\" status=405 ms=");
        assert!(line.contains(&told), "{told} in {line}");
    }
}
