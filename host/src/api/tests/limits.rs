//! Clients that are slow, greedy or no clients at all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use super::client::{fixture, serve, settings};
use crate::api::{Limits, Stream, TlsAccept, Transport};
use crate::managers::BoxFuture;
use crate::testing::TOKEN;

fn limits() -> Limits {
    Limits { header_time: Duration::from_millis(300), body_time: Duration::from_millis(300), ..Limits::default() }
}

fn post_target() -> String {
    format!("/v1/commands/?agent_token={TOKEN}")
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let fixture = fixture();
    let mut connection = fixture.connect().await;
    for _ in 0..3 {
        connection.send("GET", "/v1/status", &[], b"").await;
        assert_eq!(connection.receive("GET").await.status, 200);
        connection.send("HEAD", "/", &[], b"").await;
        assert!(connection.receive("HEAD").await.body.is_empty());
        connection.send("POST", &post_target(), &[], b"{").await;
        assert_eq!(connection.receive("POST").await.status, 400);
    }
    connection.raw(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(connection.receive("GET").await.status, 200);
    assert_eq!(connection.receive("GET").await.status, 404);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_our_address() {
    let fixture = fixture();
    let mut connection = fixture.connect().await;
    connection.raw(b"GET /v1 HTTP/1.0\r\n\r\n").await;
    let answer = connection.receive("GET").await;
    assert_eq!(answer.headers["location"], format!("http://{}/v1/", fixture.address()));
}

#[tokio::test]
async fn a_hostile_host_is_not_repeated() {
    let fixture = fixture();
    let mut connection = fixture.connect().await;
    connection.send("GET", "/v1?a='&b", &[("Host", "evil.example/\"><script>")], b"").await;
    let answer = connection.receive("GET").await;
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(!text.contains("evil") && text.contains("?a=&#39;&amp;b</a>"), "{text}");
    assert_eq!(answer.headers["location"], format!("http://{}/v1/?a='&b", fixture.address()));
}

#[tokio::test]
async fn a_body_has_a_size() {
    let fixture = serve(settings(), Limits { body: 1000, ..Limits::default() }, Transport::Plain);
    let answer = fixture.send("POST", &post_target(), &[b' '; 1001]).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["faultcode"], "Client");
    let mut connection = fixture.connect().await;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", post_target());
    connection.raw(head.as_bytes()).await;
    for _ in 0..11 {
        connection.raw(&[b"64\r\n", &[b' '; 100][..], b"\r\n"].concat()).await;
    }
    assert_eq!(connection.receive("POST").await.status, 413);
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let fixture = fixture();
    let mut connection = fixture.connect().await;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", post_target());
    connection.raw(head.as_bytes()).await;
    let body = json!({"name": "probe.text", "params": {}}).to_string();
    for byte in body.bytes() {
        connection.raw(&[b"1\r\n", &[byte][..], b"\r\n"].concat()).await;
    }
    connection.raw(b"0\r\n\r\n").await;
    assert_eq!(connection.receive("POST").await.json()["command_status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_body_has_a_time() {
    let fixture = serve(settings(), limits(), Transport::Plain);
    let mut connection = fixture.connect().await;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{{", post_target());
    connection.raw(head.as_bytes()).await;
    let answer = connection.receive("POST").await;
    assert_eq!(answer.status, 408);
    assert!(answer.fault().starts_with("408 Request Timeout: "), "{}", answer.fault());
}

#[tokio::test]
async fn a_body_is_not_waited_for_without_the_token() {
    let fixture = fixture();
    let mut connection = fixture.connect().await;
    connection.raw(b"POST /v1/commands/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await;
    assert_eq!(connection.receive("POST").await.status, 401);
}

#[tokio::test]
async fn a_header_has_a_time() {
    let fixture = serve(settings(), limits(), Transport::Plain);
    let mut connection = fixture.connect().await;
    connection.raw(b"GET /v1/status HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert_eq!(connection.rest().await, b"", "the server closes it");
    let idle = fixture.connect().await;
    assert_eq!(idle.rest().await, b"", "the server closes it");
}

#[tokio::test]
async fn a_header_has_a_size() {
    let fixture = fixture();
    let many: Vec<(String, String)> = (0..100).map(|i| (format!("X-{i}"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut connection = fixture.connect().await;
    connection.send("GET", "/v1/status", &many, b"").await;
    assert_eq!(connection.receive("GET").await.status, 431);
    let mut connection = fixture.connect().await;
    connection.send("GET", &format!("/v1/status?{}", "x".repeat(10_000)), &[], b"").await;
    assert_eq!(connection.receive("GET").await.status, 414);
    let mut connection = fixture.connect().await;
    let large = "x".repeat(40_000);
    connection.send("GET", "/v1/status", &[("X", &large)], b"").await;
    assert_eq!(connection.receive("GET").await.status, 431);
}

#[tokio::test]
async fn what_is_not_http_is_closed() {
    let fixture = fixture();
    for noise in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\0\r\n\r\n"] {
        let mut connection = fixture.connect().await;
        connection.raw(noise).await;
        let rest = connection.rest().await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&rest));
    }
    assert_eq!(fixture.get("/v1/status").await.status, 200);
}

#[tokio::test]
async fn a_crowd_of_slow_clients_does_not_keep_ironic_out() {
    let fixture = serve(settings(), Limits { connections: 4, ..Limits::default() }, Transport::Plain);
    let mut crowd = Vec::new();
    for _ in 0..20 {
        let mut slow = fixture.connect().await;
        // The oldest are closed already, so that a write may fail.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut slow.stream, b"GET / HTTP/1.1\r\n").await;
        crowd.push(slow);
        assert_eq!(fixture.get("/v1/commands/").await.status, 200);
    }
}

#[tokio::test]
async fn when_all_are_served_the_next_is_told_so() {
    let fixture = serve(settings(), Limits { connections: 2, ..Limits::default() }, Transport::Plain);
    let step = json!({"name": "clean.execute_clean_step",
        "params": {"step": {"step": "acme_block"}, "node": {}, "ports": []}});
    let started = fixture.post(&step, false).await.json();
    let wait = format!("/v1/commands/{}?agent_token={TOKEN}&wait=true", started["id"].as_str().unwrap());
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut connection = fixture.connect().await;
        connection.send("GET", &wait, &[], b"").await;
        waiting.push(connection);
    }
    // The second wait is being served once a new connection finds no place.
    let refused = loop {
        let mut connection = fixture.connect().await;
        if connection.more().await {
            break connection.receive("GET").await;
        }
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["faultcode"], "Server");
    fixture.managers.release.send_replace(true);
    for mut connection in waiting {
        assert_eq!(connection.receive("GET").await.json()["command_status"], "SUCCEEDED");
    }
}

/// Takes the plain stream for one that has been encrypted.
struct NoTls;

impl TlsAccept for NoTls {
    fn accept(&self, stream: TcpStream) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Ok(Box::new(stream) as Box<dyn Stream>) })
    }
}

/// Never ends its handshake.
struct StuckTls;

impl TlsAccept for StuckTls {
    fn accept(&self, stream: TcpStream) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let _stream = stream;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn the_scheme_is_that_of_the_listener() {
    let fixture = serve(settings(), Limits::default(), Transport::Tls(Arc::new(NoTls)));
    let answer = fixture.send("GET", "/v1", b"").await;
    assert_eq!(answer.headers["location"], "https://agent.example:9999/v1/");
    let root = fixture.send("GET", "/", b"").await.json();
    assert_eq!(root["versions"][0]["links"][0]["href"], "https://agent.example:9999/v1");
}

#[tokio::test]
async fn a_handshake_has_a_time() {
    let fixture = serve(settings(), limits(), Transport::Tls(Arc::new(StuckTls)));
    assert_eq!(fixture.connect().await.rest().await, b"");
}
