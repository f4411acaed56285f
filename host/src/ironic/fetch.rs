//! A page of some other server, for a hardware manager.

use std::time::Duration;

use reqwest::Method;

use super::Endpoint;
use super::transport::{Request, TlsSource, Transport};

/// Most bytes of a page, whatever is asked for.
pub(crate) const MOST: usize = 16 * 1024 * 1024;
/// Longest time until a connection is there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);

/// What a server answered, whatever its status.
#[derive(Debug)]
pub(crate) struct Page {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) text: String,
}

/// Gets a page. Redirects are followed to `http` and `https`, but never out of TLS. The TLS settings are those of the
/// moment.
///
/// # Errors
/// There was no whole text within time and size; the sentence names the address.
pub(crate) async fn fetch(url: &str, limit: usize, deadline: Duration, tls: &TlsSource) -> Result<Page, String> {
    let endpoint = Endpoint::parse(url)?;
    if endpoint.has_user() {
        return Err("an address with a user or a password would put them into logs".to_owned());
    }
    let request = Request { method: Method::GET, body: None, headers: Vec::new(), limit: limit.min(MOST), deadline };
    let transport = Transport::new(tls.clone(), CONNECT_DEADLINE.min(deadline));
    let answer = transport.exchange(&endpoint, &request).await.map_err(|error| error.to_string())?;
    let text = String::from_utf8(answer.body.into()).map_err(|_| format!("{}: the answer is no text", answer.from))?;
    Ok(Page { status: answer.status, text })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn only_addresses_of_the_web_without_secrets_are_asked() {
        let tls: TlsSource = Arc::new(|| Err("no TLS in this test".to_owned()));
        for (url, says) in [
            ("file:///etc/shadow", "is no address of an API"),
            ("gopher://a", "is no address of an API"),
            ("", "is no URL"),
            ("http://user:secret@127.0.0.1:1/", "a user or a password"),
            ("https://127.0.0.1:1/", "no TLS in this test"),
        ] {
            let why = fetch(url, 100, Duration::from_secs(5), &tls).await.expect_err("refused");
            assert!(why.contains(says) && !why.contains("secret@"), "{why}");
        }
    }
}
