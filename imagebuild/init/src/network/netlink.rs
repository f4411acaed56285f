//! What the kernel tells of links and addresses, on a netlink socket.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with};

use super::address::{Mac, is_link_local, is_usable};
use super::state::{Event, LinkState};

/// Largest datagram of the kernel, in bytes.
const LIMIT: usize = 64 * 1024;
/// Groups that are listened to: links, IPv4 and IPv6 addresses, router advertisements' flags and their options.
const GROUPS: u32 = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 11 | 1 << 19;

const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWNDUSEROPT: u16 = 68;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const AF_INET6: u8 = 10;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_INFINIBAND: u16 = 32;
const IFF_UP: u32 = 1;
const IFF_LOWER_UP: u32 = 1 << 16;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_PROTINFO: u16 = 12;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INET6_FLAGS: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const IF_RA_MANAGED: u32 = 0x40;
const IF_RA_OTHERCONF: u32 = 0x80;
const ND_OPT_RDNSS: u8 = 25;

/// The socket.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl std::os::fd::AsFd for Netlink {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Netlink {
    /// Listens, and asks for all links that are there.
    ///
    /// # Errors
    /// The kernel has no such socket.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        let netlink = Self(socket);
        netlink.ask(RTM_GETLINK)?;
        Ok(netlink)
    }

    fn ask(&self, kind: u16) -> io::Result<()> {
        let mut request = Vec::new();
        request.extend(32_u32.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
        // Number of the request, sender, and the family of all families.
        request.extend(u32::from(kind).to_ne_bytes());
        request.extend([0; 20]);
        sendto(&self.0, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(())
    }

    /// What came since the last call.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn read(&self) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut buffer = vec![0; LIMIT];
        // Bounded: a flood must not keep the caller from everything else.
        for _ in 0..256 {
            match recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, length)) => {
                    let message = &buffer[..length.min(LIMIT)];
                    events.extend(parse(message));
                    if ends_links(message) {
                        self.ask(RTM_GETADDR)?;
                    }
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                // More was told than fits: ask for everything again.
                Err(rustix::io::Errno::NOBUFS) => self.ask(RTM_GETLINK)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(events)
    }
}

struct Message<'a> {
    kind: u16,
    sequence: u32,
    content: &'a [u8],
}

/// The messages of a datagram.
fn messages(mut bytes: &[u8]) -> Vec<Message<'_>> {
    let mut messages = Vec::new();
    while let Some(header) = bytes.first_chunk::<16>() {
        let length = usize::try_from(u32_at(header, 0)).unwrap_or(usize::MAX);
        let Some(content) = bytes.get(16..length) else { break };
        messages.push(Message { kind: u16_at(header, 4), sequence: u32_at(header, 8), content });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// True if the dump of links ends with this datagram. There can be only one at a time, so that of addresses follows then.
fn ends_links(bytes: &[u8]) -> bool {
    messages(bytes).iter().any(|message| message.kind == NLMSG_DONE && message.sequence == u32::from(RTM_GETLINK))
}

/// The events in a datagram. What is cut off or unknown is left out.
pub fn parse(bytes: &[u8]) -> Vec<Event> {
    messages(bytes)
        .into_iter()
        .filter_map(|Message { kind, content, .. }| match kind {
            RTM_NEWLINK if content.first() == Some(&AF_INET6) => router(content),
            RTM_NEWLINK => link(content),
            // Bridges tell of their ports by the same message.
            RTM_DELLINK if content.first() == Some(&0) => Some(Event::Gone(index(content)?)),
            RTM_NEWADDR => address(content, true),
            RTM_DELADDR => address(content, false),
            RTM_NEWNDUSEROPT => resolver(content),
            _ => None,
        })
        .collect()
}

fn link(content: &[u8]) -> Option<Event> {
    let header = content.first_chunk::<16>()?;
    if header[0] != 0 || ![ARPHRD_ETHER, ARPHRD_INFINIBAND].contains(&u16_at(header, 2)) {
        return None;
    }
    let flags = u32_at(header, 8);
    let (mut name, mut mac, mut kind) = (None, None, None);
    for (attribute, value) in attributes(&content[16..]) {
        match attribute {
            IFLA_IFNAME => name = text(value),
            IFLA_ADDRESS => mac = value.try_into().ok().map(Mac),
            IFLA_LINKINFO => {
                kind = attributes(value)
                    .into_iter()
                    .find(|(at, _)| *at == IFLA_INFO_KIND)
                    .and_then(|(_, value)| text(value));
            }
            _ => {}
        }
    }
    Some(Event::Link(LinkState {
        index: index(content)?,
        name: name?,
        mac,
        // A pair of virtual Ethernet ports is what a NIC is inside of a container.
        is_physical: kind.is_none_or(|kind| kind == "veth"),
        is_up: flags & IFF_UP != 0,
        has_carrier: flags & IFF_UP != 0 && flags & IFF_LOWER_UP != 0,
    }))
}

fn router(content: &[u8]) -> Option<Event> {
    let (_, protocol) = attributes(content.get(16..)?).into_iter().find(|(at, _)| *at == IFLA_PROTINFO)?;
    let (_, flags) = attributes(protocol).into_iter().find(|(at, _)| *at == IFLA_INET6_FLAGS)?;
    let flags = u32::from_ne_bytes(flags.try_into().ok()?);
    let (managed, other) = (flags & IF_RA_MANAGED != 0, flags & IF_RA_OTHERCONF != 0);
    Some(Event::Router { index: index(content)?, managed, other })
}

fn address(content: &[u8], is_there: bool) -> Option<Event> {
    let header = content.first_chunk::<8>()?;
    let (mut address, mut flags) = (None, u32::from(header[2]));
    for (attribute, value) in attributes(&content[8..]) {
        match attribute {
            // Where both are told, the second one is that of the other end.
            IFA_LOCAL => address = ip(value).or(address),
            IFA_ADDRESS => address = address.or(ip(value)),
            IFA_FLAGS => flags = u32::from_ne_bytes(value.try_into().ok()?),
            _ => {}
        }
    }
    let address = address?;
    let reachable = is_usable(address) && !matches!(address, IpAddr::V6(v6) if is_link_local(v6));
    // It cannot be used before the kernel knows that it is nobody else's.
    let is_there = is_there && flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0;
    reachable.then_some(Event::Address { index: u32_at(header, 4), address, is_there })
}

/// Servers for names that a router tells.
fn resolver(content: &[u8]) -> Option<Event> {
    let header = content.first_chunk::<16>()?;
    let length = usize::from(u16_at(header, 2));
    let mut options = content.get(16..16 + length)?;
    let mut servers = Vec::new();
    while let [kind, units, ..] = *options {
        let option = options.get(..usize::from(units) * 8).filter(|option| !option.is_empty())?;
        if kind == ND_OPT_RDNSS {
            let (addresses, _) = option.get(8..)?.as_chunks::<16>();
            servers
                .extend(addresses.iter().map(|bytes| IpAddr::from(Ipv6Addr::from(*bytes))).filter(|ip| is_usable(*ip)));
        }
        options = &options[option.len()..];
    }
    (!servers.is_empty()).then(|| Event::Resolver { index: u32_at(header, 4), servers })
}

fn index(content: &[u8]) -> Option<u32> {
    content.first_chunk::<16>().map(|header| u32_at(header, 4))
}

fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut attributes = Vec::new();
    while let Some(header) = bytes.first_chunk::<4>() {
        let length = usize::from(u16_at(header, 0));
        let Some(value) = bytes.get(4..length) else { break };
        // The two highest bits tell how the value is written.
        attributes.push((u16_at(header, 2) & 0x3fff, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(value).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

fn text(value: &[u8]) -> Option<String> {
    String::from_utf8(value.split(|byte| *byte == 0).next()?.to_vec()).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(16 + content.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(content);
        bytes
    }

    fn link_header(family: u8, index: u32, flags: u32) -> Vec<u8> {
        [&[family, 0, 1, 0][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn links_come_and_go() {
        let mut content = link_header(0, 7, IFF_UP | IFF_LOWER_UP);
        content.extend(attribute(IFLA_IFNAME, b"ens3\0"));
        content.extend(attribute(IFLA_ADDRESS, &[0x52, 0x54, 0, 0xaa, 0xbb, 1]));
        let two = [message(RTM_NEWLINK, &content), message(RTM_DELLINK, &link_header(0, 8, 0))].concat();
        let [Event::Link(link), Event::Gone(8)] = &parse(&two)[..] else { panic!("{:?}", parse(&two)) };
        assert_eq!((link.index, link.name.as_str(), link.is_physical, link.has_carrier), (7, "ens3", true, true));
        assert_eq!(link.mac, Mac::parse("52:54:00:aa:bb:01"));
        content.extend(attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"bridge\0")));
        let events = parse(&message(RTM_NEWLINK, &content));
        assert!(matches!(&events[..], [Event::Link(link)] if !link.is_physical));
    }

    #[test]
    fn addresses_that_others_can_reach() {
        let told = |flags: u32, address: &[u8]| {
            let mut content = [&[0; 4][..], &7_u32.to_ne_bytes()].concat();
            content.extend(attribute(IFA_ADDRESS, address));
            content.extend(attribute(IFA_FLAGS, &flags.to_ne_bytes()));
            parse(&message(RTM_NEWADDR, &content))
        };
        let address = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(told(0x80, &[192, 0, 2, 7]), [Event::Address { index: 7, address, is_there: true }]);
        assert_eq!(told(IFA_F_TENTATIVE, &[192, 0, 2, 7]), [Event::Address { index: 7, address, is_there: false }]);
        assert_eq!(told(0, &[127, 0, 0, 1]), []);
        assert_eq!(told(0, &"fe80::1".parse::<Ipv6Addr>().unwrap().octets()), []);
        assert_eq!(told(0, &[1, 2, 3]), []);
    }

    #[test]
    fn routers_and_their_resolvers() {
        for (flags, managed, other) in
            [(0x80_0000c0_u32, true, true), (0x80_000080, false, true), (0x80_000000, false, false)]
        {
            let mut content = link_header(AF_INET6, 7, 0);
            content.extend(attribute(IFLA_PROTINFO, &attribute(IFLA_INET6_FLAGS, &flags.to_ne_bytes())));
            assert_eq!(parse(&message(RTM_NEWLINK, &content)), [Event::Router { index: 7, managed, other }]);
        }
        let server: Ipv6Addr = "fd00::53".parse().unwrap();
        let option = [&[ND_OPT_RDNSS, 3, 0, 0, 0, 0, 0, 9][..], &server.octets()].concat();
        let length = u16::try_from(option.len()).unwrap().to_ne_bytes();
        let content = [&[AF_INET6, 0][..], &length, &7_u32.to_ne_bytes(), &[0; 8], &option].concat();
        let event = Event::Resolver { index: 7, servers: vec![server.into()] };
        assert_eq!(parse(&message(RTM_NEWNDUSEROPT, &content)), [event]);
    }

    #[test]
    fn whatever_is_cut_off_or_mad_is_left_out() {
        let mut content = link_header(0, 7, 1);
        content.extend(attribute(IFLA_IFNAME, b"ens3\0"));
        content.extend(attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"bond\0")));
        let whole = message(RTM_NEWLINK, &content);
        for length in 0..whole.len() {
            parse(&whole[..length]);
            let mut bent = whole.clone();
            for value in [0, 1, 3, 0x7f, 0xff] {
                bent[length] = value;
                parse(&bent);
            }
        }
        let endless = [AF_INET6, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parse(&message(RTM_NEWNDUSEROPT, &endless)), []);
    }
}
