//! From records to an address of Ironic.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use slog::{Logger, debug, warn};

use super::message::{Data, Kind, Record};
use super::name::Name;
use super::places::Places;
use super::{Found, Parameter};
use crate::ironic::Endpoint;

/// Most addresses of one host that are kept.
const MOST_ADDRESSES: usize = 64;

/// What one responder has said about a service so far.
#[derive(Debug)]
pub(super) struct Service {
    name: Name,
    place: Option<(Name, u16)>,
    pairs: Option<Vec<Parameter>>,
    addresses: Vec<(Name, IpAddr)>,
}

/// A service of which all is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    host: Name,
    port: u16,
    pairs: Vec<Parameter>,
    /// IPv4 first, as upstream has them.
    addresses: Vec<IpAddr>,
}

impl Service {
    /// Nothing is known yet.
    pub(super) fn new(name: &Name) -> Self {
        Self { name: name.clone(), place: None, pairs: None, addresses: Vec::new() }
    }

    /// Adds what a message says. What was said first counts.
    pub(super) fn add(&mut self, records: Vec<Record>) {
        for Record { name, data } in records {
            match data {
                Data::Place { host, port } if name == self.name => {
                    self.place.get_or_insert((host, port));
                }
                Data::Pairs(pairs) if name == self.name => {
                    self.pairs.get_or_insert(pairs);
                }
                Data::Address(address) if self.addresses.len() < MOST_ADDRESSES => {
                    let address = (name, address);
                    if !self.addresses.contains(&address) {
                        self.addresses.push(address);
                    }
                }
                _ => {}
            }
        }
    }

    /// What is to be asked. Addresses are asked for once it is known whose.
    pub(super) fn questions(&self) -> Vec<(&Name, Kind)> {
        let mut questions = vec![(&self.name, Kind::Srv), (&self.name, Kind::Txt)];
        if let Some((host, _)) = &self.place {
            questions.extend([(host, Kind::A), (host, Kind::Aaaa)]);
        }
        questions
    }

    /// The service, if all that is needed has been said.
    pub(super) fn whole(&self) -> Option<Announced> {
        let ((host, port), pairs) = (self.place.as_ref()?, self.pairs.as_ref()?);
        let of_host = self.addresses.iter().filter(|(name, _)| name == host).map(|(_, address)| *address);
        let mut addresses: Vec<IpAddr> = of_host.collect();
        addresses.sort_by_key(IpAddr::is_ipv6);
        (!addresses.is_empty()).then(|| Announced { host: host.clone(), port: *port, pairs: pairs.clone(), addresses })
    }
}

/// Who knows the ways of packets.
pub(super) trait Routes {
    /// True if packets to this address have a way.
    async fn has_route(&self, to: SocketAddr) -> bool;
}

impl Announced {
    /// The address of Ironic that this service stands for, and its parameters. `from` is who announced it.
    ///
    /// # Errors
    /// It stands for none that is allowed; a sentence says why.
    pub(super) async fn resolve(
        self,
        from: SocketAddr,
        places: &Places,
        routes: &impl Routes,
        log: &Logger,
    ) -> Result<Found, String> {
        let address = self.choose(from, places, routes, log).await?;
        let (mut protocol, mut path, mut parameters) = (None, None, Vec::new());
        for parameter in self.pairs {
            match parameter.key.as_slice() {
                b"protocol" => protocol = parameter.value.filter(|value| !value.is_empty()),
                b"path" => path = parameter.value,
                _ => parameters.push(parameter),
            }
        }
        let protocol = match protocol.as_deref() {
            Some(b"http") => "http",
            Some(b"https") => "https",
            None if self.port == 80 => "http",
            None => "https",
            Some(other) => return Err(format!("its protocol is \"{}\", not http or https", other.escape_ascii())),
        };
        let path = path.unwrap_or_default();
        let harmless = |b: &u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(b);
        // Anything else could become a part of the host's name, or a second address in a list.
        if !(path.is_empty() || path.starts_with(b"/")) || !path.iter().all(harmless) {
            return Err(format!("its path is \"{}\", which is none of a URL", path.escape_ascii()));
        }
        let host = match address {
            Place::Address(SocketAddr::V4(v4)) => v4.ip().to_string(),
            Place::Address(SocketAddr::V6(v6)) if v6.scope_id() > 0 => format!("[{}%{}]", v6.ip(), v6.scope_id()),
            Place::Address(SocketAddr::V6(v6)) => format!("[{}]", v6.ip()),
            Place::Host(name) => name,
        };
        let url = format!("{protocol}://{host}:{}{}", self.port, String::from_utf8_lossy(&path));
        Ok(Found { url: Endpoint::parse(&url)?, parameters, from: from.ip() })
    }

    /// The first address with a way to it, else the first; or the name of the host, if it has one that others know.
    async fn choose(
        &self,
        from: SocketAddr,
        places: &Places,
        routes: &impl Routes,
        log: &Logger,
    ) -> Result<Place, String> {
        let local = self.host.is_local();
        if !local {
            let name = self.host.host().ok_or_else(|| format!("no host can be called {}", self.host))?;
            if !places.has_host(&name) {
                return Err(format!("its host is {name}, which [mdns]allowed_addresses does not list"));
            }
            return Ok(Place::Host(name));
        }
        let (mut first, mut why) = (None, Vec::new());
        for &address in &self.addresses {
            match usable(address, self.port, from, places) {
                Ok(address) if routes.has_route(address).await => return Ok(Place::Address(address)),
                Ok(address) => {
                    debug!(log, "no route to an announced address"; "address" => %address.ip());
                    first.get_or_insert(address);
                }
                Err(refused) => why.push(refused),
            }
        }
        match first {
            Some(address) => {
                warn!(log, "no announced address seems to have a route, using the first"; "address" => %address.ip());
                Ok(Place::Address(address))
            }
            None => Err(why.join(", ")),
        }
    }
}

/// Where the API is.
enum Place {
    Address(SocketAddr),
    Host(String),
}

/// The full address, if it may be Ironic's. A link-local one is reached through the interface of who announced it.
fn usable(address: IpAddr, port: u16, from: SocketAddr, places: &Places) -> Result<SocketAddr, String> {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return Err(format!("{address} is not another machine's address"));
    }
    if !places.has_address(address) {
        return Err(format!("{address} is in no network that [mdns]allowed_addresses lists"));
    }
    match (address, from) {
        (IpAddr::V6(v6), SocketAddr::V6(from)) if v6.is_unicast_link_local() && from.scope_id() > 0 => {
            Ok(SocketAddrV6::new(v6, port, 0, from.scope_id()).into())
        }
        (IpAddr::V6(v6), _) if v6.is_unicast_link_local() => {
            Err(format!("{address} was announced by IPv4, so its interface is not known"))
        }
        _ => Ok((address, port).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Discard, o};

    const NAME: &str = "baremetal._openstack._tcp.local.";
    const DEFAULT: &[&str] = &["10.0.0.0/8", "fd00::/8", "fe80::/10"];

    fn record(name: &str, data: Data) -> Record {
        Record { name: Name::of(name), data }
    }

    /// A service on `host:port` with these addresses and pairs.
    fn service(host: &str, port: u16, addresses: &[&str], pairs: &[(&str, &str)]) -> Service {
        let pair = |(key, value): &(&str, &str)| Parameter {
            key: key.as_bytes().to_vec(),
            value: Some(value.as_bytes().to_vec()),
        };
        let mut records = vec![
            record(NAME, Data::Place { host: Name::of(host), port }),
            record(NAME, Data::Pairs(pairs.iter().map(pair).collect())),
        ];
        let address = |address: &&str| record(host, Data::Address(address.parse().expect("an address")));
        records.extend(addresses.iter().map(address));
        let mut service = Service::new(&Name::of(NAME));
        service.add(records);
        service
    }

    /// The addresses that have a way.
    struct Routed<'a>(&'a [&'a str]);

    impl Routes for Routed<'_> {
        async fn has_route(&self, to: SocketAddr) -> bool {
            self.0.contains(&to.ip().to_string().as_str())
        }
    }

    async fn resolved(service: &Service, places: &[&str], routed: &[&str]) -> Result<Found, String> {
        let from = "[fe80::9%3]:5353".parse().expect("an address");
        let places = Places::parse(places).expect("places");
        let log = Logger::root(Discard, o!());
        service.whole().expect("all is known").resolve(from, &places, &Routed(routed), &log).await
    }

    async fn url(service: &Service, routed: &[&str]) -> String {
        resolved(service, DEFAULT, routed).await.unwrap_or_else(|error| panic!("{error}")).url.to_string()
    }

    #[tokio::test]
    async fn the_url_is_put_together_from_port_protocol_and_path() {
        let at = |port: u16, pairs: &[(&str, &str)]| service("ironic.local.", port, &["10.0.0.5"], pairs);
        assert_eq!(url(&at(80, &[]), &[]).await, "http://10.0.0.5");
        assert_eq!(url(&at(6385, &[]), &[]).await, "https://10.0.0.5:6385");
        assert_eq!(url(&at(6385, &[("protocol", "http")]), &[]).await, "http://10.0.0.5:6385");
        let with_path = at(443, &[("path", "/baremetal"), ("protocol", "")]);
        assert_eq!(url(&with_path, &[]).await, "https://10.0.0.5/baremetal");
    }

    #[tokio::test]
    async fn the_first_address_with_a_route_is_taken_and_else_the_first() {
        let addresses = ["fd00::5", "127.0.0.1", "fe80::5", "10.0.0.5", "10.0.0.6"];
        let all = service("ironic.local.", 80, &addresses, &[]);
        assert_eq!(url(&all, &["10.0.0.6", "fd00::5"]).await, "http://10.0.0.6", "IPv4 comes first");
        assert_eq!(url(&all, &["fd00::5"]).await, "http://[fd00::5]");
        assert_eq!(url(&all, &["fe80::5"]).await, "http://[fe80::5%3]/", "through the interface of who said so");
        assert_eq!(url(&all, &["127.0.0.1"]).await, "http://10.0.0.5", "loopback is skipped");
        let nowhere = service("ironic.local.", 80, &["127.0.0.1", "::1", "0.0.0.0", "224.0.0.1"], &[]);
        let error = resolved(&nowhere, &["0.0.0.0/0", "::/0"], &[]).await.expect_err("none can be used");
        assert!(error.contains("127.0.0.1 is not another") && error.contains("224.0.0.1"), "{error}");
    }

    #[tokio::test]
    async fn a_place_that_is_not_listed_is_refused_by_name() {
        let public = service("ironic.local.", 80, &["9.9.9.9"], &[]);
        let error = resolved(&public, DEFAULT, &["9.9.9.9"]).await.expect_err("public");
        assert!(error.contains("9.9.9.9 is in no network that [mdns]allowed_addresses lists"), "{error}");
        assert!(resolved(&public, &["9.9.9.0/24"], &[]).await.is_ok());

        let named = service("ironic.example.", 6385, &["10.0.0.5"], &[]);
        let error = resolved(&named, DEFAULT, &["10.0.0.5"]).await.expect_err("a name");
        assert!(error.contains("ironic.example, which [mdns]allowed_addresses does not list"), "{error}");
        let found = resolved(&named, &[".example"], &[]).await.expect("listed");
        assert_eq!(found.url.to_string(), "https://ironic.example:6385");
    }

    #[tokio::test]
    async fn no_parameter_leads_to_another_host() {
        for (key, value) in [
            ("path", "@evil.example/"),
            ("path", "1/"),
            ("path", "/,http://evil.example/"),
            ("path", "/?x"),
            ("path", "/a b"),
            ("protocol", "http://evil.example/#"),
            ("protocol", "HTTP"),
            ("protocol", "file"),
        ] {
            let service = service("ironic.local.", 80, &["10.0.0.5"], &[(key, value)]);
            let error = resolved(&service, DEFAULT, &[]).await.expect_err(value);
            assert!(error.starts_with(&format!("its {key} is")), "{error}");
        }
    }

    #[tokio::test]
    async fn what_remains_are_parameters() {
        let mut service = service("ironic.local.", 80, &["10.0.0.5"], &[("path", "/x"), ("ipa_debug", "1")]);
        // Said too late.
        service.add(vec![record(NAME, Data::Pairs(vec![Parameter { key: b"ipa_insecure".to_vec(), value: None }]))]);
        let found = resolved(&service, DEFAULT, &[]).await.expect("usable");
        assert_eq!(found.parameters, [Parameter { key: b"ipa_debug".to_vec(), value: Some(b"1".to_vec()) }]);
    }

    #[test]
    fn a_service_is_whole_with_place_pairs_and_an_address_of_its_host() {
        let name = Name::of(NAME);
        let mut service = Service::new(&name);
        assert_eq!(service.questions(), [(&name, Kind::Srv), (&name, Kind::Txt)]);
        service.add(vec![
            record("other.local.", Data::Place { host: Name::of("evil.local."), port: 1 }),
            record(NAME, Data::Place { host: Name::of("ironic.local."), port: 80 }),
            record("evil.local.", Data::Address([10, 0, 0, 1].into())),
        ]);
        let host = Name::of("ironic.local.");
        assert_eq!(service.questions()[2..], [(&host, Kind::A), (&host, Kind::Aaaa)]);
        service.add(vec![record(NAME, Data::Pairs(Vec::new()))]);
        assert_eq!(service.whole(), None);
        let flood = (0..=u8::MAX).map(|last| record("evil.local.", Data::Address([10, 0, 1, last].into())));
        service.add(flood.take(20).chain([record("ironic.local.", Data::Address([10, 0, 0, 5].into()))]).collect());
        let whole = service.whole().expect("all was said");
        assert_eq!((whole.port, whole.addresses), (80, vec![IpAddr::from([10, 0, 0, 5])]));
        service.add((0..=u8::MAX).map(|last| record("x.local.", Data::Address([10, 0, 2, last].into()))).collect());
        assert_eq!(service.addresses.len(), MOST_ADDRESSES);
    }
}
