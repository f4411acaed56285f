//! The API of a running host.

use std::time::Duration;

use serde_json::{Value, json};

use crate::tls;

/// Longest time that one request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// As long as one may take that is only to find out whether anybody is there.
const GLANCE: Duration = Duration::from_secs(3);

/// An answer: status and body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// A client with the right token.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    /// A client of the host at `base`, for example `http://127.0.0.1:9999`.
    pub fn new(base: &str, token: &str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Without any settings of TLS the client would ask for the process's.
            .tls_backend_preconfigured(tls::trusting(b""))
            .build()
            .expect("a plain client");
        Self { http, base: base.to_owned(), token: token.to_owned() }
    }

    /// Asks for a path, without token.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Whether a path is answered with success within seconds.
    pub async fn is_answered(&self, path: &str) -> bool {
        let answer = self.http.get(format!("{}{path}", self.base)).timeout(GLANCE).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// Asks for a path, with token.
    pub async fn get_with_token(&self, path: &str) -> Answer {
        self.get(&format!("{path}?agent_token={}", self.token)).await
    }

    /// Asks for a document of a kind, as the header `Accept` names it: its status, content type and text.
    pub async fn document(&self, path: &str, accept: &str) -> (u16, String, String) {
        let request = self.http.get(format!("{}{path}", self.base)).header("Accept", accept);
        let answer = request.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.base));
        let kind = answer.headers()["content-type"].to_str().expect("text").to_owned();
        (answer.status().as_u16(), kind, answer.text().await.expect("a body"))
    }

    /// Posts a command and gives the answer at once, whatever it is. `query` is added to the token.
    pub async fn post(&self, name: &str, params: Value, query: &str) -> Answer {
        let url = format!("{}/v1/commands/?agent_token={}{query}", self.base, self.token);
        self.send(self.http.post(url).json(&json!({"name": name, "params": params}))).await
    }

    /// Runs a command to its end and gives its result.
    pub async fn run(&self, name: &str, params: Value) -> Value {
        let answer = self.post(name, params, "&wait=true").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert_ne!(answer.body["command_status"], "RUNNING", "{name}: {}", answer.body);
        answer.body
    }

    /// Starts an asynchronous command and gives its identifier.
    pub async fn start(&self, name: &str, params: Value) -> String {
        let answer = self.post(name, params, "").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert_eq!(answer.body["command_status"], "RUNNING", "{name}: {}", answer.body);
        answer.body["id"].as_str().expect("a result has an id").to_owned()
    }

    /// The result of a command as it is now.
    pub async fn result(&self, id: &str) -> Value {
        let answer = self.get_with_token(&format!("/v1/commands/{id}")).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.body);
        answer.body
    }

    /// The result of a command once it has ended.
    pub async fn ended(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v1/commands/{id}?agent_token={}&wait=true", self.token)).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.body);
        assert_ne!(answer.body["command_status"], "RUNNING", "{id}: {}", answer.body);
        answer.body
    }

    /// The history.
    pub async fn history(&self) -> Vec<Value> {
        let answer = self.get_with_token("/v1/commands/").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["commands"].as_array().expect("a list of results").clone()
    }

    /// Runs a clean step to its end and gives the command's result.
    pub async fn clean_step(&self, step: &str) -> Value {
        self.run("clean.execute_clean_step", step_params(step, json!({}))).await
    }

    /// Runs a clean step and gives what the manager answered; it must succeed.
    pub async fn clean_value(&self, step: &str) -> Value {
        self.clean_value_with(step, json!({})).await
    }

    /// Runs a clean step with arguments and gives what the manager answered; it must succeed.
    pub async fn clean_value_with(&self, step: &str, args: Value) -> Value {
        let result = self.run("clean.execute_clean_step", step_params(step, args)).await;
        assert_eq!(result["command_status"], "SUCCEEDED", "{step}: {result}");
        result["command_result"]["clean_result"].clone()
    }

    /// Runs a clean step that must fail and gives the error.
    pub async fn clean_error(&self, step: &str) -> Value {
        let result = self.clean_step(step).await;
        assert_eq!(result["command_status"], "FAILED", "{step}: {result}");
        result["command_error"].clone()
    }

    /// The clean steps of all managers, by class name, as Ironic gets them.
    pub async fn clean_steps(&self) -> Value {
        let result = self.run("clean.get_clean_steps", json!({"node": {}, "ports": []})).await;
        assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
        result["command_result"].clone()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.base));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.base));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, body }
    }
}

/// Parameters of `clean.execute_clean_step`.
#[allow(clippy::needless_pass_by_value)] // Tests write `json!` in place.
pub fn step_params(step: &str, args: Value) -> Value {
    json!({
        "step": {"step": step, "interface": "deploy", "priority": 0, "args": args},
        "node": {"uuid": "5c6b7a52-6b0a-4a57-9d30-1c1f0a6f7a11"},
        "ports": [],
    })
}
