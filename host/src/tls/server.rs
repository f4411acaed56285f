//! The API's side of TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Protocol, TlsError, pem};
use crate::api::{SERVER_NAME, Stream, TlsAccept};
use crate::managers::BoxFuture;

/// Answer to a client that does not know of TLS.
const PLAIN_HTTP: &str =
    r#"{"faultcode":"Client","faultstring":"400 Bad Request: this port speaks HTTPS, the request came as plain HTTP"}"#;

/// Shakes hands with the API's clients. It asks them for no certificate.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsServer")
    }
}

impl TlsServer {
    /// A server with the certificate, which may be followed by its chain, and the key of these files.
    ///
    /// # Errors
    /// A file cannot be used, or the two do not belong together.
    pub fn from_files(certificate: &Path, key: &Path, protocol: &Protocol) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(protocol.provider()?)
            .with_protocol_versions(protocol.versions())?
            .with_no_client_auth()
            .with_single_cert(pem::certificates(certificate)?, pem::key(key)?)
            .map_err(|source| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source })?;
        // Ironic keeps its connections; what others would save with a resumed session is not worth the memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

impl TlsAccept for TlsServer {
    fn accept(&self, mut stream: TcpStream) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let mut first = [0];
            stream.peek(&mut first).await?;
            // A method of HTTP begins with a letter, a record of TLS with a small number.
            if first[0].is_ascii_uppercase() {
                refuse_plain(&mut stream).await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks plain HTTP"));
            }
            let stream = self.acceptor.accept(stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\nServer: {SERVER_NAME}\r\n\
         Connection: close\r\n\r\n{PLAIN_HTTP}",
        PLAIN_HTTP.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection, and the client might miss the answer.
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}
