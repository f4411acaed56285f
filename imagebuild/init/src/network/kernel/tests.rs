use super::*;

fn wanted(line: &str) -> Wanted {
    read(&KernelLine::parse(line))
}

fn only_link(line: &str) -> Link {
    let wanted = wanted(line);
    assert_eq!((wanted.complaints, wanted.config.links.len()), (Vec::new(), 1), "{line}");
    wanted.config.links.into_iter().next().unwrap()
}

#[test]
fn nothing_is_dhcp_everywhere() {
    let nothing = wanted("quiet ipa-api-url=http://192.0.2.1:6385");
    assert_eq!(nothing, Wanted::default());
    for line in ["ip=dhcp", "ip=on", "ip=:::::::", "ip=any", "ip=auto6", "ip=:::::eth0:dhcp"] {
        let wanted = wanted(line);
        assert!(wanted.is_explicit && wanted.complaints.is_empty(), "{line}: {:?}", wanted.complaints);
        assert_eq!(wanted.config.others == Others::Leave, line.contains("eth0"), "{line}");
    }
    let off = wanted("ip=off");
    assert_eq!((off.config.others, off.config.links.len()), (Others::Leave, 0));
}

#[test]
fn fixed_addresses() {
    let link = only_link("ip=192.0.2.7::192.0.2.1:255.255.255.0:node-1:ens3:none:192.0.2.53");
    assert_eq!(link.addresses, [Cidr::parse("192.0.2.7/24").unwrap()]);
    assert_eq!(link.routes[0].gateway, Some("192.0.2.1".parse().unwrap()));
    assert_eq!((link.kind, link.dhcp4), (Kind::Physical(Some("ens3".to_owned())), false));
    let link = only_link("ip=[fd00::7]::[fd00::1]:64::ens3:none:1400:52:54:00:aa:bb:01");
    assert_eq!(link.addresses, [Cidr::parse("fd00::7/64").unwrap()]);
    assert_eq!(link.mtu, Some(1400));
    let link = only_link("ip=[fd00::7/56]:::::ens3:none");
    assert_eq!(link.addresses, [Cidr::parse("fd00::7/56").unwrap()]);
    let link = only_link("ip=10.1.2.3:::::ens3:off");
    assert_eq!(link.addresses, [Cidr::parse("10.1.2.3/8").unwrap()], "the class says the mask");
    let both = wanted(
        "ip=192.0.2.7::192.0.2.1:24::ens3:none ip=[fd00::7]:::64::ens3:none nameserver=[fd00::53] nameserver=192.0.2.53",
    );
    assert_eq!((both.config.links.len(), both.config.links[0].addresses.len()), (1, 2));
    assert_eq!(both.config.dns, ["fd00::53", "192.0.2.53"].map(|server| server.parse::<IpAddr>().unwrap()));
}

#[test]
fn one_nic_with_dhcp() {
    let link = only_link("ip=ens3:dhcp");
    assert!(link.dhcp4 && link.kind == Kind::Physical(Some("ens3".to_owned())));
    assert_eq!(only_link("ip=ens3:dhcp6:1400").mtu, Some(1400));
    assert!(only_link("ip=ens3:dhcp6").dhcp6);
}

#[test]
fn the_boot_nic() {
    let mac = Mac::parse("52:54:00:aa:bb:01");
    assert_eq!(wanted("BOOTIF=01-52-54-00-AA-bb-01").boot_nic, mac);
    assert_eq!(wanted("BOOTIF=52:54:00:aa:bb:01").boot_nic, mac);
    let odd = wanted("BOOTIF=eth0");
    assert_eq!(odd.boot_nic, None);
    assert_eq!(odd.complaints, ["BOOTIF=eth0: not 01-aa-bb-cc-dd-ee-ff, the word is left out"]);
}

#[test]
fn the_time_server() {
    for (line, servers) in [
        ("ipa-ntp-server=192.0.2.1 ipa-ntp-server=ntp.example", &["ntp.example"][..]),
        ("ipa-ntp-server=[fd00::1]", &["fd00::1"]),
        ("ipa-ntp-server=fd00::1", &["fd00::1"]),
        ("ipa-ntp-server= ntp_server", &[]),
    ] {
        let wanted = wanted(line);
        assert_eq!(
            (&wanted.time_servers[..], wanted.complaints.len()),
            (&servers.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..], 0),
            "{line}"
        );
    }
    let odd = wanted("ipa-ntp-server=-x");
    assert_eq!(odd.complaints, ["ipa-ntp-server=-x: no address and no name, the word is left out"]);
    assert!(odd.time_servers.is_empty() && !odd.is_explicit);
}

#[test]
fn bonds_and_vlans() {
    let wanted = wanted("bond=bond0:ens3,ens4:mode=4,miimon=100:9000 vlan=bond0.100:bond0 ip=bond0.100:dhcp");
    assert_eq!(wanted.complaints, Vec::<String>::new());
    let [bond, vlan] = &wanted.config.links[..] else { panic!("{:?}", wanted.config.links) };
    let Kind::Bond { members, options, .. } = &bond.kind else { panic!("{bond:?}") };
    assert_eq!(members, &["ens3", "ens4"]);
    assert_eq!(options[0], ("mode".to_owned(), "802.3ad".to_owned()));
    assert_eq!(options[1], ("miimon".to_owned(), "100".to_owned()));
    assert_eq!((bond.mtu, bond.dhcp4), (Some(9000), false));
    assert!(matches!(&vlan.kind, Kind::Vlan { parent, tag: 100, .. } if parent == "bond0") && vlan.dhcp4);
}

#[test]
fn what_is_wrong_is_told_and_left_out() {
    for (line, says) in [
        ("ip=sometimes", "no such method sometimes"),
        ("ip=192.0.2.7::192.0.2.1:24:::none", "needs the name of its NIC"),
        ("ip=192.0.2.700::::::none", "no address 192.0.2.700"),
        ("ip=192.0.2.7:::255.0.255.0::ens3:none", "no mask 255.0.255.0"),
        ("ip=192.0.2.7::x:24::ens3:none", "no gateway x"),
        ("ip=192.0.2.7:::24:a/b:ens3:none", "not the name of a host"),
        ("ip=192.0.2.7:::24::a/b:none", "a/b is not the name"),
        ("ip=ens3:dhcp:9", "no such MTU 9"),
        ("ip=ens3:dhcp:1500:aa", "no MAC address aa"),
        ("ip=a:b:c:d:e:f:g:h:i:j:k:l", "too many fields"),
        ("ip=[[[:::::", "no such method"),
        ("vlan=a:b", "no tag"),
        ("vlan=v5000:b", "no tag"),
        ("bond=b0:x:mode=9", "no such mode 9"),
        ("bond=b0:x:../x=1", "no such option"),
        ("nameserver=example", "no address"),
    ] {
        let wanted = wanted(line);
        assert_eq!(wanted.config.links.len(), 0, "{line}");
        assert!(wanted.complaints[0].contains(says), "{line}: {:?}", wanted.complaints);
        assert!(!wanted.is_explicit, "{line}");
    }
    let flood: String = (0..10_000).map(|n| format!("ip=eth{n}:dhcp ")).collect();
    assert_eq!(wanted(&flood).config.links.len(), MOST);
}
