//! The sockets: one for IPv4 and one for IPv6, whatever number of interfaces there is.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::interfaces;
use super::lookup::Link;
use super::message::LARGEST;
use super::service::Routes;
use crate::network;
use crate::root::Root;

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// As the standard has it; packets to these groups leave no link whatever it is.
const HOPS: u32 = 255;
/// Longest time to hand one message to the kernel.
const SENDING: Duration = Duration::from_secs(1);
/// Most reasons that an error repeats.
const MOST_REASONS: usize = 4;

/// The links of this machine.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// Addresses of the interfaces on which is asked; empty for all.
    interfaces: Vec<IpAddr>,
    root: Root,
}

impl Sockets {
    /// Sockets on ports of their own.
    ///
    /// # Errors
    /// The machine has no network at all.
    pub(super) fn open(interfaces: Vec<IpAddr>, root: Root) -> Result<Self, String> {
        let v4 = open((Ipv4Addr::UNSPECIFIED, 0).into()).and_then(|socket| {
            sockopt::set_ip_multicast_ttl(&socket, HOPS)?;
            Ok(socket)
        });
        let v6 = open((Ipv6Addr::UNSPECIFIED, 0).into()).and_then(|socket| {
            sockopt::set_ipv6_multicast_hops(&socket, HOPS)?;
            Ok(socket)
        });
        match (v4, v6) {
            (Err(v4), Err(v6)) => Err(format!("there is no socket to ask with: {v4} (IPv4), {v6} (IPv6)")),
            (v4, v6) => Ok(Self { v4: v4.ok(), v6: v6.ok(), interfaces, root }),
        }
    }

    /// From which interface a message goes where.
    fn targets(&self) -> Vec<Target> {
        if self.interfaces.is_empty() {
            let v4 = interfaces::with_ipv4(&self.root).into_iter().map(Target::V4);
            return v4.chain(interfaces::with_ipv6(&self.root).into_iter().map(Target::V6)).collect();
        }
        let target = |address: &IpAddr| match address {
            IpAddr::V4(v4) => Target::From(*v4),
            // An interface that is not there has no number, and the kernel says so.
            IpAddr::V6(v6) => Target::V6(interfaces::with_address(&self.root, *v6).unwrap_or(u32::MAX)),
        };
        self.interfaces.iter().map(target).collect()
    }

    async fn send_to(&self, message: &[u8], target: Target) -> io::Result<()> {
        let (socket, group): (_, SocketAddr) = match (target, &self.v4, &self.v6) {
            (Target::V4(number), Some(socket), _) => {
                let any = Ipv4Addr::UNSPECIFIED;
                sockopt::set_ip_multicast_if_with_ifindex(socket, &any, &any, number)?;
                (socket, (GROUP_V4, PORT).into())
            }
            (Target::From(address), Some(socket), _) => {
                sockopt::set_ip_multicast_if(socket, &address)?;
                (socket, (GROUP_V4, PORT).into())
            }
            (Target::V6(number), _, Some(socket)) => (socket, SocketAddrV6::new(GROUP_V6, PORT, 0, number).into()),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        timeout(SENDING, socket.send_to(message, group)).await??;
        Ok(())
    }
}

impl Link for Sockets {
    async fn send(&mut self, message: &[u8]) -> Result<(), String> {
        let targets = self.targets();
        let (mut sent, mut reasons) = (false, Vec::new());
        for target in targets {
            match self.send_to(message, target).await {
                Ok(()) => sent = true,
                Err(error) => reasons.push(format!("{}: {error}", target.name())),
            }
        }
        if sent {
            return Ok(());
        }
        reasons.truncate(MOST_REASONS);
        Err(match reasons.as_slice() {
            [] => "no network interface that can multicast is up".to_owned(),
            reasons => format!("nothing could be asked ({})", reasons.join("; ")),
        })
    }

    async fn receive(&mut self) -> (Vec<u8>, SocketAddr) {
        let mut buffer = vec![0; LARGEST + 1];
        loop {
            let socket = tokio::select! {
                socket = readable(self.v4.as_ref()) => socket,
                socket = readable(self.v6.as_ref()) => socket,
            };
            // What is not from the port of multicast DNS is none of it. An error is about something sent earlier.
            if let Ok((length, from)) = socket.try_recv_from(&mut buffer)
                && from.port() == PORT
            {
                buffer.truncate(length);
                return (buffer, from);
            }
        }
    }
}

impl Routes for Sockets {
    async fn has_route(&self, to: SocketAddr) -> bool {
        network::source_towards(to).await.is_ok()
    }
}

/// Where a message is sent.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// By IPv4 from the interface with this number.
    V4(u32),
    /// By IPv4 from the interface with this address.
    From(Ipv4Addr),
    /// By IPv6 from the interface with this number.
    V6(u32),
}

impl Target {
    fn name(self) -> String {
        match self {
            Self::V4(number) => format!("IPv4, interface {number}"),
            Self::From(address) => address.to_string(),
            Self::V6(u32::MAX) => "an address of [mdns]interfaces that this machine does not have".to_owned(),
            Self::V6(number) => format!("IPv6, interface {number}"),
        }
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// The socket, once something has come.
async fn readable(socket: Option<&UdpSocket>) -> &UdpSocket {
    match socket {
        Some(socket) if socket.readable().await.is_ok() => socket,
        _ => std::future::pending().await,
    }
}
