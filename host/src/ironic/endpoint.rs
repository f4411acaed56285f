//! An address of Ironic as the operator wrote it.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use reqwest::Url;

use super::zone;

/// An `http` or `https` URL. Unlike a plain URL it may name the interface of a link-local address,
/// `http://[fe80::1%25eth0]:6385` or, as people write it, `http://[fe80::1%eth0]:6385`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    zone: Option<String>,
}

impl Endpoint {
    /// Reads one address.
    ///
    /// # Errors
    /// A sentence that names the address and says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (bare, zone) = take_zone(text);
        let url =
            Url::parse(&bare).map_err(|error| format!("{text:?} is no URL: {error}; it reads http://HOST:PORT"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(format!("{text:?} is no address of an API; it reads http://HOST:PORT or https://HOST:PORT"));
        }
        Ok(Self { url, zone })
    }

    /// Reads a list with commas between the addresses. Empty items are skipped.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), for the first bad one.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').filter(|item| !item.trim().is_empty()).map(Self::parse).collect()
    }

    /// The endpoint with a path below its own one, for example `/v1/lookup`.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        Self { url, zone: self.zone.clone() }
    }

    /// The endpoint with this query.
    #[must_use]
    pub fn with_query(mut self, pairs: &[(&str, &str)]) -> Self {
        if !pairs.is_empty() {
            self.url.query_pairs_mut().clear().extend_pairs(pairs);
        }
        self
    }

    /// Where a redirect leads. None if the place is none, or if it would leave TLS.
    pub(super) fn redirected(&self, location: &str) -> Option<Self> {
        let url = self.url.join(location).ok()?;
        if !matches!(url.scheme(), "http" | "https") || (self.is_tls() && url.scheme() == "http") {
            return None;
        }
        let zone = self.zone.clone().filter(|_| url.host() == self.url.host());
        Some(Self { url, zone })
    }

    /// True if it holds a user's name or password.
    pub(super) fn has_user(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    /// True for `https`.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Name or address of the machine, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, also where the URL leaves it to the scheme.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    /// The interface through which a link-local address is reached: its name or number.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The full address if the endpoint is an IPv6 address with an interface, which no resolver is needed for.
    pub fn scoped_address(&self) -> Option<Result<SocketAddr, String>> {
        let ip = self.zone.as_ref().and_then(|_| self.host().parse().ok())?;
        let number = zone::number(self.zone.as_deref()?);
        Some(number.map(|number| SocketAddrV6::new(ip, self.port(), 0, number).into()))
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for Endpoint {
    /// As it was written, without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        // Only URLs without host refuse these.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let text = url.as_str();
        match &self.zone {
            Some(zone) => f.write_str(&text.replacen(']', &format!("%{zone}]"), 1)),
            None if url.path() == "/" && url.query().is_none() => f.write_str(text.trim_end_matches('/')),
            None => f.write_str(text),
        }
    }
}

/// Splits the zone off an IPv6 address. URL parsers know no zones.
fn take_zone(text: &str) -> (String, Option<String>) {
    let split = || {
        let (before, rest) = text.split_once("://[")?;
        let (address, after) = rest.split_once(']')?;
        let (address, zone) = address.split_once('%')?;
        address.parse::<Ipv6Addr>().ok()?;
        let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        // Longer than any interface name it cannot be.
        (!zone.is_empty() && zone.len() <= 15 && zone.chars().all(plain))
            .then(|| (format!("{before}://[{address}]{after}"), Some(zone.to_owned())))
    };
    split().unwrap_or_else(|| (text.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn paths_are_appended_and_queries_encoded() {
        let lookup = endpoint("http://ironic.example:6385/baremetal/").at("/v1/lookup");
        let full = lookup.with_query(&[("addresses", "aa:bb,cc:dd")]);
        assert_eq!(full.to_string(), "http://ironic.example:6385/baremetal/v1/lookup?addresses=aa%3Abb%2Ccc%3Add");
        assert_eq!(endpoint("https://h").at("/").to_string(), "https://h");
        assert_eq!((endpoint("https://h").port(), endpoint("http://h").port()), (443, 80));
    }

    #[test]
    fn a_link_local_address_has_its_interface() {
        for text in ["http://[fe80::1%25eth0]:6385", "http://[fe80::1%eth0]:6385/"] {
            let endpoint = endpoint(text).at("/v1/lookup");
            assert_eq!((endpoint.host(), endpoint.zone(), endpoint.port()), ("fe80::1", Some("eth0"), 6385));
            assert_eq!(endpoint.to_string(), "http://[fe80::1%eth0]:6385/v1/lookup");
        }
        assert_eq!(endpoint("http://[fd00::5]:6385").zone(), None);
    }

    #[test]
    fn a_list_skips_what_is_empty_and_names_what_is_wrong() {
        assert_eq!(Endpoint::parse_list("http://a:1/,, https://b ,").map(|list| list.len()), Ok(2));
        for text in ["ironic", "ftp://a", "mdns", "http://", "http://[fe80::1%a b]", "http://a:99999"] {
            let error = Endpoint::parse_list(text).expect_err(text);
            assert!(error.contains(text) && error.contains("http://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_redirect_keeps_the_interface_and_never_leaves_tls() {
        let from = endpoint("http://[fe80::1%eth0]:6385").at("/v1/lookup");
        assert_eq!(from.redirected("/x?y=1").expect("a place").to_string(), "http://[fe80::1%eth0]:6385/x?y=1");
        assert_eq!(from.redirected("https://other/").expect("a place").zone(), None);
        let tls = endpoint("https://a/");
        assert_eq!(tls.redirected("http://a/"), None);
        assert_eq!(tls.redirected("file:///etc/passwd"), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = endpoint("http://user:secret@ironic:6385/").at("/v1/").to_string();
        assert_eq!(shown, "http://ironic:6385/v1/");
    }
}
