//! The address that Ironic is told to call the agent at.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use slog::{Logger, debug, info, warn};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};

use crate::ironic::{Client, Endpoint};
use crate::managers::{CallContext, Managers};

/// How the address is found.
#[derive(Debug, Clone)]
pub struct Advertise {
    /// The address or name itself.
    pub host: Option<String>,
    /// An interface whose IPv4 address it is.
    pub interface: Option<String>,
    /// How often a route to Ironic is looked for.
    pub attempts: u32,
    /// Wait between two of these.
    pub interval: Duration,
}

impl Default for Advertise {
    fn default() -> Self {
        Self { host: None, interface: None, attempts: 6, interval: Duration::from_secs(10) }
    }
}

impl Advertise {
    /// Finds the address: the one that was given, that of the interface that was given, or the one that packets to
    /// Ironic leave from.
    ///
    /// # Errors
    /// There is none; a sentence says why and what would help.
    pub async fn find(&self, ironic: &Client, managers: &dyn Managers, log: &Logger) -> Result<String, String> {
        if let Some(host) = &self.host {
            return Ok(host.clone());
        }
        let found = match &self.interface {
            Some(interface) => of_interface(managers, interface).await?,
            None => self.towards(ironic, log).await?,
        };
        info!(log, "Ironic is told to call this address"; "address" => &found);
        Ok(found)
    }

    async fn towards(&self, ironic: &Client, log: &Logger) -> Result<String, String> {
        let mut targets = Vec::new();
        for url in ironic.urls() {
            match ironic.reaches(&url).await {
                Ok(()) => targets.extend(addresses(&url, ironic.timeout(), log).await),
                Err(error) => info!(log, "not reachable, so it does not count for the route"; "error" => %error),
            }
        }
        if targets.is_empty() {
            return Err(format!(
                "no address to advertise: none of {} can be reached and resolved here; set advertise_host \
                 (ipa-advertise-host)",
                ironic.shown_urls()
            ));
        }
        for attempt in 1..=self.attempts.max(1) {
            for target in &targets {
                match source_towards(*target).await {
                    Ok(source) if !is_link_local(source) => return Ok(source.to_string()),
                    Ok(source) => {
                        info!(log, "link-local, so not advertised"; "source" => %source, "target" => %target);
                    }
                    Err(error) => warn!(log, "no route to Ironic"; "target" => %target, "error" => %error),
                }
            }
            debug!(log, "no address to advertise yet"; "attempt" => attempt);
            sleep(self.interval).await;
        }
        Err(format!(
            "no address to advertise: there is no route to {} that begins at an address that others can reach; set \
             advertise_host (ipa-advertise-host)",
            ironic.shown_urls()
        ))
    }
}

async fn of_interface(managers: &dyn Managers, interface: &str) -> Result<String, String> {
    let args = json!({ "interface_name": interface });
    match managers.dispatch(&CallContext::new(), "get_ipv4_addr", args).await {
        Ok(Value::String(address)) if !address.is_empty() => Ok(address),
        Ok(_) => Err(format!("no address to advertise: the interface {interface} has no IPv4 address")),
        Err(error) => Err(format!("no address to advertise: the interface {interface} cannot be asked: {error}")),
    }
}

/// Where an endpoint is, with the interface of a link-local address.
async fn addresses(url: &Endpoint, patience: Duration, log: &Logger) -> Vec<SocketAddr> {
    if let Some(address) = url.scoped_address() {
        return address.inspect_err(|error| warn!(log, "no way to Ironic"; "error" => error)).into_iter().collect();
    }
    let host = url.host();
    let found = timeout(patience, lookup_host((host, url.port()))).await;
    match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            // Behind a proxy, which resolves names itself, nothing is wrong with that.
            info!(log, "the name cannot be resolved here"; "host" => host, "error" => %error);
            Vec::new()
        }
        Err(_) => {
            info!(log, "the name is not resolved in time"; "host" => host);
            Vec::new()
        }
    }
}

/// The address that the kernel puts on packets to the target. Connecting a UDP socket sends nothing.
pub(crate) async fn source_towards(target: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = if target.is_ipv4() { [0, 0, 0, 0].into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket.local_addr()?.ip())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// `protocol://host:port`, an IPv6 address in brackets, without a slash at the end.
pub fn callback_url(protocol: &str, host: &str, port: u16) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("{protocol}://[{host}]:{port}")
    } else {
        format!("{protocol}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ironic::Settings;
    use crate::testing::FakeManagers;
    use slog::{Discard, o};
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn log() -> Logger {
        Logger::root(Discard, o!())
    }

    fn client(urls: &str) -> Client {
        let settings = Settings {
            urls: Endpoint::parse_list(urls).expect("URLs"),
            request_id: None,
            timeout: Duration::from_secs(10),
            api_version: None,
            tls: Arc::new(|| Err("no TLS in this test".to_owned())),
        };
        Client::new(settings, log())
    }

    async fn server(address: &str) -> String {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 503 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            }
        });
        format!("http://{}:{port}", address.rsplit_once(':').expect("with port").0)
    }

    async fn find(advertise: &Advertise, urls: &str) -> Result<String, String> {
        advertise.find(&client(urls), &FakeManagers::default(), &log()).await
    }

    #[tokio::test]
    async fn the_address_is_where_packets_to_a_reachable_ironic_leave_from() {
        let advertise = Advertise::default();
        let dead = "http://127.0.0.1:9";
        let v4 = server("127.0.0.1:0").await;
        assert_eq!(find(&advertise, &format!("{dead},{v4}")).await.as_deref(), Ok("127.0.0.1"));
        let v6 = server("[::1]:0").await;
        assert_eq!(find(&advertise, &v6).await.as_deref(), Ok("::1"));
        assert_eq!(find(&advertise, &v6.replace("::1]", "::1%lo]")).await.as_deref(), Ok("::1"));
        let error = find(&advertise, dead).await.expect_err("nothing is reachable");
        assert!(error.contains(dead) && error.contains("ipa-advertise-host"), "{error}");
    }

    #[tokio::test]
    async fn what_was_given_needs_no_ironic() {
        let given = Advertise { host: Some("agent.example".into()), ..Advertise::default() };
        assert_eq!(find(&given, "http://127.0.0.1:9").await.as_deref(), Ok("agent.example"));
        let by_interface = Advertise { interface: Some("eth7".into()), ..Advertise::default() };
        assert!(find(&by_interface, "http://127.0.0.1:9").await.expect_err("no such method").contains("eth7"));
    }

    #[test]
    fn link_local_addresses_are_known() {
        for (address, is) in [("169.254.1.1", true), ("fe80::1", true), ("10.0.0.1", false), ("fd00::1", false)] {
            assert_eq!(is_link_local(address.parse().expect("an address")), is, "{address}");
        }
    }

    #[test]
    fn the_callback_url_has_brackets_where_needed_and_no_slash() {
        assert_eq!(callback_url("https", "fd00::5", 9999), "https://[fd00::5]:9999");
        assert_eq!(callback_url("http", "10.0.0.5", 1), "http://10.0.0.5:1");
        assert_eq!(callback_url("http", "agent.example", 80), "http://agent.example:80");
    }
}
