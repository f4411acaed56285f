//! The state of the network, and what follows from each event.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::address::{Cidr, Mac};
use super::config::{Config, Kind, Link, Others};
use super::lease::{Change, Lease, Services, Told};
use super::{plan, resolver};

/// Metric of routes on the NIC that was booted from. The lowest one wins.
const METRIC_BOOT: u32 = 10;
/// Metric of the first link that was configured on purpose; each further one has one more.
const METRIC_CONFIGURED: u32 = 50;
/// Metric of the first NIC that was configured because it was there.
const METRIC_AUTOMATIC: u32 = 200;
/// How long an address of IPv6 waits for one of IPv4.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long any other waits for one of the NIC that was booted from.
const PATIENCE_BOOT: Duration = Duration::from_secs(30);
/// Most links that are cared for.
const MOST: usize = 1024;

/// A link as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// True for a NIC, false for what is made of others.
    pub is_physical: bool,
    /// True if it is switched on.
    pub is_up: bool,
    /// True if it is switched on and there is somebody at the other end.
    pub has_carrier: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There is a link, or it changed.
    Link(LinkState),
    /// The link of this number is gone.
    Gone(u32),
    /// A link has the name that it will keep.
    Named(u32),
    /// An address that others can reach can be used, or no longer.
    Address {
        /// Number of the link.
        index: u32,
        /// The address.
        address: IpAddr,
        /// Whether it can be used.
        is_there: bool,
    },
    /// A router told where addresses come from.
    Router {
        /// Number of the link.
        index: u32,
        /// True if from DHCPv6.
        managed: bool,
        /// True if a DHCPv6 server tells everything else.
        other: bool,
    },
    /// A router told servers for names.
    Resolver {
        /// Number of the link.
        index: u32,
        /// The servers.
        servers: Vec<IpAddr>,
    },
    /// A DHCP client told something.
    Dhcp(Told),
    /// A DHCP client ended, and has to be started again.
    ClientEnded {
        /// Number of the link.
        index: u32,
        /// Which one.
        client: Client,
    },
    /// It is decided what is wanted.
    Wanted(Config),
}

/// A DHCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// For an IPv4 address.
    V4,
    /// For an IPv6 address.
    V6,
    /// For what a DHCPv6 server tells besides addresses, where those come from elsewhere.
    Information,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run `ip` with these words.
    Ip(Vec<String>),
    /// Write a file of sysfs.
    Write {
        /// The file.
        path: String,
        /// Its content.
        value: String,
    },
    /// Start a client on a link.
    Start {
        /// The link's number.
        index: u32,
        /// The link's name.
        name: String,
        /// The link's address, by which a DHCPv6 server knows it.
        mac: Option<Mac>,
        /// Which client.
        client: Client,
    },
    /// End the clients of a link.
    Stop {
        /// The link's number.
        index: u32,
        /// Only this one.
        only: Option<Client>,
    },
    /// Have the client of IPv4 ask its server again.
    Renew(u32),
    /// Write this to `/etc/resolv.conf`.
    ResolvConf(String),
    /// Give the machine a name.
    Hostname(String),
    /// Tell something.
    Say(String),
}

#[derive(Debug, Default)]
struct Nic {
    name: String,
    mac: Option<Mac>,
    is_physical: bool,
    has_carrier: bool,
    is_named: bool,
    is_configured: bool,
    managed: bool,
    other: bool,
    /// True until the client that was just started said that it has no lease, as each does.
    is_starting: bool,
    clients: BTreeSet<Client>,
    lease4: Option<Lease>,
    lease6: Option<Lease>,
    informed: Option<Services>,
    servers: Vec<IpAddr>,
    addresses: BTreeSet<IpAddr>,
}

/// What a device was configured for.
#[derive(Debug, Clone, Copy)]
struct Purpose {
    dhcp4: bool,
    dhcp6: bool,
    metric: u32,
}

/// The state of the network.
#[derive(Debug, Default)]
pub struct Network {
    config: Option<Config>,
    boot_nic: Option<Mac>,
    nics: BTreeMap<u32, Nic>,
    /// Links of the configuration that are there, and the devices they became.
    devices: BTreeMap<String, String>,
    purposes: BTreeMap<String, Purpose>,
    automatic: u32,
    resolv_conf: String,
    hostname: Option<String>,
}

impl Network {
    /// A network of which nothing is known yet. `boot_nic` is used first.
    pub fn new(boot_nic: Option<Mac>) -> Self {
        Self { boot_nic, ..Self::default() }
    }

    /// True if the machine can be reached: by an address of the NIC that was booted from, if that is known.
    pub fn is_ready(&self) -> bool {
        self.nics.values().any(|nic| {
            let counts = self.boot_nic.is_none_or(|mac| nic.mac == Some(mac) || !nic.is_physical);
            counts && nic.has_carrier && nic.addresses.iter().any(IpAddr::is_ipv4)
        })
    }

    /// True if there is any address at all: IPv6 comes sooner than a DHCP server that answers, and the boot NIC's
    /// network may be of no use.
    pub fn is_half_ready(&self) -> bool {
        self.nics.values().any(|nic| nic.has_carrier && !nic.addresses.is_empty())
    }

    /// How long an address of second choice is kept waiting for one of first choice. A switch may take half a minute until
    /// the port of the NIC that was booted from forwards again.
    pub fn patience(&self) -> Duration {
        let is_awaited = |nic: &Nic| nic.mac == self.boot_nic && nic.addresses.is_empty();
        if self.boot_nic.is_some() && self.nics.values().any(is_awaited) { PATIENCE_BOOT } else { PATIENCE }
    }

    /// True if no address will ever come.
    pub fn is_off(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.others == Others::Leave && config.links.is_empty())
    }

    /// One line for the log: which links have which addresses.
    pub fn summary(&self) -> String {
        let link = |nic: &Nic| {
            let addresses: Vec<String> = nic.addresses.iter().map(ToString::to_string).collect();
            let carrier = if nic.has_carrier { "" } else { " (no carrier)" };
            let addresses = if addresses.is_empty() { "no address".to_owned() } else { addresses.join(" ") };
            format!("{}{carrier}: {addresses}", nic.name)
        };
        let links: Vec<String> = self.nics.values().map(link).collect();
        if links.is_empty() { "there is no NIC".to_owned() } else { links.join(", ") }
    }

    /// Numbers of the links whose name may still change.
    pub fn unnamed(&self) -> impl Iterator<Item = u32> {
        self.nics.iter().filter(|(_, nic)| nic.is_physical && !nic.is_named).map(|(index, _)| *index)
    }

    /// Takes an event, and returns what is to be done, in this order.
    pub fn event(&mut self, event: Event) -> Vec<Action> {
        let mut actions = match event {
            Event::Link(link) => self.link(link),
            Event::Gone(index) => self.gone(index),
            Event::Dhcp(told) => self.told(told),
            Event::Wanted(config) => {
                let hostname = config.hostname.clone();
                self.config = Some(config);
                hostname.map(|name| self.named(name)).unwrap_or_default()
            }
            Event::Named(index) => self.nic(index, |nic| nic.is_named = true),
            Event::Router { index, managed, other } => self.router(index, managed, other),
            Event::Resolver { index, servers } => self.nic(index, |nic| nic.servers = servers),
            Event::ClientEnded { index, client } => self.nic(index, |nic| _ = nic.clients.remove(&client)),
            Event::Address { index, address, is_there } => self.nic(index, |nic| {
                if !is_there {
                    nic.addresses.remove(&address);
                } else if nic.addresses.len() < MOST {
                    nic.addresses.insert(address);
                }
            }),
        };
        actions.extend(self.configure());
        actions.extend(self.start_clients());
        actions.extend(self.resolve());
        actions
    }

    fn nic(&mut self, index: u32, change: impl FnOnce(&mut Nic)) -> Vec<Action> {
        self.nics.get_mut(&index).map(change);
        Vec::new()
    }

    fn router(&mut self, index: u32, managed: bool, other: bool) -> Vec<Action> {
        let Some(nic) = self.nics.get_mut(&index) else { return Vec::new() };
        let was_managed = std::mem::replace(&mut nic.managed, managed);
        nic.other = other;
        if managed && !was_managed && nic.clients.contains(&Client::Information) {
            // There can be one client of DHCPv6 on a link; the other one is started when this one has ended.
            return vec![Action::Stop { index, only: Some(Client::Information) }];
        }
        Vec::new()
    }

    fn link(&mut self, link: LinkState) -> Vec<Action> {
        if !self.nics.contains_key(&link.index) && self.nics.len() >= MOST {
            return Vec::new();
        }
        let is_new = !self.nics.contains_key(&link.index);
        let nic = self.nics.entry(link.index).or_default();
        let had_carrier = std::mem::replace(&mut nic.has_carrier, link.has_carrier);
        let old = std::mem::replace(&mut nic.name, link.name);
        (nic.mac, nic.is_physical) = (link.mac, link.is_physical);
        if old != nic.name {
            // Somebody renamed it after all.
            if let Some(purpose) = self.purposes.remove(&old) {
                self.purposes.insert(nic.name.clone(), purpose);
            }
            self.devices.values_mut().filter(|device| **device == old).for_each(|device| device.clone_from(&nic.name));
        }
        let mut actions = Vec::new();
        if is_new && nic.is_physical {
            let mac = nic.mac.map(|mac| mac.to_string()).unwrap_or_default();
            actions.push(Action::Say(format!("NIC {} {mac} found", nic.name)));
        }
        if had_carrier != nic.has_carrier {
            let state = if nic.has_carrier { "has a carrier" } else { "lost its carrier" };
            actions.push(Action::Say(format!("{} {state}", nic.name)));
            if nic.has_carrier && nic.clients.contains(&Client::V4) {
                // It may be in another network now.
                actions.push(Action::Renew(link.index));
            }
        }
        actions
    }

    fn gone(&mut self, index: u32) -> Vec<Action> {
        let Some(nic) = self.nics.remove(&index) else { return Vec::new() };
        self.purposes.remove(&nic.name);
        self.devices.retain(|_, device| *device != nic.name);
        vec![Action::Say(format!("{} is gone", nic.name)), Action::Stop { index, only: None }]
    }

    fn told(&mut self, told: Told) -> Vec<Action> {
        let name = told.interface;
        let Some(nic) = self.nics.values_mut().find(|nic| nic.name == name) else { return Vec::new() };
        let lease = match told.change {
            Change::Unanswered => return vec![Action::Say(format!("{name}: no DHCP server answers, asking on"))],
            // This client takes its address away itself.
            Change::Lost if told.client == Client::V6 => {
                let old = nic.lease6.take();
                nic.informed = None;
                return old.map(|old| Action::Say(over(&name, &old))).into_iter().collect();
            }
            Change::Lost => {
                // One that had to be started again will get the same lease, most likely; connections outlive that.
                if std::mem::take(&mut nic.is_starting) {
                    return Vec::new();
                }
                let Some(old) = nic.lease4.take() else { return Vec::new() };
                return vec![Action::Say(over(&name, &old)), plan::without(&name, &old.address)];
            }
            Change::Informed(services) => {
                let said = Action::Say(format!("{name} was told by DHCPv6:{}", listed(&services)));
                let is_news = nic.informed.replace(services.clone()) != Some(services);
                return is_news.then_some(said).into_iter().collect();
            }
            Change::Bound(lease) => *lease,
        };
        let slot = if told.client == Client::V4 { &mut nic.lease4 } else { &mut nic.lease6 };
        let old = slot.replace(lease.clone());
        if old.as_ref() == Some(&lease) {
            // Only renewed; what somebody did to the addresses meanwhile is left as it is.
            return Vec::new();
        }
        let metric = self.purposes.get(&name).map_or(METRIC_AUTOMATIC, |purpose| purpose.metric);
        let mut actions = vec![Action::Say(describe(&name, &lease))];
        if told.client == Client::V6 {
            // The address is there already, with its lifetimes.
            return actions;
        }
        actions.extend(plan::lease(&name, metric, old.as_ref(), &lease));
        if let Some(hostname) = lease.hostname
            && self.hostname.is_none()
        {
            actions.extend(self.named(hostname));
        }
        actions
    }

    fn named(&mut self, name: String) -> Vec<Action> {
        self.hostname = Some(name.clone());
        vec![Action::Hostname(name)]
    }

    /// Configures the NICs that are new, and what is made of them.
    fn configure(&mut self) -> Vec<Action> {
        let Some(config) = self.config.take() else { return Vec::new() };
        let mut actions = Vec::new();
        for index in self.nics.keys().copied().collect::<Vec<u32>>() {
            let Some(nic) = self.nics.get_mut(&index) else { continue };
            if nic.is_physical && nic.is_named && !nic.is_configured {
                nic.is_configured = true;
                let (name, mac) = (nic.name.clone(), nic.mac);
                actions.extend(self.physical(&config, &name, mac));
            }
        }
        // A VLAN may be on another one; every round makes at least one.
        while let Some((link, made)) = config.links.iter().find_map(|link| Some((link, self.vlan(link)?))) {
            actions.extend(made);
            let name = self.devices[&link.id].clone();
            actions.extend(self.purpose(&config, link, &name));
        }
        self.config = Some(config);
        actions
    }

    fn physical(&mut self, config: &Config, name: &str, mac: Option<Mac>) -> Vec<Action> {
        let matches = |link: &&Link| match &link.kind {
            Kind::Physical(Some(wanted)) => wanted == name,
            Kind::Physical(None) => link.mac.is_some() && link.mac == mac,
            Kind::Vlan { .. } | Kind::Bond { .. } => false,
        };
        let link = config.links.iter().find(matches);
        let id = link.map_or(name, |link| &link.id);
        let has = |members: &[String]| members.iter().any(|member| member == id || member == name);
        let bond = config.links.iter().find_map(|bond| match &bond.kind {
            Kind::Bond { members, options, name } if has(members) => Some((bond, options, name)),
            _ => None,
        });
        if let Some((link, options, bond)) = bond {
            let mut actions = Vec::new();
            let is_new = self.devices.insert(link.id.clone(), bond.clone()).is_none();
            if is_new {
                actions.push(Action::Say(format!("{bond} is made of {name} and others")));
                actions.extend(plan::bond(bond, options, link.mac));
            }
            actions.extend(plan::enslave(name, bond));
            if is_new {
                actions.extend(self.purpose(config, link, bond));
            }
            return actions;
        }
        match link {
            Some(link) => {
                self.devices.insert(link.id.clone(), name.to_owned());
                self.purpose(config, link, name)
            }
            // A VLAN of the kernel line may be on a NIC of which nothing else is said.
            None if config
                .links
                .iter()
                .any(|link| matches!(&link.kind, Kind::Vlan { parent, .. } if parent == name)) =>
            {
                self.devices.insert(name.to_owned(), name.to_owned());
                vec![plan::up(name)]
            }
            None if config.others == Others::Leave => {
                vec![Action::Say(format!("{name} is left alone, nothing is wanted of it"))]
            }
            None => {
                self.automatic += 1;
                let is_boot = mac.is_some() && mac == self.boot_nic;
                let metric = if is_boot { METRIC_BOOT } else { METRIC_AUTOMATIC + self.automatic };
                self.purposes.insert(name.to_owned(), Purpose { dhcp4: true, dhcp6: false, metric });
                vec![plan::up(name)]
            }
        }
    }

    fn purpose(&mut self, config: &Config, link: &Link, name: &str) -> Vec<Action> {
        let order = config.links.iter().position(|known| known.id == link.id).unwrap_or_default();
        let metric = METRIC_CONFIGURED + u32::try_from(order).unwrap_or_default();
        self.purposes.insert(name.to_owned(), Purpose { dhcp4: link.dhcp4, dhcp6: link.dhcp6, metric });
        let addresses: Vec<String> = link.addresses.iter().map(Cidr::to_string).collect();
        let mut actions = vec![Action::Say(format!(
            "{name} is configured as link {:?}: addresses [{}], DHCP {}, DHCPv6 {}",
            link.id,
            addresses.join(" "),
            link.dhcp4,
            link.dhcp6
        ))];
        actions.extend(plan::fixed(name, metric, link));
        actions
    }

    /// Makes a VLAN whose parent is there.
    fn vlan(&mut self, link: &Link) -> Option<Vec<Action>> {
        let Kind::Vlan { parent, tag, name } = &link.kind else { return None };
        if self.devices.contains_key(&link.id) {
            return None;
        }
        let parent = self.devices.get(parent)?.clone();
        let usual = format!("{parent}.{tag}");
        let usual = if usual.len() <= 15 { usual } else { format!("vlan{tag}") };
        let name = name.clone().unwrap_or(usual);
        self.devices.insert(link.id.clone(), name.clone());
        Some(plan::vlan(&name, &parent, *tag, link.mac))
    }

    fn start_clients(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, nic) in &mut self.nics {
            let Some(purpose) = self.purposes.get(&nic.name) else { continue };
            let has_address = purpose.dhcp6 || nic.managed;
            // The client that gets an address is told the rest as well.
            let clients = [
                (Client::V4, purpose.dhcp4),
                (Client::V6, has_address && !nic.clients.contains(&Client::Information)),
                (Client::Information, nic.other && !has_address && !nic.clients.contains(&Client::V6)),
            ];
            for (client, wanted) in clients {
                if wanted && nic.has_carrier && nic.clients.insert(client) {
                    nic.is_starting |= client == Client::V4;
                    actions.push(Action::Start { index: *index, name: nic.name.clone(), mac: nic.mac, client });
                }
            }
        }
        actions
    }

    /// What servers told on all links, what counts most first.
    fn services(&self) -> impl Iterator<Item = &Services> {
        self.by_metric().into_iter().flat_map(|nic| {
            let leases = nic.lease4.iter().chain(&nic.lease6);
            leases.map(|lease| &lease.services).chain(&nic.informed)
        })
    }

    /// The links, the one with the lowest metric first.
    fn by_metric(&self) -> Vec<&Nic> {
        let mut nics: Vec<&Nic> = self.nics.values().collect();
        nics.sort_by_key(|nic| self.purposes.get(&nic.name).map_or(u32::MAX, |purpose| purpose.metric));
        nics
    }

    /// The time servers that were told by DHCP.
    pub fn time_servers(&self) -> impl Iterator<Item = &str> {
        self.services().flat_map(|services| &services.ntp).map(String::as_str)
    }

    fn resolve(&mut self) -> Vec<Action> {
        let nics = self.by_metric();
        let told = nics.iter().flat_map(|nic| &nic.servers);
        let fixed = self.config.iter().flat_map(|config| &config.dns);
        let servers = fixed.chain(self.services().flat_map(|services| &services.dns)).chain(told);
        let text = resolver::resolv_conf(servers, self.services().flat_map(|services| &services.domains));
        if text == self.resolv_conf {
            return Vec::new();
        }
        self.resolv_conf.clone_from(&text);
        vec![Action::ResolvConf(text)]
    }
}

fn over(name: &str, lease: &Lease) -> String {
    format!("{name}: the lease of {} is over", lease.address)
}

/// What a server told, for the log.
fn listed(services: &Services) -> String {
    let dns: Vec<String> = services.dns.iter().map(ToString::to_string).collect();
    let parts = [("DNS", &dns), ("search", &services.domains), ("NTP", &services.ntp)];
    let words =
        parts.iter().filter(|(_, list)| !list.is_empty()).map(|(what, list)| format!(" {what} {}", list.join(" ")));
    let text = words.collect::<Vec<String>>().join(",");
    if text.is_empty() { " nothing".to_owned() } else { text }
}

fn describe(name: &str, lease: &Lease) -> String {
    let protocol = if lease.address.address.is_ipv4() { "DHCP" } else { "DHCPv6" };
    let mut text = format!("{name} has {} by {protocol}", lease.address);
    if let Some(server) = lease.server {
        text += &format!(" from {server}");
    }
    if let Some(seconds) = lease.seconds {
        text += &format!(" for {seconds} s");
    }
    for route in &lease.routes {
        text += &match route.gateway {
            Some(gateway) => format!(", {} via {gateway}", route.destination),
            None => format!(", {}", route.destination),
        };
    }
    text
}

#[cfg(test)]
mod tests;
