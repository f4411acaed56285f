//! Self-signed certificates: a service of the host for the manager that makes the agent's certificate.
//!
//! They are those of the Python agent: any of three curves, signed with SHA-512 whatever the curve, one critical IP
//! address and no other extension. ring pairs each curve with one digest, so this is RustCrypto's work; it is done once at
//! start, and here, so that no plugin carries the code.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use p256::ecdsa::signature::Keypair;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{self, Decode, EncodePem};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey, SubjectPublicKeyInfo,
    SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

/// What a manager asks for.
#[derive(Debug, Clone, Deserialize)]
pub struct Wish {
    /// The one address that the certificate is good for.
    pub ip_address: IpAddr,
    /// Its subject and issuer.
    pub host_name: String,
    /// The curve of its key.
    #[serde(default)]
    pub curve: Curve,
    /// How far its beginning lies in the past, in seconds, for an Ironic whose clock is late.
    pub clock_skew_s: u64,
}

/// The curve of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    #[default]
    P384,
    /// NIST P-521.
    P521,
}

/// How long a certificate is good for. Ironic keeps machines in the ramdisk for hours, rarely days.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Longest name of a host in a certificate, in bytes.
const NAME_LIMIT: usize = 64;
/// The signature algorithm ecdsa-with-SHA512 (RFC 5758), with every curve.
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// A certificate and its key, in PEM.
#[derive(Clone, Serialize)]
pub struct Pem {
    /// The certificate.
    pub certificate: String,
    /// The key as PKCS#8, not encrypted.
    pub key: String,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pem").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Makes a key and a certificate for it, signed by itself.
///
/// # Errors
/// The system has no random numbers.
pub fn make(wish: &Wish) -> Result<Pem, builder::Error> {
    /// The same for each curve; their types have no trait in common that says so much in fewer words.
    macro_rules! with {
        ($curve:ident) => {{
            let key = $curve::SecretKey::try_generate().map_err(|_| $curve::ecdsa::Error::new())?;
            let signer = Signer($curve::ecdsa::SigningKey::from(&key));
            let certificate = build(wish, &signer, |digest| {
                let signature: $curve::ecdsa::Signature = signer.0.sign_prehash(digest)?;
                BitString::from_bytes(signature.to_der().as_bytes()).map_err(builder::Error::from)
            })?;
            let key = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| $curve::ecdsa::Error::new())?;
            Ok(Pem { certificate, key: key.to_string() })
        }};
    }
    match wish.curve {
        Curve::P256 => with!(p256),
        Curve::P384 => with!(p384),
        Curve::P521 => with!(p521),
    }
}

/// A key that signs with SHA-512 whatever its curve, as the Python agent's do.
struct Signer<K>(K);

impl<K: Keypair> Keypair for Signer<K> {
    type VerifyingKey = K::VerifyingKey;

    fn verifying_key(&self) -> Self::VerifyingKey {
        self.0.verifying_key()
    }
}

impl<K> DynSignatureAlgorithmIdentifier for Signer<K> {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA512, parameters: None })
    }
}

fn build<K>(
    wish: &Wish,
    signer: &Signer<K>,
    sign: impl FnOnce(&[u8]) -> Result<BitString, builder::Error>,
) -> Result<String, builder::Error>
where
    K: Keypair,
    K::VerifyingKey: EncodePublicKey,
{
    let now = SystemTime::now();
    let since = now.checked_sub(Duration::from_secs(wish.clock_skew_s)).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH);
    let validity = Validity::new(Time::try_from(since)?, Time::try_from(now + LIFETIME)?);
    let profile = OneAddress { name: common_name(&wish.host_name)?, address: wish.ip_address };
    let public = SubjectPublicKeyInfo::from_key(&signer.verifying_key())?;
    let mut builder = CertificateBuilder::new(profile, serial_number()?, validity, public)?;
    let signature = sign(&Sha512::digest(builder.finalize(signer)?))?;
    Ok(builder.assemble(signature, signer)?.to_pem(LineEnding::LF)?)
}

/// 20 random bytes, positive.
fn serial_number() -> Result<SerialNumber, builder::Error> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(|_| p256::ecdsa::Error::new())?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

/// The name of the host, as a UTF-8 string whatever it contains. Written as DER, since the parser of names links a table
/// of all there are, which would cost every process of the agent memory.
fn common_name(host_name: &str) -> der::Result<Name> {
    const COMMON_NAME: [u8; 5] = [0x06, 3, 0x55, 4, 3];
    let mut end = host_name.len().min(NAME_LIMIT);
    while !host_name.is_char_boundary(end) {
        end -= 1;
    }
    let name = if end == 0 { "localhost" } else { &host_name[..end] };
    let within = |tag: u8, content: &[u8]| -> Vec<u8> {
        // Short by the limit above.
        let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
        [&[tag, length], content].concat()
    };
    let attribute = within(0x30, &[&COMMON_NAME[..], &within(0x0c, name.as_bytes())].concat());
    Name::from_der(&within(0x30, &within(0x31, &attribute)))
}

/// A certificate with a critical alternative name and no other extension.
struct OneAddress {
    name: Name,
    address: IpAddr,
}

impl BuilderProfile for OneAddress {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        _own: SubjectPublicKeyInfoRef<'_>,
        _issuer: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let names = SubjectAltName(vec![self.address.into()]);
        Ok(vec![(true, &names).to_extension(&self.name, &[])?])
    }
}

#[cfg(test)]
mod tests;
