//! Verification of the ECDSA signatures that ring does not know: those with SHA-512, as the Python agent's certificates
//! have whatever their curve, and those of P-521. Keys and signatures are public, so none of it needs constant time.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A curve and a digest.
#[derive(Debug)]
struct Ecdsa {
    curve: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    digest: fn(&[u8]) -> Vec<u8>,
    verify: Verify,
}

/// Verifies the signature (DER) of a digest by a key (a point as in SEC 1). Longer digests than the curve are cut.
type Verify = fn(key: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), p256::ecdsa::Error>;

impl SignatureVerificationAlgorithm for Ecdsa {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.curve
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(key, &(self.digest)(message), signature).map_err(|_| InvalidSignature)
    }
}

/// The same for each curve; their types have no trait in common that says so much in fewer words.
macro_rules! verify {
    ($curve:ident) => {
        |key, digest, signature| {
            let signature = $curve::ecdsa::Signature::from_der(signature)?;
            $curve::ecdsa::VerifyingKey::from_sec1_bytes(key)?.verify_prehash(digest, &signature)
        }
    };
}

const VERIFY_P521: Verify = verify!(p521);

fn sha512(message: &[u8]) -> Vec<u8> {
    Sha512::digest(message).to_vec()
}

/// P-256 with SHA-512.
pub(super) static P256_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa { curve: alg_id::ECDSA_P256, signature: alg_id::ECDSA_SHA512, digest: sha512, verify: verify!(p256) };
/// P-384 with SHA-512.
pub(super) static P384_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa { curve: alg_id::ECDSA_P384, signature: alg_id::ECDSA_SHA512, digest: sha512, verify: verify!(p384) };
/// P-521 with SHA-256.
pub(super) static P521_SHA256: &dyn SignatureVerificationAlgorithm = &Ecdsa {
    curve: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA256,
    digest: |message| Sha256::digest(message).to_vec(),
    verify: VERIFY_P521,
};
/// P-521 with SHA-384.
pub(super) static P521_SHA384: &dyn SignatureVerificationAlgorithm = &Ecdsa {
    curve: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA384,
    digest: |message| Sha384::digest(message).to_vec(),
    verify: VERIFY_P521,
};
/// P-521 with SHA-512.
pub(super) static P521_SHA512: &dyn SignatureVerificationAlgorithm =
    &Ecdsa { curve: alg_id::ECDSA_P521, signature: alg_id::ECDSA_SHA512, digest: sha512, verify: VERIFY_P521 };
