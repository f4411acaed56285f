//! The command engine over the socket: one asynchronous command at a time, history, waiting, errors.

use ipa_tests::client::{Client, step_params};
use ipa_tests::{Host, PluginDir};
use serde_json::{Value, json};

fn start(section: &Value) -> Host {
    Host::with(PluginDir::with_acme().with_puppet("aaaa", section)).deadline("step", 1.0).start()
}

fn no_node() -> Value {
    json!({"node": {}, "ports": []})
}

/// Starts a step that runs until its deadline.
async fn busy(client: &Client) -> String {
    client.start("clean.execute_clean_step", step_params("work", json!({}))).await
}

/// While a step runs every new command is refused and leaves no trace; afterwards commands run again.
#[tokio::test]
async fn a_running_step_refuses_all_other_commands() {
    let host = start(&json!({"work": {"work": ["1", "working"]}}));
    let client = host.client();
    let id = busy(client).await;
    for name in ["clean.get_clean_steps", "clean.execute_clean_step", "nosuch.command", "clean.nosuch"] {
        let answer = client.post(name, no_node(), "").await;
        assert_eq!(answer.status, 409, "{name}: {}", answer.body);
        let text = answer.body["faultstring"].as_str().unwrap_or_default();
        assert!(text.starts_with("Agent is busy: executing command execute_clean_step"), "{name}: {text}");
        assert_eq!(answer.body["faultcode"], "Client");
    }
    // The dot is looked for first (wire.md 1.3).
    let dotless = client.post("nodot", json!({}), "").await;
    assert_eq!(dotless.status, 400, "{}", dotless.body);
    let history = client.history().await;
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(client.ended(&id).await["command_status"], "FAILED");
    host.assert_well().await;
}

/// The history keeps every accepted command, oldest first.
#[tokio::test]
async fn the_history_is_in_order_and_complete() {
    let host = start(&json!({"probe": {"value": {"deep": [1, null]}}, "broken": {"fail": "why"}}));
    let client = host.client();
    assert_eq!(client.history().await, Vec::<Value>::new());
    client.clean_steps().await;
    client.clean_step("probe").await;
    client.clean_step("broken").await;
    let refused = client.post("nosuch.command", json!({}), "").await;
    assert_eq!(refused.status, 404, "{}", refused.body);
    let history = client.history().await;
    let told: Vec<_> = history
        .iter()
        .map(|result| (result["command_name"].as_str().unwrap_or(""), result["command_status"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        told,
        [("get_clean_steps", "SUCCEEDED"), ("execute_clean_step", "SUCCEEDED"), ("execute_clean_step", "FAILED")]
    );
    for result in &history {
        let id = result["id"].as_str().expect("a result has an id");
        assert_eq!(&client.result(id).await, result);
    }
}

/// A result has the five keys that Ironic knows, and a step's is the answer beside the step as it came.
#[tokio::test]
async fn a_result_has_the_shape_that_ironic_expects() {
    let host = start(&json!({"probe": {"value": {"deep": [1, null]}}}));
    let result = host.client().clean_step("probe").await;
    let keys: Vec<&str> = result.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "command_name", "command_status", "command_error", "command_result"]);
    assert_eq!(result["command_error"], Value::Null);
    assert_eq!(
        result["command_result"],
        json!({"clean_result": {"deep": [1, null]}, "clean_step": step_params("probe", json!({}))["step"]})
    );
}

/// An asynchronous command answers at once unless asked to wait; `wait` is true in any case, all else is no.
#[tokio::test]
async fn waiting_is_asked_for() {
    let host = start(&json!({"work": {"work": ["1", "working"]}}));
    let client = host.client();
    for wait in ["", "&wait=false", "&wait=1", "&wait="] {
        let params = step_params("work", json!({}));
        let answer = client.post("clean.execute_clean_step", params, wait).await;
        assert_eq!((answer.status, &answer.body["command_status"]), (200, &json!("RUNNING")), "{wait}");
        client.ended(answer.body["id"].as_str().expect("a result has an id")).await;
    }
    for wait in ["&wait=true", "&wait=TRUE", "&wait=True"] {
        let params = step_params("acme_erase_cache", json!({}));
        let answer = client.post("clean.execute_clean_step", params, wait).await;
        assert_eq!((answer.status, &answer.body["command_status"]), (200, &json!("SUCCEEDED")), "{wait}");
    }
}

/// A client that stops waiting does not cancel the command (wire.md 1.4).
#[tokio::test]
async fn a_client_that_goes_away_cancels_nothing() {
    let host = start(&json!({"work": {"work": ["1", "working"]}}));
    let client = host.client();
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.run("clean.execute_clean_step", step_params("work", json!({}))).await })
    };
    let id = loop {
        if let Some(result) = client.history().await.first() {
            break result["id"].as_str().expect("a result has an id").to_owned();
        }
        tokio::task::yield_now().await;
    };
    waiting.abort();
    assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(client.result(&id).await["command_status"], "RUNNING");
    client.ended(&id).await;
}

/// Every failure is a result that can be read again, in one list with all others (wire.md 1.6 calls upstream's
/// behaviour a defect).
#[tokio::test]
async fn failures_do_not_poison_the_history() {
    let host = start(&json!({
        "foreign": {"fail": "a \"quoted\" text\u{1}\u{fffd}"},
        "defined": {"cleaning_error": "plain"},
    }));
    let client = host.client();
    for step in ["foreign", "defined", "nobody_has_it"] {
        let error = client.clean_error(step).await;
        let keys: Vec<&str> = error.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["type", "code", "message", "details"], "{step}");
        assert!(error["message"].is_string() && error["details"].is_string() && error["code"].is_u64(), "{error}");
    }
    // A step without a name, and parameters of the wrong kind.
    for params in [json!({"step": {}, "node": {}, "ports": []}), json!({"step": 5, "node": {}, "ports": []}), json!({})]
    {
        let result = client.run("clean.execute_clean_step", params).await;
        assert_eq!(result["command_status"], "FAILED", "{result}");
    }
    assert_eq!(client.history().await.len(), 6);
}

/// A command without the right token changes nothing and tells nothing.
#[tokio::test]
async fn commands_need_the_token() {
    let host = start(&json!({}));
    let client = host.client();
    for token in ["wrong", ""] {
        let stranger = Client::new(&format!("http://{}", host.address()), token);
        for answer in [
            stranger.get("/v1/commands/").await,
            stranger.get_with_token("/v1/commands/").await,
            stranger.get_with_token("/v1/commands/7").await,
            stranger.post("clean.get_clean_steps", no_node(), "").await,
        ] {
            assert_eq!(answer.status, 401, "{}", answer.body);
            assert_eq!(answer.body["faultstring"], "401 Unauthorized: Token invalid.");
        }
        assert_eq!(stranger.get("/v1/status").await.status, 200);
    }
    assert_eq!(client.history().await.len(), 0);
}

/// Errors before a command is accepted, with the texts that the conductor searches.
#[tokio::test]
async fn refused_commands_say_why() {
    let host = start(&json!({}));
    let client = host.client();
    for (name, status, begins) in [
        ("nodot", 400, "Invalid command: Command name must be of the form"),
        ("nosuch.command", 404, "Not found: Extension with id"),
        ("clean.nosuch", 400, "Invalid command: Unknown command:"),
        // Verification is no work of the agent.
        ("verify.get_verify_steps", 404, "Not found: Extension with id verify"),
    ] {
        let answer = client.post(name, json!({}), "").await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        let text = answer.body["faultstring"].as_str().expect("a text");
        assert!(text.starts_with(begins), "{name}: {text}");
    }
    let unknown = client.get_with_token("/v1/commands/7").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body["faultstring"].as_str().expect("a text").starts_with("Not found: Command Result with id 7"));
    assert_eq!(client.history().await.len(), 0);
}
