use super::*;
use crate::kernel_line::KernelLine;
use crate::network::{kernel, lease, network_data};

fn link(index: u32, name: &str, last: u8, carrier: bool) -> Event {
    Event::Link(LinkState {
        index,
        name: name.to_owned(),
        mac: Some(Mac([0x52, 0x54, 0, 0, 0, last])),
        is_physical: true,
        is_up: carrier,
        has_carrier: carrier,
    })
}

fn device(index: u32, name: &str) -> Event {
    Event::Link(LinkState {
        index,
        name: name.to_owned(),
        mac: None,
        is_physical: false,
        is_up: true,
        has_carrier: true,
    })
}

fn told(event: &str, environment: &[(&str, &str)]) -> Event {
    let get = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Event::Dhcp(lease::decode(&lease::encode(event, get)).unwrap())
}

/// What is done, as one would type it.
fn shown(actions: &[Action]) -> Vec<String> {
    let show = |action: &Action| match action {
        Action::Ip(words) => Some(format!("ip {}", words.join(" "))),
        Action::Write { path, value } => Some(format!("{value} > {path}")),
        Action::Start { name, client, .. } => Some(format!("start {client:?} {name}")),
        Action::Stop { index, only: None } => Some(format!("stop {index}")),
        Action::Stop { index, only: Some(client) } => Some(format!("stop {index} {client:?}")),
        Action::Renew(index) => Some(format!("renew {index}")),
        Action::ResolvConf(text) => Some(format!("resolv.conf {text:?}")),
        Action::Hostname(name) => Some(format!("hostname {name}")),
        Action::Say(_) => None,
    };
    actions.iter().filter_map(show).collect()
}

impl Network {
    fn does(&mut self, event: Event) -> Vec<String> {
        shown(&self.event(event))
    }

    fn all(&mut self, events: impl IntoIterator<Item = Event>) -> Vec<String> {
        events.into_iter().flat_map(|event| self.does(event)).collect()
    }
}

fn by_line(line: &str) -> Network {
    let wanted = kernel::read(&KernelLine::parse(line));
    assert_eq!(wanted.complaints, Vec::<String>::new());
    let mut network = Network::new(wanted.boot_nic);
    network.event(Event::Wanted(wanted.config));
    network
}

#[test]
fn dhcp_on_every_nic_with_a_carrier() {
    let mut network = by_line("quiet");
    assert_eq!(network.does(link(2, "eth0", 1, false)), Vec::<String>::new(), "udev is about to rename it");
    assert_eq!(network.unnamed().collect::<Vec<_>>(), [2]);
    assert_eq!(network.does(link(2, "ens3", 1, false)), Vec::<String>::new());
    assert_eq!(network.does(Event::Named(2)), ["ip link set ens3 up"]);
    assert_eq!(network.does(link(2, "ens3", 1, true)), ["start V4 ens3"]);
    assert_eq!(network.does(link(2, "ens3", 1, true)), Vec::<String>::new());
    let lost = || told("deconfig", &[("interface", "ens3")]);
    assert_eq!(network.does(lost()), Vec::<String>::new());
    let bound =
        [("interface", "ens3"), ("ip", "10.0.2.15"), ("mask", "24"), ("router", "10.0.2.2"), ("dns", "10.0.2.3")];
    assert_eq!(
        network.does(told("bound", &bound)),
        [
            "ip addr replace 10.0.2.15/24 dev ens3",
            "ip route replace 0.0.0.0/0 via 10.0.2.2 dev ens3 metric 201",
            "resolv.conf \"nameserver 10.0.2.3\\n\""
        ]
    );
    assert!(!network.is_ready());
    network.event(Event::Address { index: 2, address: [10, 0, 2, 15].into(), is_there: true });
    assert!(network.is_ready());
    assert_eq!(network.does(told("renew", &bound)), Vec::<String>::new());
    // A client that died is started again, and connections go on meanwhile.
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::V4 }), ["start V4 ens3"]);
    assert_eq!(network.does(lost()), Vec::<String>::new());
    let moved = [("interface", "ens3"), ("ip", "10.0.2.16"), ("mask", "24"), ("hostname", "node-7")];
    assert_eq!(
        network.does(told("bound", &moved)),
        [
            "ip addr del 10.0.2.15/24 dev ens3",
            "ip addr replace 10.0.2.16/24 dev ens3",
            "hostname node-7",
            "resolv.conf \"\""
        ]
    );
    assert_eq!(network.does(told("deconfig", &[("interface", "ens3")])), ["ip addr del 10.0.2.16/24 dev ens3"]);
    // Unplugged, plugged into something else, and gone.
    assert_eq!(network.does(link(2, "ens3", 1, false)), Vec::<String>::new());
    assert_eq!(network.does(link(2, "ens3", 1, true)), ["renew 2"]);
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::V4 }), ["start V4 ens3"]);
    assert_eq!(network.does(Event::Gone(2)), ["stop 2"]);
}

#[test]
fn a_nic_that_comes_later_is_done_then() {
    let mut network = by_line("");
    network.all([link(2, "ens3", 1, true), Event::Named(2)]);
    assert_eq!(network.all([link(9, "ens9", 9, true), Event::Named(9)]), ["ip link set ens9 up", "start V4 ens9"]);
}

#[test]
fn the_boot_nic_is_waited_for_and_its_routes_win() {
    let mut network = by_line("BOOTIF=01-52-54-00-00-00-02");
    assert_eq!(network.patience(), PATIENCE, "it is not there, and may never be");
    network.all([link(2, "ens3", 1, true), link(3, "ens4", 2, true), Event::Named(2), Event::Named(3)]);
    network.event(Event::Address { index: 2, address: [10, 0, 0, 1].into(), is_there: true });
    assert!(!network.is_ready() && network.is_half_ready());
    assert_eq!(network.patience(), PATIENCE_BOOT);
    let bound = [("interface", "ens4"), ("ip", "10.1.0.2"), ("router", "10.1.0.1")];
    assert_eq!(network.does(told("bound", &bound))[1], "ip route replace 0.0.0.0/0 via 10.1.0.1 dev ens4 metric 10");
    network.event(Event::Address { index: 3, address: [10, 1, 0, 2].into(), is_there: true });
    assert!(network.is_ready());
}

#[test]
fn ipv6_is_the_kernels_work_unless_a_router_says_dhcp() {
    let mut network = by_line("");
    network.all([link(2, "ens3", 1, true), Event::Named(2)]);
    assert_eq!(network.does(Event::Router { index: 2, managed: false, other: false }), Vec::<String>::new());
    assert_eq!(network.does(Event::Router { index: 2, managed: true, other: true }), ["start V6 ens3"]);
    let bound =
        [("interface", "ens3"), ("new_dhcp6_ia_na1_ia_addr1", "fd00::7"), ("new_dhcp6_name_servers", "fd00::53")];
    // The client gave the link the address itself.
    assert_eq!(network.does(told("BOUND6", &bound)), ["resolv.conf \"nameserver fd00::53\\n\""]);
    assert_eq!(network.does(told("RENEW6", &bound)), Vec::<String>::new());
    network.event(Event::Address { index: 2, address: "fd00::7".parse().unwrap(), is_there: true });
    assert!(!network.is_ready() && network.is_half_ready());
    let servers = vec!["fd00::54".parse().unwrap()];
    assert_eq!(
        network.does(Event::Resolver { index: 2, servers }),
        ["resolv.conf \"nameserver fd00::53\\nnameserver fd00::54\\n\""]
    );
    // The end of one lease is not the end of the other one.
    let other = [("interface", "ens3"), ("ip", "10.0.2.15"), ("mask", "24"), ("dns", "10.0.2.3")];
    network.all([told("deconfig", &other[..1]), told("bound", &other)]);
    assert_eq!(
        network.does(told("EXPIRE6", &bound[..1])),
        ["resolv.conf \"nameserver 10.0.2.3\\nnameserver fd00::54\\n\""]
    );
    assert_eq!(network.does(told("EXPIRE6", &bound[..1])), Vec::<String>::new());
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::V6 }), ["start V6 ens3"]);
}

#[test]
fn a_router_sends_to_a_server_for_the_rest() {
    let mut network = by_line("");
    network.all([link(2, "ens3", 1, true), Event::Named(2)]);
    let router = |managed, other| Event::Router { index: 2, managed, other };
    assert_eq!(network.does(router(false, true)), ["start Information ens3"]);
    assert_eq!(network.does(router(false, true)), Vec::<String>::new());
    let informed = [
        ("interface", "ens3"),
        ("new_dhcp6_name_servers", "fd00::53"),
        ("new_dhcp6_domain_search", "example"),
        ("new_dhcp6_sntp_servers", "fd00::123"),
    ];
    assert_eq!(network.does(told("INFORM6", &informed)), ["resolv.conf \"search example\\nnameserver fd00::53\\n\""]);
    assert_eq!(network.event(told("INFORM6", &informed)), []);
    assert_eq!(network.time_servers().collect::<Vec<_>>(), ["fd00::123"]);
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::Information }), ["start Information ens3"]);
    // The router changes its mind: the clients of DHCPv6 follow each other.
    assert_eq!(network.does(router(true, true)), ["stop 2 Information"]);
    assert_eq!(network.does(router(true, true)), Vec::<String>::new());
    assert_eq!(network.does(told("STOP6", &informed[..1])), ["resolv.conf \"\""]);
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::Information }), ["start V6 ens3"]);
    assert_eq!(network.does(router(false, true)), Vec::<String>::new());
    assert_eq!(network.does(Event::ClientEnded { index: 2, client: Client::V6 }), ["start Information ens3"]);
}

#[test]
fn time_servers_of_the_better_link_come_first() {
    let mut network = by_line("BOOTIF=01-52-54-00-00-00-02");
    network.all([link(2, "ens3", 1, true), link(3, "ens4", 2, true), Event::Named(2), Event::Named(3)]);
    network.event(told("bound", &[("interface", "ens3"), ("ip", "10.0.0.2"), ("ntpsrv", "10.0.0.1")]));
    network.event(told("bound", &[("interface", "ens4"), ("ip", "10.1.0.2"), ("ntpsrv", "10.1.0.1")]));
    assert_eq!(network.time_servers().collect::<Vec<_>>(), ["10.1.0.1", "10.0.0.1"]);
}

#[test]
fn a_fixed_address_of_the_kernel_line() {
    let mut network = by_line("ip=192.0.2.7::203.0.113.1:24:node-1:ens3:none nameserver=192.0.2.53");
    let done = network.all([link(2, "ens3", 1, true), link(3, "ens4", 2, true), Event::Named(2), Event::Named(3)]);
    assert_eq!(
        done,
        [
            "ip link set ens3 up",
            "ip addr replace 192.0.2.7/24 dev ens3",
            "ip route replace 203.0.113.1 dev ens3 metric 50",
            "ip route replace 0.0.0.0/0 via 203.0.113.1 dev ens3 metric 50",
        ]
    );
}

#[test]
fn off_is_off() {
    let mut network = by_line("ip=off");
    assert!(network.is_off());
    assert_eq!(network.all([link(2, "ens3", 1, true), Event::Named(2)]), Vec::<String>::new());
}

#[test]
fn nothing_is_done_before_it_is_decided() {
    let mut network = Network::new(None);
    assert_eq!(network.all([link(2, "ens3", 1, true), Event::Named(2)]), Vec::<String>::new());
    assert_eq!(network.does(Event::Wanted(Config::default())), ["ip link set ens3 up", "start V4 ens3"]);
}

#[test]
fn a_vlan_on_a_bond_of_a_medium() {
    let config = network_data::parse(
        br#"{"links": [
          {"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"},
          {"id": "b", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:02"},
          {"id": "t", "type": "bond", "ethernet_mac_address": "52:54:00:00:00:01", "bond_mode": "active-backup",
           "bond_links": ["a", "b"]},
          {"id": "v", "type": "vlan", "vlan_mac_address": "52:54:00:00:00:01", "vlan_link": "t", "vlan_id": 101}],
         "networks": [{"id": "0", "network_id": "0", "link": "v", "type": "ipv4", "ip_address": "192.0.2.7",
           "netmask": "255.255.255.0", "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"}]}],
         "services": []}"#,
    )
    .unwrap();
    let mut network = Network::new(None);
    network.event(Event::Wanted(config));
    assert_eq!(
        network.all([link(2, "ens3", 1, false), Event::Named(2)]),
        [
            "ip link add bond2 type bond",
            "active-backup > /sys/class/net/bond2/bonding/mode",
            "100 > /sys/class/net/bond2/bonding/miimon",
            "ip link set bond2 address 52:54:00:00:00:01",
            "ip link set ens3 down",
            "+ens3 > /sys/class/net/bond2/bonding/slaves",
            "ip link set bond2 up",
            "ip link set bond2 up",
            "ip link set bond2 up",
            "ip link add link bond2 name bond2.101 type vlan id 101",
            "ip link set bond2.101 address 52:54:00:00:00:01",
            "ip link set bond2.101 up",
            "ip addr replace 192.0.2.7/24 dev bond2.101",
            "ip route replace 0.0.0.0/0 via 192.0.2.1 dev bond2.101 metric 53",
        ]
    );
    assert_eq!(
        network.all([link(3, "ens4", 2, false), Event::Named(3)]),
        ["ip link set ens4 down", "+ens4 > /sys/class/net/bond2/bonding/slaves", "ip link set bond2 up"]
    );
    network.event(device(5, "bond2.101"));
    network.event(Event::Address { index: 5, address: [192, 0, 2, 7].into(), is_there: true });
    assert!(network.is_ready());
    // Others get DHCP, behind all that was wanted.
    assert_eq!(network.all([link(4, "ens5", 3, true), Event::Named(4)]), ["ip link set ens5 up", "start V4 ens5"]);
}

#[test]
fn links_that_are_made_of_each_other_are_left_out() {
    let config = network_data::parse(
        br#"{"links": [
          {"id": "x", "type": "vlan", "vlan_link": "y", "vlan_id": 1},
          {"id": "y", "type": "vlan", "vlan_link": "x", "vlan_id": 2},
          {"id": "z", "type": "bond", "bond_links": ["z"]}], "networks": [], "services": []}"#,
    )
    .unwrap();
    let mut network = Network::new(None);
    assert_eq!(network.does(Event::Wanted(config)), Vec::<String>::new());
    assert_eq!(network.all([link(2, "ens3", 1, false), Event::Named(2)]), ["ip link set ens3 up"]);
}

#[test]
fn vlans_of_the_kernel_line() {
    let mut network = by_line("vlan=vlan100:ens3 ip=vlan100:dhcp");
    assert_eq!(
        network.all([link(2, "ens3", 1, true), Event::Named(2)]),
        [
            "ip link set ens3 up",
            "ip link set ens3 up",
            "ip link add link ens3 name vlan100 type vlan id 100",
            "ip link set vlan100 up"
        ]
    );
    assert_eq!(network.does(device(4, "vlan100")), ["start V4 vlan100"]);
}
