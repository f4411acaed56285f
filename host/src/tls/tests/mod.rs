//! TLS over real sockets, with OpenSSL's program as the other side: Ironic speaks through that library.

mod client;
mod curves;
mod hostile;
mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::self_signed::{self, Curve, Wish};
use super::{ClientOptions, Protocol, TlsServer};
use crate::agent::Settings;
use crate::api::{Limits, Server, Transport, bind};
use crate::testing::agent_with;

const REQUEST: &[u8] = b"GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate and its key, in files that go away with it.
struct Pair {
    directory: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

/// What the agent makes for the loopback address.
fn automatic(curve: Curve) -> Pair {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("crt"), directory.path().join("key"));
    let ip_address = Ipv4Addr::LOCALHOST.into();
    let made = self_signed::make(&Wish { ip_address, host_name: "host-1".into(), curve, clock_skew_s: 3600 }).unwrap();
    std::fs::write(&certificate, made.certificate).unwrap();
    std::fs::write(&key, made.key).unwrap();
    Pair { directory, certificate, key }
}

/// What an operator makes for the loopback address: `openssl req -x509`, which marks it as an authority.
async fn operators(key_kind: &str) -> Pair {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("crt"), directory.path().join("key"));
    let arguments = ["req", "-x509", "-nodes", "-newkey", key_kind, "-days", "1", "-subj", "/CN=api"];
    let names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:api.example", "-keyout"];
    let output = openssl(&[&arguments[..], &names, &[path(&key), "-out", path(&certificate)]].concat(), b"").await;
    assert!(certificate.exists(), "{output}");
    Pair { directory, certificate, key }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Serves the API with a certificate.
fn serve(pair: &Pair, protocol: &Protocol, limits: Limits) -> Server {
    let tls = TlsServer::from_files(&pair.certificate, &pair.key, protocol).unwrap();
    let agent = agent_with(Settings { version: "13.0.0".into(), ..Settings::default() });
    Server::start(agent, bind("127.0.0.1", 0).unwrap(), Transport::Tls(Arc::new(tls)), limits).unwrap()
}

/// Runs OpenSSL's program and gives all that it writes.
async fn openssl(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("these tests need the program openssl");
    // A handshake that fails ends the program before it reads its input.
    let _ = child.stdin.take().unwrap().write_all(input).await;
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("openssl ends").unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// One request of OpenSSL, which trusts nothing but a certificate, as Ironic does.
async fn s_client(server: SocketAddr, ca: &Path, options: &[&str]) -> String {
    let address = server.to_string();
    let fixed = ["s_client", "-connect", &address, "-CAfile", path(ca), "-verify_ip", "127.0.0.1"];
    let rest = ["-verify_return_error", "-ign_eof"];
    openssl(&[&fixed[..], &rest, options].concat(), REQUEST).await
}
