//! The cryptography of TLS: ring's, and what it lacks.

use std::sync::Arc;

use p521::elliptic_curve::zeroize::Zeroizing;
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{Error, SignatureScheme};
use webpki::ring as known;

use super::{ecdsa, p521_key};

/// ring's provider, which also signs with P-521 and verifies every pair of the three curves and the three digests.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider { signature_verification_algorithms: VERIFIED, key_provider: &Keys, ..ring::default_provider() }
}

/// The signatures of certificates and handshakes. A scheme of TLS 1.2 fixes the digest and not the curve, so that each
/// has all curves; TLS 1.3 tries the first alone.
static VERIFIED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        known::ECDSA_P256_SHA256,
        known::ECDSA_P256_SHA384,
        ecdsa::P256_SHA512,
        known::ECDSA_P384_SHA256,
        known::ECDSA_P384_SHA384,
        ecdsa::P384_SHA512,
        ecdsa::P521_SHA256,
        ecdsa::P521_SHA384,
        ecdsa::P521_SHA512,
        known::ED25519,
        known::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        known::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        known::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        known::RSA_PKCS1_2048_8192_SHA256,
        known::RSA_PKCS1_2048_8192_SHA384,
        known::RSA_PKCS1_2048_8192_SHA512,
        known::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        known::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        known::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[known::ECDSA_P384_SHA384, known::ECDSA_P256_SHA384, ecdsa::P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[known::ECDSA_P256_SHA256, known::ECDSA_P384_SHA256, ecdsa::P521_SHA256],
        ),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[ecdsa::P521_SHA512, ecdsa::P384_SHA512, ecdsa::P256_SHA512]),
        (SignatureScheme::ED25519, &[known::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[known::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[known::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[known::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[known::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[known::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[known::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// Loads private keys.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let key = Zeroizing::new(key);
        ring::sign::any_supported_type(&key)
            .ok()
            .or_else(|| p521_key::load(&key))
            .or_else(|| with_public_half(&key))
            .ok_or_else(|| {
                let kinds = "RSA with 2048 to 4096 bits, ECDSA with P-256, P-384 or P-521, and Ed25519";
                Error::General(format!(
                    "the private key is damaged, or of a kind that is not supported; there are {kinds}"
                ))
            })
    }
}

/// Loads an ECDSA key without its public half, which may be left out (RFC 5915) and which ring wants to see.
fn with_public_half(key: &PrivateKeyDer<'_>) -> Option<Arc<dyn SigningKey>> {
    use p256::pkcs8::EncodePrivateKey;

    let p256 = || p256::SecretKey::from_der(key.secret_der()).ok()?.to_pkcs8_der().ok();
    let p384 = || p384::SecretKey::from_der(key.secret_der()).ok()?.to_pkcs8_der().ok();
    let whole = p256().or_else(p384)?;
    ring::sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(whole.as_bytes().into())).ok()
}

#[cfg(test)]
mod tests;
