//! Versions and cipher suites.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite;
use rustls::{DEFAULT_VERSIONS, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::{TlsError, provider};
use crate::config::Config;

static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&version::TLS13];
/// Suites of TLS 1.2 under the names of OpenSSL, which the option speaks, and whether they are spoken by default.
const SUITES: [(&str, SupportedCipherSuite, bool); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, true),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true),
    ("ECDHE-RSA-AES256-GCM-SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, true),
    ("ECDHE-RSA-AES128-GCM-SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, true),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false),
    ("ECDHE-RSA-CHACHA20-POLY1305", cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, false),
];

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// What is spoken, by server and clients alike: `tls_min_version` and `tls_cipher_suites`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protocol {
    /// The oldest version.
    pub min_version: MinVersion,
    /// Suites of TLS 1.2 under OpenSSL's names, separated by colons; None for ECDHE with AES-GCM. Those of TLS 1.3
    /// cannot be chosen.
    pub cipher_suites: Option<String>,
}

impl Protocol {
    /// The protocol of the configuration, which a lookup may have changed since the start.
    pub fn of(config: &Config) -> Self {
        let min_version = if config.tls_min_version() == "1.3" { MinVersion::Tls13 } else { MinVersion::Tls12 };
        Self { min_version, cipher_suites: config.tls_cipher_suites() }
    }

    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.min_version {
            MinVersion::Tls12 => DEFAULT_VERSIONS,
            MinVersion::Tls13 => TLS13_ALONE,
        }
    }

    /// The cryptography with the suites of this protocol.
    pub(super) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        let mut provider = provider::provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        if self.min_version == MinVersion::Tls12 {
            provider.cipher_suites.extend(self.suites()?);
        }
        Ok(Arc::new(provider))
    }

    /// Names in `cipher_suites` that mean nothing here; worth a warning.
    pub fn unknown_suites(&self) -> Vec<&str> {
        self.named().filter(|name| find(name).is_none()).collect()
    }

    fn named(&self) -> impl Iterator<Item = &str> {
        let separator = |c: char| matches!(c, ':' | ',') || c.is_whitespace();
        self.cipher_suites.as_deref().unwrap_or_default().split(separator).filter(|name| !name.is_empty())
    }

    fn suites(&self) -> Result<Vec<SupportedCipherSuite>, TlsError> {
        if self.named().next().is_none() {
            return Ok(SUITES.iter().filter(|(.., default)| *default).map(|(_, suite, _)| *suite).collect());
        }
        let suites: Vec<_> = self.named().filter_map(find).collect();
        if suites.is_empty() {
            return Err(TlsError::Suites {
                given: self.cipher_suites.clone().unwrap_or_default(),
                known: SUITES.map(|(name, ..)| name).join(":"),
            });
        }
        Ok(suites)
    }
}

fn find(name: &str) -> Option<SupportedCipherSuite> {
    SUITES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|(_, suite, _)| *suite)
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite;

    use super::*;

    fn tls12(protocol: &Protocol) -> Vec<CipherSuite> {
        let provider = protocol.provider().unwrap();
        assert_eq!(provider.cipher_suites.iter().filter(|suite| suite.tls13().is_some()).count(), 3);
        provider.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).map(|suite| suite.suite()).collect()
    }

    #[test]
    fn the_default_is_ecdhe_with_aes_gcm() {
        assert_eq!(
            tls12(&Protocol::default()),
            [
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            ]
        );
        assert_eq!(tls12(&Protocol { cipher_suites: Some(" ".into()), ..Protocol::default() }).len(), 4);
    }

    #[test]
    fn a_list_chooses_among_the_suites_of_tls_1_2() {
        let list = "AES256-SHA:ecdhe-rsa-chacha20-poly1305:ECDHE-RSA-AES128-GCM-SHA256";
        let mut protocol = Protocol { cipher_suites: Some(list.into()), ..Protocol::default() };
        assert_eq!(
            tls12(&protocol),
            [
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            ]
        );
        assert_eq!(protocol.unknown_suites(), ["AES256-SHA"]);
        protocol.min_version = MinVersion::Tls13;
        assert!(tls12(&protocol).is_empty());
    }

    #[test]
    fn a_list_without_any_known_suite_is_an_error() {
        let protocol = Protocol { cipher_suites: Some("HIGH:!aNULL".into()), ..Protocol::default() };
        let error = protocol.provider().unwrap_err().to_string();
        assert!(error.contains("\"HIGH:!aNULL\"") && error.contains("ECDHE-ECDSA-AES256-GCM-SHA384:"), "{error}");
    }

    #[test]
    fn the_configuration_of_the_moment_counts() {
        let config = Config::default();
        assert_eq!(Protocol::of(&config), Protocol::default());
        for (name, value) in [("tls_min_version", "1.3"), ("tls_cipher_suites", "A:B")] {
            config.set("DEFAULT", name, &value.into(), "lookup").unwrap();
        }
        let changed = Protocol { min_version: MinVersion::Tls13, cipher_suites: Some("A:B".into()) };
        assert_eq!(Protocol::of(&config), changed);
    }
}
