//! Clients that speak no TLS, or stop in the middle.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::*;

/// Sends bytes and gives what comes until the server closes.
async fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset tells the same as an end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes the connection");
    answer
}

/// The beginning of a hello: a record of 512 bytes of which one came.
const HALF_A_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1];

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let server = serve(&automatic(Curve::P384), &Protocol::default(), Limits::default());
    for request in [REQUEST, &[b"POST / HTTP/1.1\r\nContent-Length: 30000\r\n\r\n", &[b'x'; 30_000][..]].concat()] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(body["faultstring"].as_str().unwrap().contains("HTTPS"), "{answer}");
    }
}

#[tokio::test]
async fn garbage_ends_its_own_connection() {
    let pair = automatic(Curve::P384);
    let server = serve(&pair, &Protocol::default(), Limits::default());
    let oversized = [&[22, 3, 1, 255, 255][..], &[0; 70_000]].concat();
    for garbage in
        [&[0; 100][..], &[255; 20_000], &[22, 3, 3, 0, 4, 99, 99, 99, 99], &[21, 3, 3, 0, 2, 2, 40], &oversized]
    {
        let answer = send(&server, garbage).await;
        assert!(answer.is_empty() || answer[0] == 21, "an alert or nothing: {answer:?}");
    }
    let output = s_client(server.local_addr(), &pair.certificate, &[]).await;
    assert!(output.contains("HTTP/1.1 200 OK"), "{output}");
}

#[tokio::test]
async fn a_stalled_handshake_ends() {
    let pair = automatic(Curve::P384);
    let limits = Limits { header_time: Duration::from_millis(300), ..Limits::default() };
    let server = serve(&pair, &Protocol::default(), limits);
    for beginning in [&b""[..], HALF_A_HELLO] {
        send(&server, beginning).await;
    }
}

#[tokio::test]
async fn stalled_handshakes_keep_nobody_out() {
    let pair = automatic(Curve::P384);
    let server = serve(&pair, &Protocol::default(), Limits { connections: 4, ..Limits::default() });
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(HALF_A_HELLO).await.unwrap();
        stalled.push(stream);
    }
    let output = s_client(server.local_addr(), &pair.certificate, &[]).await;
    assert!(output.contains("HTTP/1.1 200 OK"), "{output}");
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_handshake() {
    let server = serve(&automatic(Curve::P384), &Protocol::default(), Limits::default());
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(HALF_A_HELLO).await.unwrap();
    let stopped = timeout(Duration::from_secs(3), server.stop());
    stopped.await.expect("a stalled handshake has 10 s, and stopping waits for answers alone");
}
