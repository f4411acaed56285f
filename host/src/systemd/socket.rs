//! The datagram socket of `sd_notify`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// Longest wait for room in the queue of a manager that has other things to do.
const DEADLINE: Duration = Duration::from_secs(5);

/// A socket that is connected to the manager's.
#[derive(Debug)]
pub(super) struct NotifySocket(UnixDatagram);

impl NotifySocket {
    /// Connects to a path, or to an abstract name behind `@`.
    ///
    /// # Errors
    /// It is neither, or nobody listens there.
    pub(super) fn connect(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("it is neither a path nor an abstract name")),
        };
        let socket = StdDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self(UnixDatagram::from_std(socket)?))
    }

    /// Sends lines of `NAME=value` as one message.
    ///
    /// # Errors
    /// The manager is gone, or takes nothing for some seconds.
    pub(super) async fn send(&self, message: &str) -> io::Result<()> {
        timeout(DEADLINE, self.0.send(message.as_bytes())).await??;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn paths_and_abstract_names_are_reached() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let abstract_name = format!("@ipa-host-test-{}", std::process::id());
        let by_path = StdDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&abstract_name[1..]).unwrap();
        let by_name = StdDatagram::bind_addr(&address).unwrap();
        for (name, listener) in [(path.as_os_str(), by_path), (OsStr::new(&abstract_name), by_name)] {
            NotifySocket::connect(name).unwrap().send("READY=1").await.unwrap();
            let mut bytes = [0; 64];
            let length = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..length], b"READY=1", "{}", name.display());
        }
    }

    #[tokio::test]
    async fn other_names_and_deaf_ones_are_errors() {
        for name in ["vsock:2:1234", "relative", "/nowhere/at/all", "@", "@nobody-listens-here"] {
            assert!(NotifySocket::connect(OsStr::new(name)).is_err(), "{name}");
        }
    }
}
