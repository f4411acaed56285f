//! One request to one address: bounded in time and size, and never a surprise.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use super::cause::explain;
use super::{Endpoint, zone};

/// How long an unused connection stays open: for the next request of a series, not for the next heartbeat, when the
/// other end may have closed it already.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Most redirects that are followed for one request.
const REDIRECTS: usize = 5;

/// Makes the TLS settings when the first `https` address is used; the text of an error is for the operator.
pub type TlsSource = Arc<dyn Fn() -> Result<ClientConfig, String> + Send + Sync>;

/// A request that knows no address yet.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The method; only GET and POST are sent.
    pub method: Method,
    /// JSON text, if there is a body.
    pub body: Option<Bytes>,
    /// Headers beside those of the protocol itself.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Most bytes of an answer.
    pub limit: usize,
    /// Longest time from the first packet to the last byte of the answer.
    pub deadline: Duration,
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// Which address answered.
    pub from: Endpoint,
}

/// No answer, or none that can be used.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// The address without its query, as it may be shown.
    pub url: String,
    /// What happened.
    pub reason: String,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)
    }
}

impl Error for Unanswered {}

/// Why an address gave nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What happened, without the address.
    pub reason: String,
    /// True if it would be the same the next time.
    pub lasts: bool,
}

impl From<String> for Trouble {
    /// Trouble that may pass.
    fn from(reason: String) -> Self {
        Self { reason, lasts: false }
    }
}

impl Trouble {
    fn lasting(reason: String) -> Self {
        Self { reason, lasts: true }
    }
}

/// The clients for plain and TLS addresses, made when they are first needed.
pub(super) struct Transport {
    tls: TlsSource,
    connect: Duration,
    clients: Mutex<Vec<(ClientKey, reqwest::Client)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ClientKey {
    tls: bool,
    zone: Option<String>,
}

impl Transport {
    /// A transport that gives a connection so long to come up.
    pub(super) fn new(tls: TlsSource, connect: Duration) -> Self {
        Self { tls, connect, clients: Mutex::default() }
    }

    /// Sends a request and reads the answer.
    ///
    /// A redirect is followed if the request can be repeated there unchanged, but never from TLS to plain HTTP. The
    /// answer's body is never unpacked, so that a small one stays small.
    ///
    /// # Errors
    /// There was no complete answer within the deadline and the limit.
    pub(super) async fn exchange(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, Unanswered> {
        // The query of a lookup would hide everything else in the line.
        let url = || endpoint.to_string().split('?').next().unwrap_or_default().to_owned();
        self.attempt(endpoint, request).await.map_err(|trouble| Unanswered { url: url(), reason: trouble.reason })
    }

    /// As [`exchange`](Self::exchange), for who wants to know whether it is worth another try.
    pub(super) async fn attempt(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, Trouble> {
        match tokio::time::timeout(request.deadline, self.follow(endpoint, request)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no complete answer within {} s", request.deadline.as_secs_f64()).into()),
        }
    }

    async fn follow(&self, endpoint: &Endpoint, request: &Request) -> Result<Answer, Trouble> {
        let mut at = endpoint.clone();
        for _ in 0..=REDIRECTS {
            let response = self.send(&at, request).await?;
            let status = response.status().as_u16();
            let repeatable =
                matches!(status, 307 | 308) || (request.method == Method::GET && matches!(status, 301..=303));
            let location = response.headers().get(LOCATION).filter(|_| repeatable);
            let Some(location) = location else {
                let body = read(response, request.limit).await?;
                return Ok(Answer { status, body, from: at });
            };
            let text = String::from_utf8_lossy(location.as_bytes());
            at = at.redirected(&text).ok_or_else(|| {
                Trouble::lasting(format!("redirected to {text:?}, where it must not go; correct the address"))
            })?;
        }
        Err(Trouble::lasting(format!("more than {REDIRECTS} redirects, the last one to {at}")))
    }

    async fn send(&self, at: &Endpoint, request: &Request) -> Result<reqwest::Response, String> {
        let client = self.client(at)?;
        let mut message = client.request(request.method.clone(), at.url().clone());
        message = message.headers(request.headers.iter().cloned().collect());
        if let Some(body) = &request.body {
            message = message.body(body.clone());
        }
        message.send().await.map_err(|error| explain(&error.without_url()))
    }

    fn client(&self, at: &Endpoint) -> Result<reqwest::Client, String> {
        let key = ClientKey { tls: at.is_tls(), zone: at.zone().map(str::to_owned) };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == key) {
            return Ok(client.clone());
        }
        let client = self.make(&key)?;
        clients.push((key, client.clone()));
        Ok(client)
    }

    fn make(&self, key: &ClientKey) -> Result<reqwest::Client, String> {
        let tls = if key.tls { (self.tls)()? } else { trusts_nobody()? };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .connect_timeout(self.connect)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(KEEP_ALIVE)
            .user_agent(concat!("ipa-host/", env!("CARGO_PKG_VERSION")));
        if let Some(zone) = &key.zone {
            builder = builder.interface(&zone::name(zone)?);
        }
        builder.build().map_err(|error| format!("the HTTP client cannot be set up: {}", explain(&error)))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("connect", &self.connect).finish_non_exhaustive()
    }
}

/// For plain HTTP, where a store of certificates would be loaded for nothing.
fn trusts_nobody() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, Trouble> {
    let coding = response.headers().get(CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    if let Some(coding) = coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(Trouble::lasting(format!(
            "the answer is packed ({coding:?}), which was not asked for; is there a proxy in between?"
        )));
    }
    let too_large = || Trouble::lasting(format!("the answer is larger than {limit} bytes"));
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.into()),
            Err(error) => return Err(format!("the answer broke off: {}", explain(&error.without_url())).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn transport() -> Transport {
        Transport::new(Arc::new(|| Err("no TLS in this test".to_owned())), DEADLINE)
    }

    fn get(limit: usize, deadline: Duration) -> Request {
        Request { method: Method::GET, body: None, headers: Vec::new(), limit, deadline }
    }

    /// Answers each connection with the next text and closes it. Gives the address.
    async fn server(address: &str, texts: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            for text in texts {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&text).await;
            }
            std::future::pending::<()>().await;
        });
        format!("http://{}:{port}", address.rsplit_once(':').expect("with port").0)
    }

    async fn fetch(texts: Vec<Vec<u8>>, request: Request) -> Result<Answer, String> {
        let endpoint = Endpoint::parse(&server("127.0.0.1:0", texts).await).expect("a URL");
        transport().exchange(&endpoint, &request).await.map_err(|error| error.to_string())
    }

    fn with_length(body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn an_answer_may_reach_the_limit_but_not_pass_it() {
        let ok = fetch(vec![with_length("12345")], get(5, DEADLINE)).await.expect("small enough");
        assert_eq!(&ok.body[..], b"12345");
        let error = fetch(vec![with_length("123456")], get(5, DEADLINE)).await.expect_err("too large");
        assert!(error.contains("larger than 5 bytes"), "{error}");
        let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n".to_vec();
        let error = fetch(vec![endless], get(10, DEADLINE)).await.expect_err("too large");
        assert!(error.contains("larger than 10 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_packed_or_broken_answer_is_explained() {
        let packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b".to_vec();
        let error = fetch(vec![packed], get(100, DEADLINE)).await.expect_err("packed");
        assert!(error.contains("gzip"), "{error}");
        let broken = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
        let error = fetch(vec![broken], get(100, DEADLINE)).await.expect_err("truncated");
        assert!(error.contains("broke off"), "{error}");
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let error = fetch(vec![], get(100, Duration::from_millis(50))).await.expect_err("silent");
        assert!(error.contains("within 0.05 s"), "{error}");
    }

    #[tokio::test]
    async fn redirects_are_followed_to_an_end() {
        let away = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
        let answer = fetch(vec![away.clone(), with_length("x")], get(10, DEADLINE)).await.expect("followed");
        assert!(answer.from.to_string().ends_with("/there"));
        let error = fetch(vec![away.clone(); 10], get(10, DEADLINE)).await.expect_err("endless");
        assert!(error.contains("redirects"), "{error}");
        let post = Request { method: Method::POST, body: Some("{}".into()), ..get(10, DEADLINE) };
        let answer = fetch(vec![away], post).await.expect("an answer");
        assert_eq!(answer.status, 302, "a POST would have to become a GET");
    }

    #[tokio::test]
    async fn an_address_with_interface_is_reached_through_it() {
        let text = server("[::1]:0", vec![with_length("x")]).await.replace("::1]", "::1%lo]");
        let endpoint = Endpoint::parse(&text).expect("a URL");
        let answer = transport().exchange(&endpoint, &get(10, DEADLINE)).await.expect("reached");
        assert_eq!(&answer.body[..], b"x");
        let nowhere = Endpoint::parse(&text.replace("%lo", "%no-such0")).expect("a URL");
        assert!(transport().exchange(&nowhere, &get(10, DEADLINE)).await.is_err());
    }

    #[tokio::test]
    async fn tls_is_set_up_only_for_tls_and_its_failure_is_told() {
        let endpoint = Endpoint::parse("https://127.0.0.1:1").expect("a URL");
        let error = transport().exchange(&endpoint, &get(10, DEADLINE)).await.expect_err("no TLS");
        assert!(error.to_string().contains("no TLS in this test"), "{error}");
    }
}
