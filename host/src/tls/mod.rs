//! TLS, for the API that the agent serves and for the servers that it asks.
//!
//! The cryptography is ring's, through rustls, for the whole process: the smaller of the two providers that rustls has.
//! What `tls_certificate_curve` offers beside it, and servers may have, comes from RustCrypto, which makes certificates
//! anyhow. Nothing of it is set up before a certificate is loaded or a server is asked.
//!
//! * `provider`: the cryptography, with `ecdsa` and `p521_key`. [`protocol`]: versions and cipher suites.
//!   `pem`: certificates and keys from files.
//! * [`server`]: the API's side. [`auto`]: its certificate where the operator gave none, which a manager has made with
//!   the help of [`self_signed`].
//! * [`client`]: the other side.

pub mod auto;
pub mod client;
mod ecdsa;
mod p521_key;
mod pem;
pub mod protocol;
mod provider;
pub mod self_signed;
pub mod server;

use std::path::PathBuf;

pub use auto::AutoTls;
pub use client::{ClientOptions, client_config};
pub use protocol::{MinVersion, Protocol};
pub use server::TlsServer;

/// TLS that cannot be set up, and what to look at.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: the {what} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path}: there is no {what} in PEM form in it{why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the parser says, if anything.
        why: String,
    },
    /// A certificate and a key that do not belong together, or are of a kind that is not supported.
    #[error("{certificate} and {key} cannot be used together: {source}")]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No cipher suite is left.
    #[error("tls_cipher_suites is {given:?}, and none of these is supported; there are {known}")]
    Suites {
        /// The option.
        given: String,
        /// What it may contain.
        known: String,
    },
    /// The system has no certificates of authorities.
    #[error("the system's certificate authorities cannot be read{why}; name a file with cafile")]
    NoAuthorities {
        /// Why.
        why: String,
    },
    /// The settings contradict each other.
    #[error("TLS cannot be set up: {0}")]
    Settings(#[from] rustls::Error),
}

#[cfg(test)]
mod tests;
