//! Ironic's API, as an operator's client sees it, and an agent's, as Ironic does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::{Answer, tls};

/// The version of Ironic's API that is spoken: new enough for service steps.
const VERSION: &str = "1.95";
/// Longest time that one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of Ironic.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
}

/// An agent's API as Ironic reaches it: through OpenSSL, which trusts the certificate of the heartbeats and no other.
#[derive(Debug, Clone)]
pub struct AgentApi {
    url: String,
    certificate: PathBuf,
}

impl AgentApi {
    /// An agent at an address with this certificate.
    pub(super) fn new(url: &str, certificate: PathBuf) -> Self {
        Self { url: url.to_owned(), certificate }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The status that a path answers with to a client that speaks one version of TLS alone (`1.2` or `1.3`), or why
    /// there is no answer.
    pub fn status(&self, path: &str, tls: &str) -> Result<u16, String> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        .args(["--max-time", &PATIENCE.as_secs().to_string(), &format!("--tlsv{tls}"), "--tls-max", tls, "--cacert"])
        .arg(&self.certificate)
        .arg(format!("{}{path}", self.url));
        let output = curl.output().unwrap_or_else(|error| panic!("curl: {error}"));
        if output.status.success() {
            let status = String::from_utf8_lossy(&output.stdout);
            Ok(status.parse().unwrap_or_else(|error| panic!("{status:?}: {error}")))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Api {
    /// A client that trusts one authority only.
    pub(super) fn new(url: &str, authority: &Path) -> Self {
        let pem = fs::read(authority).unwrap_or_else(|error| panic!("{}: {error}", authority.display()));
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::trusting(&pem))
            .timeout(PATIENCE)
            // A connection belongs to the runtime of the test that opened it.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a plain client");
        Self { http, url: url.to_owned() }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks and gives the answer, whatever it is.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.header("X-OpenStack-Ironic-API-Version", VERSION);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Gets what must be there.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None).await
    }

    /// Posts what must be taken.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.expect(Method::POST, path, Some(body)).await
    }

    /// Puts what must be taken.
    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.expect(Method::PUT, path, Some(body)).await
    }

    /// Patches what must be taken.
    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.expect(Method::PATCH, path, Some(body)).await
    }

    async fn expect(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let what = format!("{method} {path}");
        let answer = self.ask(method, path, body).await;
        assert!((200..300).contains(&answer.status), "{what}: {} {}", answer.status, answer.body);
        answer.body
    }
}
