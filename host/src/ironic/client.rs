//! Ironic's API behind one or several addresses.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;
use slog::{Logger, debug, info, warn};

use super::answer;
use super::transport::{Answer, Request, TlsSource, Transport, Unanswered};
use super::{ApiVersion, Endpoint, Negotiated};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
const API_VERSION: HeaderName = HeaderName::from_static("x-openstack-ironic-api-version");
/// Most bytes of an answer. A node with all its steps has some hundred kilobytes; Ironic masks its config drive.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;

/// How Ironic is reached.
#[derive(Clone)]
pub struct Settings {
    /// The addresses, tried in this order.
    pub urls: Vec<Endpoint>,
    /// Sent with every request, so that the logs of both sides can be matched.
    pub request_id: Option<String>,
    /// Longest time for one request to one address.
    pub timeout: Duration,
    /// Replaces the question which version Ironic has, as `x.y`.
    pub api_version: Option<String>,
    /// TLS settings for `https` addresses.
    pub tls: TlsSource,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("urls", &self.urls).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// A client of Ironic. Connects when it is first asked to.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    /// The one that worked last comes first.
    urls: Mutex<Vec<Endpoint>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    version: Mutex<Option<ApiVersion>>,
    log: Logger,
}

impl Client {
    /// A client; nothing is sent yet.
    pub fn new(settings: Settings, log: Logger) -> Self {
        let told = settings.api_version.as_deref().and_then(|text| {
            let version = ApiVersion::parse(text);
            if version.is_none() {
                warn!(log, "ironic_api_version reads x.y, for example 1.82; Ironic will be asked instead";
                    "ironic_api_version" => text);
            }
            version
        });
        Self {
            transport: Transport::new(settings.tls, settings.timeout),
            urls: Mutex::new(settings.urls),
            headers: request_id_header(settings.request_id.as_deref(), &log),
            timeout: settings.timeout,
            version: Mutex::new(told),
            log,
        }
    }

    /// The addresses; the one that answered last comes first.
    pub fn urls(&self) -> Vec<Endpoint> {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The addresses as one text, for messages.
    pub fn shown_urls(&self) -> String {
        self.urls().iter().map(Endpoint::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Longest time for one request to one address.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Gets a path below the API's address.
    ///
    /// # Errors
    /// No address gave a complete answer; it is about the last one, the others are in the log.
    pub async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        version: Option<ApiVersion>,
    ) -> Result<Answer, Unanswered> {
        self.request(Method::GET, path, query, None, version).await
    }

    /// Posts JSON to a path below the API's address.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, path: &str, body: &Value, version: Option<ApiVersion>) -> Result<Answer, Unanswered> {
        self.request(Method::POST, path, &[], Some(body.to_string().into()), version).await
    }

    /// Posts JSON text to one address outside of the API's list.
    ///
    /// # Errors
    /// There was no complete answer.
    pub async fn post_to(&self, url: &Endpoint, body: Bytes, deadline: Duration) -> Result<Answer, Unanswered> {
        let request = Request { deadline, ..self.template(Method::POST, Some(body), None) };
        self.transport.exchange(url, &request).await
    }

    /// True if something that speaks HTTP answers at this address.
    pub async fn reaches(&self, url: &Endpoint) -> Result<(), Unanswered> {
        self.transport.exchange(url, &self.template(Method::GET, None, None)).await.map(drop)
    }

    /// Which version Ironic speaks; asked for once it has answered properly.
    pub async fn version(&self) -> Negotiated {
        if let Some(version) = *self.version.lock().unwrap_or_else(PoisonError::into_inner) {
            return Negotiated { version, assumed: false };
        }
        let assumed = Negotiated { version: ApiVersion::FALLBACK, assumed: true };
        let why = match self.get("/", &[], None).await {
            Err(error) => {
                // What is asked for next fails as well, and says so.
                debug!(self.log, "Ironic's API version cannot be asked for"; "error" => %error);
                return assumed;
            }
            Ok(answer) => match answer::json(&answer.body) {
                Err(error) => format!("{} answered with status {}: {error}", answer.from, answer.status),
                Ok(root) => {
                    if let Some(version) = ApiVersion::of_root(&root) {
                        info!(self.log, "Ironic speaks API version {version}"; "url" => %answer.from);
                        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
                        return Negotiated { version, assumed: false };
                    }
                    format!("{} names no version: {}", answer.from, answer::error_text(answer.status, &answer.body))
                }
            },
        };
        warn!(self.log, "Ironic's API version is unknown, assuming {} for now", ApiVersion::FALLBACK; "error" => why);
        assumed
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
        version: Option<ApiVersion>,
    ) -> Result<Answer, Unanswered> {
        let request = self.template(method, body, version);
        let urls = self.urls();
        let mut last = None;
        for (index, url) in urls.iter().enumerate() {
            match self.transport.exchange(&url.at(path).with_query(query), &request).await {
                Ok(answer) => {
                    self.prefer(url);
                    return Ok(answer);
                }
                Err(error) if index + 1 < urls.len() => {
                    warn!(self.log, "Ironic does not answer, trying its next address"; "error" => %error);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Unanswered { url: "Ironic".into(), reason: "no address of it is known".into() }))
    }

    fn template(&self, method: Method, body: Option<Bytes>, version: Option<ApiVersion>) -> Request {
        let json = HeaderValue::from_static("application/json");
        let mut headers = vec![(CONTENT_TYPE, json.clone()), (ACCEPT, json)];
        headers.extend(self.headers.iter().cloned());
        if let Some(Ok(value)) = version.map(|version| HeaderValue::from_str(&version.to_string())) {
            headers.push((API_VERSION, value));
        }
        Request { method, body, headers, limit: ANSWER_LIMIT, deadline: self.timeout }
    }

    /// Puts an address first and keeps the order of the ring.
    fn prefer(&self, url: &Endpoint) {
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = urls.iter().position(|known| known == url).filter(|place| *place > 0) {
            urls.rotate_left(place);
            debug!(self.log, "another address of Ironic works"; "url" => %url);
        }
    }
}

fn request_id_header(id: Option<&str>, log: &Logger) -> Vec<(HeaderName, HeaderValue)> {
    let Some(id) = id.filter(|id| !id.is_empty()) else { return Vec::new() };
    match HeaderValue::from_str(id) {
        Ok(value) => vec![(REQUEST_ID, value)],
        Err(_) => {
            warn!(log, "global_request_id cannot be sent, it has characters no header may have"; "id" => id);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Discard, o};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers every request with the body and keeps what it was asked. Gives its address.
    async fn server(status: &'static str, body: &'static str) -> (Endpoint, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                seen.lock().expect("no panic").push(String::from_utf8_lossy(&head[..length]).to_ascii_lowercase());
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes()).await;
            }
        });
        (Endpoint::parse(&url).expect("a URL"), asked)
    }

    fn client(urls: Vec<Endpoint>, api_version: Option<&str>) -> Client {
        let settings = Settings {
            urls,
            request_id: Some("req-1".into()),
            timeout: Duration::from_secs(10),
            api_version: api_version.map(str::to_owned),
            tls: Arc::new(|| Err("no TLS in this test".to_owned())),
        };
        Client::new(settings, Logger::root(Discard, o!()))
    }

    fn dead() -> Endpoint {
        // The discard port; nothing listens there.
        Endpoint::parse("http://127.0.0.1:9").expect("a URL")
    }

    const ROOT: &str = r#"{"default_version": {"version": "1.102"}}"#;

    #[tokio::test]
    async fn the_address_that_works_comes_first_from_then_on() {
        let (alive, asked) = server("200 OK", ROOT).await;
        let client = client(vec![dead(), alive.clone(), dead().at("/other")], None);
        client.get("/v1/lookup", &[], None).await.expect("the second one answers");
        assert_eq!(client.urls(), [alive, dead().at("/other"), dead()]);
        client.get("/v1/lookup", &[], None).await.expect("at once");
        assert_eq!(asked.lock().expect("no panic").len(), 2);
    }

    #[tokio::test]
    async fn an_error_status_is_an_answer_and_no_reason_to_go_on() {
        let (refusing, _) = server("503 Service Unavailable", "").await;
        let (other, asked) = server("200 OK", ROOT).await;
        let answer = client(vec![refusing, other], None).get("/", &[], None).await.expect("an answer");
        assert_eq!((answer.status, asked.lock().expect("no panic").len()), (503, 0));
    }

    #[tokio::test]
    async fn with_no_address_that_works_the_last_one_is_named() {
        let error = client(vec![dead()], None).get("/v1/lookup", &[], None).await.expect_err("dead");
        assert!(error.to_string().starts_with("http://127.0.0.1:9/v1/lookup: "), "{error}");
        assert!(error.reason.contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn every_request_has_its_headers_and_only_some_a_version() {
        let (url, asked) = server("200 OK", ROOT).await;
        let client = client(vec![url], None);
        client.get("/v1/lookup", &[("addresses", "a:b,c")], Some(ApiVersion(1, 62))).await.expect("an answer");
        client.post("/v1/x", &Value::Null, None).await.expect("an answer");
        let asked = asked.lock().expect("no panic");
        for request in asked.iter() {
            for header in
                ["content-type: application/json", "accept: application/json", "x-openstack-request-id: req-1"]
            {
                assert_eq!(request.matches(header).count(), 1, "{header}: {request}");
            }
            assert!(!request.contains("accept-encoding"), "{request}");
        }
        assert!(asked[0].starts_with("get /v1/lookup?addresses=a%3ab%2cc http/1.1"), "{}", asked[0]);
        assert!(asked[0].contains("x-openstack-ironic-api-version: 1.62"), "{}", asked[0]);
        assert!(!asked[1].contains("api-version"), "{}", asked[1]);
    }

    #[tokio::test]
    async fn the_version_is_asked_for_until_it_is_known() {
        let (url, asked) = server("200 OK", ROOT).await;
        let known = client(vec![url], None);
        for _ in 0..3 {
            assert_eq!(known.version().await, Negotiated { version: ApiVersion(1, 102), assumed: false });
        }
        assert_eq!(asked.lock().expect("no panic").len(), 1);

        for (status, body) in [("500 Oops", ROOT.trim_end_matches('}')), ("200 OK", "<html>"), ("404 Not Found", "{}")]
        {
            let (url, asked) = server(status, body).await;
            let unknown = client(vec![url], None);
            for _ in 0..2 {
                assert_eq!(unknown.version().await, Negotiated { version: ApiVersion(1, 31), assumed: true });
            }
            assert_eq!(asked.lock().expect("no panic").len(), 2, "{status}");
        }
    }

    #[tokio::test]
    async fn a_version_that_was_told_replaces_the_question() {
        let (url, asked) = server("200 OK", ROOT).await;
        let told = client(vec![url.clone()], Some("1.70"));
        assert_eq!(told.version().await, Negotiated { version: ApiVersion(1, 70), assumed: false });
        assert!(asked.lock().expect("no panic").is_empty());
        assert_eq!(client(vec![url], Some("newest")).version().await.version, ApiVersion(1, 102));
    }
}
