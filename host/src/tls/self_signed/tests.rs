//! What a certificate says.

use std::time::SystemTime;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use serde_json::json;
use x509_cert::Certificate;
use x509_cert::der::{DecodePem, Encode};

use super::*;

fn wish(address: &str, host_name: &str) -> Wish {
    Wish {
        ip_address: address.parse().unwrap(),
        host_name: host_name.into(),
        curve: Curve::default(),
        clock_skew_s: 3600,
    }
}

fn certificate(wish: &Wish) -> Certificate {
    let made = make(wish).unwrap();
    assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8, not encrypted");
    assert!(!format!("{made:?}").contains("PRIVATE"));
    Certificate::from_pem(&made.certificate).unwrap()
}

#[test]
fn it_has_the_address_and_nothing_else() {
    for (address, san) in [
        ("192.0.2.7", &[0x30, 6, 0x87, 4, 192, 0, 2, 7][..]),
        ("2001:db8::1", &[0x30, 18, 0x87, 16, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ] {
        let certificate = certificate(&wish(address, "host-1"));
        let tbs = certificate.tbs_certificate();
        let [extension] = &tbs.extensions().unwrap()[..] else { panic!("one extension") };
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
        let certificate = certificate(&Wish { curve, ..wish("::1", "h") });
        let tbs = certificate.tbs_certificate();
        let public = tbs.subject_public_key_info();
        let parameters = public.algorithm.parameters.as_ref().unwrap();
        assert_eq!(parameters.decode_as::<ObjectIdentifier>().unwrap().to_string(), oid);
        let digest = Sha512::digest(tbs.to_der().unwrap());
        let signature = certificate.signature().as_bytes().unwrap();
        let point = public.subject_public_key.as_bytes().unwrap();
        macro_rules! verify {
            ($curve:ident) => {{
                let signature = $curve::ecdsa::Signature::from_der(signature).unwrap();
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(point).unwrap();
                key.verify_prehash(&digest, &signature).expect("its own signature");
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
    let certificate = certificate(&Wish { clock_skew_s: 7200, ..wish("127.0.0.1", "h") });
    let validity = certificate.tbs_certificate().validity();
    let (from, to) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
    let skew = Duration::from_secs(7200);
    assert_eq!(to.duration_since(from).unwrap(), LIFETIME + skew);
    let age = SystemTime::now().duration_since(from).unwrap();
    assert!((skew..skew + Duration::from_secs(60)).contains(&age), "{age:?}");
    make(&Wish { clock_skew_s: u64::MAX, ..wish("127.0.0.1", "h") }).expect("no skew is too large");
}

#[test]
fn any_host_name_fits() {
    for (name, subject) in [("", "CN=localhost"), ("a,b+c=\u{e9}", "CN=a\\,b\\+c=\u{e9}")] {
        assert_eq!(certificate(&wish("127.0.0.1", name)).tbs_certificate().subject().to_string(), subject);
    }
    let long = certificate(&wish("127.0.0.1", &"\u{e9}".repeat(100)));
    assert_eq!(long.tbs_certificate().subject().to_string(), format!("CN={}", "\u{e9}".repeat(32)));
}

#[test]
fn each_has_a_key_of_its_own() {
    let (one, other) = (make(&wish("::1", "h")).unwrap(), make(&wish("::1", "h")).unwrap());
    assert!(one.key != other.key && one.certificate != other.certificate);
}

#[test]
fn a_wish_is_json() {
    let wish: Wish =
        serde_json::from_value(json!({"ip_address": "::1", "host_name": "h", "curve": "p521", "clock_skew_s": 0}))
            .unwrap();
    assert_eq!(wish.curve, Curve::P521);
    for odd in [json!({}), json!({"ip_address": "h", "host_name": "h", "clock_skew_s": 0})] {
        serde_json::from_value::<Wish>(odd).unwrap_err();
    }
}
