//! `/etc/resolv.conf` and `/etc/hosts`, made of what all links told.

use std::fmt::Write;
use std::net::IpAddr;

/// Servers that the C library looks at, at most three, and some for who reads more.
const SERVERS: usize = 6;
/// Domains that the C library looks at.
const DOMAINS: usize = 6;

/// The content of `/etc/resolv.conf`. What comes first counts more.
pub fn resolv_conf<'a>(servers: impl Iterator<Item = &'a IpAddr>, domains: impl Iterator<Item = &'a String>) -> String {
    let (mut unique_servers, mut unique_domains) = (Vec::new(), Vec::new());
    for server in servers {
        if unique_servers.len() < SERVERS && !unique_servers.contains(&server) {
            unique_servers.push(server);
        }
    }
    for domain in domains {
        if unique_domains.len() < DOMAINS && !unique_domains.contains(&domain) {
            unique_domains.push(domain);
        }
    }
    let mut text = String::new();
    if !unique_domains.is_empty() {
        let list: Vec<&str> = unique_domains.into_iter().map(String::as_str).collect();
        let _ = writeln!(text, "search {}", list.join(" "));
    }
    for server in unique_servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

/// The content of `/etc/hosts`.
pub fn hosts(name: &str) -> String {
    format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_and_not_too_many() {
        let servers: Vec<IpAddr> = (0..20).flat_map(|n| [[192, 0, 2, n].into(), [192, 0, 2, 0].into()]).collect();
        let domains = ["a.example".to_owned(), "b.example".to_owned(), "a.example".to_owned()];
        let text = resolv_conf(servers.iter(), domains.iter());
        assert!(text.starts_with("search a.example b.example\nnameserver 192.0.2.0\nnameserver 192.0.2.1\n"), "{text}");
        assert_eq!(text.lines().count(), 1 + SERVERS);
        assert_eq!(resolv_conf([].iter(), [].iter()), "");
    }
}
