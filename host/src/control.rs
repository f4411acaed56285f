//! The control socket: through it `ipa-host plugins list` asks the running host.
//!
//! A client connects, the host writes one JSON document and closes. Only the owner of the host may connect.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::managers::Managers;

/// Longest time for one exchange.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest answer that a client reads, in bytes.
const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// The host's end. The socket goes away with it.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds the socket. A socket that a dead host left behind is replaced, one of a living host is not.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another host listens there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers clients, each in its turn, until dropped.
    pub async fn serve(&self, managers: Arc<dyn Managers>) {
        loop {
            let Ok((mut client, _)) = self.listener.accept().await else {
                // Out of descriptors, most likely; do not spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let answer = managers.describe().to_string();
            // A client that left or does not read has only itself to blame.
            let _ = timeout(DEADLINE, client.write_all(answer.as_bytes())).await;
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks a running host. None if none listens there.
pub async fn ask(path: &Path) -> io::Result<Option<Value>> {
    let stream = match timeout(DEADLINE, UnixStream::connect(path)).await? {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.take(ANSWER_LIMIT).read_to_end(&mut answer)).await??;
    serde_json::from_slice(&answer).map(Some).map_err(io::Error::from)
}
