//! Which servers the agent trusts.

use std::net::Ipv4Addr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls::{MinVersion, client_config};

pub(super) fn trusting(pair: &Pair) -> ClientOptions {
    ClientOptions { ca_file: Some(pair.certificate.clone()), ..ClientOptions::default() }
}

/// One request; the answer, or why there is none.
pub(super) async fn get(server: SocketAddr, name: &str, options: &ClientOptions) -> Result<String, String> {
    let config = client_config(options).map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let ask = async {
        let stream = TcpStream::connect(server).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        stream.write_all(REQUEST).await?;
        let mut answer = Vec::new();
        // OpenSSL's server closes without saying so in TLS.
        match stream.read_to_end(&mut answer).await {
            Err(error) if answer.is_empty() => Err(error),
            _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
        }
    };
    timeout(PATIENCE, ask).await.expect("an end").map_err(|error: std::io::Error| error.to_string())
}

#[tokio::test]
async fn only_what_the_file_holds_is_trusted() {
    let (agents, other) = (automatic(Curve::P521), automatic(Curve::P521));
    let server = serve(&agents, &Protocol::default(), Limits::default());
    let address = server.local_addr();
    assert!(get(address, "127.0.0.1", &trusting(&agents)).await.unwrap().contains("200 OK"));
    for (name, options, says) in [
        ("127.0.0.2", trusting(&agents), "not valid for name"),
        ("127.0.0.1", trusting(&other), "invalid peer certificate"),
        ("127.0.0.1", ClientOptions::default(), "UnknownIssuer"),
    ] {
        match get(address, name, &options).await {
            Err(error) if error.contains(says) => {}
            // A machine without any authority says so.
            Err(error) if options.ca_file.is_none() && error.contains("name a file with cafile") => {}
            other => panic!("{name} {options:?}: {other:?}"),
        }
    }
    let insecure = ClientOptions { insecure: true, ..ClientOptions::default() };
    for name in ["127.0.0.1", "127.0.0.2", "wrong.example"] {
        assert!(get(address, name, &insecure).await.unwrap().contains("200 OK"));
    }
}

#[tokio::test]
async fn a_self_signed_authority_is_trusted_as_a_server_under_its_own_names() {
    let pair = operators("rsa:2048").await;
    let server = serve(&pair, &Protocol::default(), Limits::default());
    let address = server.local_addr();
    for name in ["127.0.0.1", "api.example"] {
        assert!(get(address, name, &trusting(&pair)).await.unwrap().contains("200 OK"), "{name}");
    }
    assert!(get(address, "other.example", &trusting(&pair)).await.unwrap_err().contains("not valid for name"));
    let stranger = operators("rsa:2048").await;
    assert!(get(address, "127.0.0.1", &trusting(&stranger)).await.is_err());
}

/// OpenSSL's test server on a free port.
pub(super) async fn s_server(pair: &Pair, options: &[&str]) -> (tokio::process::Child, SocketAddr) {
    let mut child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", path(&pair.certificate), "-key", path(&pair.key)])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("these tests need the program openssl");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it says where it listens");
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.rsplit(':').next().unwrap().trim().parse().unwrap();
        }
    };
    // Whoever writes to a pipe without reader ends.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, (Ipv4Addr::LOCALHOST, port).into())
}

#[tokio::test]
async fn the_floor_holds_for_clients() {
    let pair = automatic(Curve::P256);
    let (_child, server) = s_server(&pair, &["-tls1_2"]).await;
    let mut options = trusting(&pair);
    assert!(get(server, "127.0.0.1", &options).await.unwrap().contains("TLSv1.2"));
    options.protocol.min_version = MinVersion::Tls13;
    get(server, "127.0.0.1", &options).await.unwrap_err();
}

#[tokio::test]
async fn a_server_may_ask_for_the_clients_certificate() {
    let (pair, own) = (automatic(Curve::P384), automatic(Curve::P384));
    let (_child, server) =
        s_server(&pair, &["-Verify", "1", "-verify_return_error", "-CAfile", path(&own.certificate)]).await;
    let mut options = trusting(&pair);
    get(server, "127.0.0.1", &options).await.unwrap_err();
    options.certificate = Some((own.certificate.clone(), own.key.clone()));
    assert!(get(server, "127.0.0.1", &options).await.unwrap().contains("200 ok"));
    options.certificate = Some((own.certificate.clone(), pair.key.clone()));
    assert!(client_config(&options).unwrap_err().to_string().contains("cannot be used together"));
}

#[test]
fn a_file_of_authorities_must_hold_some() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let options = ClientOptions { ca_file: Some(path.clone()), ..ClientOptions::default() };
    for (content, says) in [
        ("", "there is no certificate in PEM form"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "none of its certificates can be an authority",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = client_config(&options).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains(says), "{error}");
    }
}
