//! The listening socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens on an address. `::` takes IPv4 as well, and falls back to `0.0.0.0` on a kernel without IPv6.
///
/// # Errors
/// The host is no address, or the address cannot be used; the text names it.
pub fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let text = host.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = text.parse().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("cannot listen on {host:?}: it is no IP address"))
    })?;
    match listen(SocketAddr::new(address, port)) {
        Err(error) if address.is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
        }
        listener => listener,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| matches!(errno, Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(v6) => {
                let socket = TcpSocket::new_v6()?;
                rustix::net::sockopt::set_ipv6_v6only(&socket, !v6.ip().is_unspecified())?;
                socket
            }
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    // The kind stays for those who look at it, the number for the fallback above.
    listen().map_err(|error| match Errno::from_io_error(&error) {
        Some(errno) if lacks_ipv6(&error) => errno.into(),
        _ => io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn the_unspecified_address_takes_both_families() {
        let listener = bind("::", 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if listener.local_addr().unwrap().is_ipv6() {
            TcpStream::connect((std::net::Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn errors_name_the_address() {
        let taken = bind("127.0.0.1", 0).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind("127.0.0.1", port).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");
        assert!(bind("agent.example", 0).unwrap_err().to_string().contains("agent.example"));
    }
}
