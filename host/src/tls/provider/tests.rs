//! Keys and signatures of OpenSSL.

use std::process::Command;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use tempfile::TempDir;

use super::*;

const CURVES: [(&str, AlgorithmIdentifier); 3] =
    [("P-256", alg_id::ECDSA_P256), ("P-384", alg_id::ECDSA_P384), ("P-521", alg_id::ECDSA_P521)];
const DIGESTS: [(&str, AlgorithmIdentifier); 3] =
    [("-sha256", alg_id::ECDSA_SHA256), ("-sha384", alg_id::ECDSA_SHA384), ("-sha512", alg_id::ECDSA_SHA512)];

/// Runs OpenSSL's program in a directory and gives what it writes.
fn openssl(directory: &TempDir, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments).current_dir(directory).output().expect("these tests need the program openssl");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output.stdout
}

/// A new key on a curve, in the file `key` of a directory.
fn key_on(curve: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let curve = format!("ec_paramgen_curve:{curve}");
    openssl(&directory, &["genpkey", "-algorithm", "EC", "-pkeyopt", &curve, "-out", "key"]);
    directory
}

/// The public point of the key: the end of its SubjectPublicKeyInfo.
fn point(directory: &TempDir) -> Vec<u8> {
    let public = openssl(directory, &["pkey", "-in", "key", "-pubout", "-outform", "DER"]);
    let uncompressed = public.windows(2).position(|bytes| bytes == [0, 4]).expect("a bit string with a point") + 1;
    public[uncompressed..].to_vec()
}

fn load(pem: &[u8]) -> Result<Arc<dyn SigningKey>, Error> {
    provider().key_provider.load_private_key(PrivateKeyDer::from_pem_slice(pem).expect("a key in PEM form"))
}

#[test]
fn every_curve_is_verified_with_every_digest() {
    for (curve, public_key_alg_id) in CURVES {
        let (directory, other) = (key_on(curve), key_on(curve));
        let (point, strangers) = (point(&directory), point(&other));
        std::fs::write(directory.path().join("message"), b"what is signed").unwrap();
        for (digest, signature_alg_id) in DIGESTS {
            let signature = openssl(&directory, &["dgst", digest, "-sign", "key", "message"]);
            let pair = |known: &&&dyn SignatureVerificationAlgorithm| {
                known.public_key_alg_id() == public_key_alg_id && known.signature_alg_id() == signature_alg_id
            };
            let [algorithm] = VERIFIED.all.iter().filter(pair).collect::<Vec<_>>()[..] else {
                panic!("one algorithm for {curve} {digest}")
            };
            let verify = |point: &[u8], message: &[u8], signature: &[u8]| {
                algorithm.verify_signature(point, message, signature).is_ok()
            };
            let row = format!("{curve} {digest}");
            assert!(verify(&point, b"what is signed", &signature), "{row}");
            assert!(!verify(&point, b"what was signed", &signature), "{row}: another message");
            assert!(!verify(&strangers, b"what is signed", &signature), "{row}: another key");
            for index in 0..signature.len() {
                let mut wrong = signature.clone();
                wrong[index] ^= 1;
                assert!(!verify(&point, b"what is signed", &wrong), "{row}: byte {index}");
                assert!(!verify(&point, b"what is signed", &signature[..index]), "{row}: {index} bytes");
            }
            let longer = [&signature[..], &[0]].concat();
            assert!(!verify(&point, b"what is signed", &longer), "{row}: a byte too many");
            let mut off_curve = point.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            for point in [&off_curve[..], &point[..point.len() - 1], &[0], &[]] {
                assert!(!verify(point, b"what is signed", &signature), "{row}: the key {point:?}");
            }
            // No number of a signature is zero.
            assert!(!verify(&point, b"what is signed", &[0x30, 6, 2, 1, 0, 2, 1, 0]), "{row}: zeros");
        }
    }
}

#[test]
fn every_scheme_has_all_its_curves() {
    for (scheme, first) in [
        (SignatureScheme::ECDSA_NISTP256_SHA256, alg_id::ECDSA_P256),
        (SignatureScheme::ECDSA_NISTP384_SHA384, alg_id::ECDSA_P384),
        (SignatureScheme::ECDSA_NISTP521_SHA512, alg_id::ECDSA_P521),
    ] {
        let (_, algorithms) = VERIFIED.mapping.iter().find(|(known, _)| *known == scheme).unwrap();
        assert_eq!(algorithms[0].public_key_alg_id(), first, "{scheme:?} of TLS 1.3");
        for (curve, id) in CURVES {
            assert!(algorithms.iter().any(|known| known.public_key_alg_id() == id), "{scheme:?} on {curve}");
        }
        assert!(algorithms.iter().all(|known| known.signature_alg_id() == algorithms[0].signature_alg_id()));
    }
}

#[test]
fn a_key_is_loaded_in_every_form() {
    for ((curve, _), scheme) in CURVES.into_iter().zip([
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ECDSA_NISTP521_SHA512,
    ]) {
        let directory = key_on(curve);
        let public = openssl(&directory, &["pkey", "-in", "key", "-pubout", "-outform", "DER"]);
        openssl(&directory, &["ec", "-in", "key", "-no_public", "-out", "half"]);
        for (label, pem) in [
            ("PRIVATE KEY", openssl(&directory, &["pkey", "-in", "key"])),
            ("EC PRIVATE KEY", openssl(&directory, &["ec", "-in", "key"])),
            ("EC PRIVATE KEY", openssl(&directory, &["ec", "-in", "half", "-no_public"])),
            ("PRIVATE KEY", openssl(&directory, &["pkcs8", "-topk8", "-nocrypt", "-in", "half"])),
        ] {
            assert!(pem.starts_with(format!("-----BEGIN {label}-----").as_bytes()), "{curve}");
            let key = load(&pem).unwrap();
            assert_eq!(key.public_key().unwrap().as_ref(), public, "{curve}");
            assert!(!format!("{key:?}").contains('['), "{curve}: {key:?}");
            assert!(key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA512]).is_none());
            let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA512, scheme]).unwrap();
            let signature = signer.sign(b"handshake").unwrap();
            let (_, algorithms) = VERIFIED.mapping.iter().find(|(known, _)| *known == signer.scheme()).unwrap();
            algorithms[0].verify_signature(&point(&directory), b"handshake", &signature).expect("its own signature");
        }
    }
}

#[test]
fn what_cannot_be_loaded_is_told_what_can() {
    let directory = key_on("secp256k1");
    let ed448 = openssl(&directory, &["genpkey", "-algorithm", "ED448"]);
    let small = openssl(&directory, &["genrsa", "1024"]);
    let garbage = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
    for pem in [openssl(&directory, &["pkey", "-in", "key"]), ed448, small, garbage] {
        let error = load(&pem).unwrap_err().to_string();
        assert!(error.contains("RSA with 2048 to 4096 bits") && error.contains("P-521"), "{error}");
    }
}
