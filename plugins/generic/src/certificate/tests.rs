//! What a certificate says, and how it gets to its place.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::SystemTime;

use ipa_plugin_api::testing::{Bench, FakeHost};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha512};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{DecodePem, Encode};

use super::x509::{ECDSA_WITH_SHA512, LIFETIME};
use super::*;
use crate::manager::GenericHardwareManager;
use crate::root::fixture::Tree;

fn certificate(address: &str, host_name: &str, choice: Choice) -> (Tree, TlsCertificate, Certificate) {
    let tree = Tree::new();
    let made = generate(&tree.root(), address, host_name, choice).expect("made");
    let parsed = Certificate::from_pem(&made.text).expect("a certificate");
    (tree, made, parsed)
}

#[test]
fn it_has_the_address_and_nothing_else() {
    for (address, san) in [
        ("192.0.2.7", &[0x30, 6, 0x87, 4, 192, 0, 2, 7][..]),
        ("[2001:db8::1]", &[0x30, 18, 0x87, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..]),
    ] {
        let (_tree, _, certificate) = certificate(address, "host-1", Choice::default());
        let tbs = certificate.tbs_certificate();
        let [extension] = &tbs.extensions().expect("some")[..] else { panic!("one extension") };
        assert!(extension.critical);
        assert_eq!(extension.extn_id.to_string(), "2.5.29.17");
        assert_eq!(extension.extn_value.as_bytes(), san);
        assert_eq!(tbs.subject().to_string(), "CN=host-1");
        assert_eq!(tbs.subject(), tbs.issuer());
        assert_eq!(certificate.signature_algorithm().oid, ECDSA_WITH_SHA512);
        assert_eq!(tbs.signature().oid, ECDSA_WITH_SHA512);
    }
}

#[test]
fn each_curve_signs_with_sha_512() {
    for (curve, oid) in
        [(Curve::P256, "1.2.840.10045.3.1.7"), (Curve::P384, "1.3.132.0.34"), (Curve::P521, "1.3.132.0.35")]
    {
        let (_tree, _, certificate) = certificate("::1", "h", Choice { curve, ..Choice::default() });
        let tbs = certificate.tbs_certificate();
        let public = tbs.subject_public_key_info();
        let parameters = public.algorithm.parameters.as_ref().expect("a curve");
        assert_eq!(parameters.decode_as::<ObjectIdentifier>().expect("an oid").to_string(), oid);
        let digest = Sha512::digest(tbs.to_der().expect("encoded"));
        let signature = certificate.signature().as_bytes().expect("whole bytes");
        let point = public.subject_public_key.as_bytes().expect("whole bytes");
        macro_rules! verify {
            ($curve:ident) => {{
                let signature = $curve::ecdsa::Signature::from_der(signature).expect("a signature");
                $curve::ecdsa::VerifyingKey::from_sec1_bytes(point)
                    .expect("a key")
                    .verify_prehash(&digest, &signature)
                    .expect("its own signature");
            }};
        }
        match curve {
            Curve::P256 => verify!(p256),
            Curve::P384 => verify!(p384),
            Curve::P521 => verify!(p521),
        }
    }
}

#[test]
fn it_is_valid_from_the_skew_for_thirty_days() {
    let skew = Duration::from_secs(7200);
    let (_tree, _, certificate) = certificate("127.0.0.1", "h", Choice { skew, ..Choice::default() });
    let validity = certificate.tbs_certificate().validity();
    let (from, to) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
    assert_eq!(to.duration_since(from).expect("later"), LIFETIME + skew);
    let age = SystemTime::now().duration_since(from).expect("in the past");
    assert!((skew..skew + Duration::from_secs(60)).contains(&age), "{age:?}");
    let endless = Choice { skew: Duration::MAX, ..Choice::default() };
    assert!(generate(&Tree::new().root(), "127.0.0.1", "h", endless).is_ok(), "no skew is too large");
}

#[test]
fn only_the_owner_reads_the_files_and_each_start_has_its_own() {
    let tree = Tree::new();
    tree.file("victim", "untouched").directory(DIRECTORY);
    let victim = tree.root().path("victim");
    for name in ["agent.crt", "agent.key"] {
        symlink(&victim, tree.root().path(DIRECTORY).join(name)).expect("planted");
    }
    let first = generate(&tree.root(), "127.0.0.1", "h", Choice::default()).expect("made");
    let key = fs::read_to_string(&first.private_key_path).expect("readable");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8, not encrypted");
    let second = generate(&tree.root(), "127.0.0.1", "h", Choice::default()).expect("made");
    assert_ne!(first.text, second.text);
    assert_ne!(key, fs::read_to_string(&second.private_key_path).expect("readable"));
    assert_eq!(second.text, fs::read_to_string(&second.path).expect("readable"));
    for path in [&second.path, &second.private_key_path] {
        let meta = fs::symlink_metadata(path).expect("there");
        assert!(meta.is_file() && meta.permissions().mode() & 0o777 == 0o600, "{path}");
    }
    assert_eq!(tree.root().text("victim").expect("readable"), "untouched");
    assert_eq!(tree.root().names(DIRECTORY).expect("listed").len(), 2, "no draft is left");
}

#[test]
fn any_host_name_fits() {
    for (name, subject) in [("", "CN=localhost"), ("a,b+c=\u{e9}", "CN=a\\,b\\+c=\u{e9}")] {
        assert_eq!(
            certificate("127.0.0.1", name, Choice::default()).2.tbs_certificate().subject().to_string(),
            subject
        );
    }
    let long = certificate("127.0.0.1", &"\u{e9}".repeat(100), Choice::default()).2;
    assert_eq!(long.tbs_certificate().subject().to_string(), format!("CN={}", "\u{e9}".repeat(32)));
}

#[test]
fn the_operator_chooses_curve_and_skew() {
    let parsed = Choice::parse(Some(" P256"), Some("60")).expect("good");
    assert_eq!(parsed, Choice { curve: Curve::P256, skew: Duration::from_secs(60) });
    assert_eq!(Choice::parse(None, None).expect("defaults").curve, Curve::P384);
    for (host, named) in [
        (FakeHost::new().config(json!({"auto_tls_allowed_clock_skew": "-1"})), "clock_skew is \"-1\""),
        (FakeHost::new().config(json!({"tls_certificate_curve": "p1"})), "there are p256, p384 and p521"),
        (FakeHost::new().kernel_param("ipa-tls-certificate-curve", "p2"), "tls_certificate_curve is \"p2\""),
    ] {
        let bench = Bench::<GenericHardwareManager>::new(&host).expect("made");
        let error = bench.call("generate_tls_certificate", json!({"ip_address": "::1"})).expect_err("no choice");
        assert!(error.details().contains(named), "{error}");
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let error = generate(&Tree::new().root(), "host.example", "h", Choice::default()).expect_err("no address");
    assert!(error.details().contains("\"host.example\": it is no IP address"), "{error}");
    let tree = Tree::new();
    tree.file("run", "a file");
    let error = generate(&tree.root(), "::1", "h", Choice::default()).expect_err("no directory");
    assert!(error.details().contains("/run/ironic-python-agent: the agent's certificate cannot be written"), "{error}");
}
