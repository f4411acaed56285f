//! Files of a server that the operator named.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::Endpoint;
use super::transport::{Request, TlsSource, Transport};

/// What came of trying to get a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Download {
    /// All of it.
    Complete(Bytes),
    /// The server has none, or does not give it away: an HTTP status below 500.
    Refused(u16),
    /// What cannot be had at all, and why.
    Impossible(String),
    /// No file for now, and why.
    NotYet(String),
}

/// Gets files. TLS is set up when the first address of it is asked.
#[derive(Debug)]
pub(crate) struct Downloader(Transport);

impl Downloader {
    /// One that gives a connection so long to come up.
    pub(crate) fn new(tls: TlsSource, connect: Duration) -> Self {
        Self(Transport::new(tls, connect))
    }

    /// Tries once to get a file of at most `limit` bytes within `deadline`. Redirects are followed, but never out of
    /// TLS; a user and a password in the address are given to its server alone.
    pub(crate) async fn get(&self, from: &Endpoint, limit: usize, deadline: Duration) -> Download {
        let request = Request { method: Method::GET, body: None, headers: Vec::new(), limit, deadline };
        match self.0.attempt(from, &request).await {
            Ok(answer) => match answer.status {
                200 => Download::Complete(answer.body),
                // Try later, too many, and the server's own trouble.
                status @ (408 | 425 | 429 | 500..) => Download::NotYet(format!("HTTP status {status}")),
                status => Download::Refused(status),
            },
            Err(trouble) if trouble.lasts => Download::Impossible(trouble.reason),
            Err(trouble) => Download::NotYet(trouble.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn download(head: &'static str, body: &'static str) -> (Download, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            let text = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.expect("sent");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let tls: TlsSource = Arc::new(|| Err("no TLS in this test".to_owned()));
        let from = Endpoint::parse(&format!("http://me:pw@127.0.0.1:{port}/a.so")).expect("a URL");
        let seconds = Duration::from_secs(10);
        let got = Downloader::new(tls, seconds).get(&from, 4, seconds).await;
        (got, server.await.expect("no panic"))
    }

    #[tokio::test]
    async fn statuses_tell_whether_to_try_again() {
        let (got, request) = download("200 OK\r\nContent-Type: text/html", "1234").await;
        assert_eq!(got, Download::Complete("1234".into()), "whatever its type");
        assert!(request.to_lowercase().contains("authorization: basic bwu6chc="), "{request}");
        assert_eq!(download("404 no", "").await.0, Download::Refused(404));
        assert_eq!(download("204 no", "").await.0, Download::Refused(204));
        assert_eq!(download("503 no", "").await.0, Download::NotYet("HTTP status 503".into()));
        assert_eq!(download("429 no", "").await.0, Download::NotYet("HTTP status 429".into()));
        let (got, _) = download("200 OK", "12345").await;
        assert_eq!(got, Download::Impossible("the answer is larger than 4 bytes".into()));
        let (got, _) = download("302 Found\r\nLocation: ftp://a/", "").await;
        assert!(matches!(got, Download::Impossible(_)), "{got:?}");
    }
}
