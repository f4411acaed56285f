use super::*;

/// The example of Ironic's manual on machines without DHCP, with a route and a server.
const PLAIN: &str = r#"{
  "links": [{"id": "port-9275", "type": "phy", "ethernet_mac_address": "52:54:00:d3:6a:71", "mtu": null}],
  "networks": [{"id": "network0", "type": "ipv4", "link": "port-9275", "ip_address": "192.168.122.42",
    "netmask": "255.255.255.0", "network_id": "network0",
    "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.168.122.1"}]}],
  "services": [{"type": "dns", "address": "192.168.122.1"}]
}"#;

#[test]
fn a_fixed_address() {
    let config = parse(PLAIN.as_bytes()).unwrap();
    let [link] = &config.links[..] else { panic!("{config:?}") };
    assert_eq!(link.mac, Mac::parse("52:54:00:d3:6a:71"));
    assert_eq!(link.addresses, [Cidr::parse("192.168.122.42/24").unwrap()]);
    assert_eq!(link.routes[0].destination, Cidr::parse("0.0.0.0/0").unwrap());
    assert_eq!(config.dns, ["192.168.122.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(config.others, Others::Automatic);
}

#[test]
fn a_vlan_on_a_bond_with_both_families() {
    let config = parse(
        br#"{"links": [
          {"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"},
          {"id": "b", "type": "vif", "ethernet_mac_address": "52:54:00:00:00:02"},
          {"id": "t", "type": "bond", "ethernet_mac_address": "52:54:00:00:00:01", "mtu": 9000, "bond_mode": "802.3ad",
           "bond_links": ["a", "b"], "bond_xmit_hash_policy": "layer3+4", "bond_miimon": 50, "bond_evil": "x"},
          {"id": "v", "type": "vlan", "vlan_mac_address": "52:54:00:00:00:09", "vlan_link": "t", "vlan_id": 101}],
         "networks": [
          {"id": "0", "network_id": "0", "link": "v", "type": "ipv4_dhcp"},
          {"id": "1", "network_id": "1", "link": "v", "type": "ipv6", "ip_address": "fd00::7/64",
           "routes": [{"network": "::", "netmask": "::", "gateway": "fe80::1",
             "services": [{"type": "dns", "address": "fd00::53"}]}]},
          {"id": "2", "network_id": "2", "link": "t", "type": "ipv6_slaac"},
          {"id": "3", "network_id": "3", "link": "t", "type": "ipv6_dhcp"}],
         "services": []}"#,
    )
    .unwrap();
    let [_, _, bond, vlan] = &config.links[..] else { panic!("{config:?}") };
    let Kind::Bond { options, members, .. } = &bond.kind else { panic!("{bond:?}") };
    let options: Vec<_> = options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(options, [("mode", "802.3ad"), ("miimon", "50"), ("xmit_hash_policy", "layer3+4")]);
    assert_eq!((members.len(), bond.mtu, bond.dhcp6), (2, Some(9000), true));
    assert!(matches!(&vlan.kind, Kind::Vlan { parent, tag: 101, .. } if parent == "t"));
    assert!(vlan.dhcp4 && vlan.addresses == [Cidr::parse("fd00::7/64").unwrap()]);
    assert_eq!(config.dns, ["fd00::53".parse::<IpAddr>().unwrap()]);
}

#[test]
fn what_is_wrong_is_named() {
    let link = r#"{"id": "a", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"}"#;
    for (json, says) in [
        (String::new(), "EOF"),
        ("[1]".to_owned(), "links is no list"),
        ("{}".to_owned(), "no links"),
        (r#"{"links": {}}"#.to_owned(), "links is no list"),
        (r#"{"links": [{"id": "a", "type": "phy"}]}"#.to_owned(), "ethernet_mac_address is missing"),
        (
            r#"{"links": [{"id": "a", "type": "phy", "ethernet_mac_address": "x; reboot"}]}"#.to_owned(),
            "no MAC address",
        ),
        (format!(r#"{{"links": [{link}, {link}]}}"#), "twice"),
        (r#"{"links": [{"id": "a", "type": "vlan", "vlan_link": "z", "vlan_id": 5}]}"#.to_owned(), "not there"),
        (r#"{"links": [{"id": "a", "type": "vlan", "vlan_link": "z", "vlan_id": 5000}]}"#.to_owned(), "4094"),
        (r#"{"links": [{"id": "a", "type": "vlan", "vlan_link": "z", "vlan_id": -1}]}"#.to_owned(), "-1"),
        (
            r#"{"links": [{"id": "a", "type": "bond", "bond_mode": "../x", "bond_links": ["a"]}]}"#.to_owned(),
            "bond_mode",
        ),
        (format!(r#"{{"links": [{link}], "networks": [{{"link": "b", "type": "ipv4"}}]}}"#), "not there"),
        (format!(r#"{{"links": [{link}], "networks": [{{"link": "a", "type": "ipv4"}}]}}"#), "ip_address is missing"),
        (
            format!(r#"{{"links": [{link}], "networks": [{{"link": "a", "type": "ipv4", "ip_address": "fd00::1"}}]}}"#),
            "not of type ipv4",
        ),
        (
            format!(r#"{{"links": [{link}], "networks": [{{"link": "a", "type": "ipv4", "ip_address": "0.0.0.0"}}]}}"#),
            "no address",
        ),
        (
            format!(r#"{{"links": [{link}], "services": [{{"type": "dns", "address": "a\nb"}}]}}"#),
            "no address of a DNS",
        ),
    ] {
        let error = parse(json.as_bytes()).unwrap_err();
        assert!(error.contains(says) && !error.contains('\n'), "{json}: {error}");
    }
}

#[test]
fn floods_end() {
    let links: Vec<String> = (0..MOST + 1)
        .map(|n| format!(r#"{{"id": "{n}", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"}}"#))
        .collect();
    let error = parse(format!(r#"{{"links": [{}]}}"#, links.join(",")).as_bytes()).unwrap_err();
    assert!(error.contains("links has more than 256 items"), "{error}");
    assert!(parse(&vec![b' '; LIMIT + 1]).unwrap_err().contains("bytes"));
    let deep = "[".repeat(LIMIT);
    assert!(parse(deep.as_bytes()).is_err());
}
