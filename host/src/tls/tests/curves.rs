//! Keys and digests that ring lacks, in whole handshakes of either side.

use super::client::{get, s_server, trusting};
use super::*;
use crate::tls::MinVersion;

/// A server's pair on a curve, and the authority on the same curve that has signed it with a digest.
async fn signed(curve: &str, digest: &str) -> (Pair, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let (ca, ca_key, certificate, key) = (file("ca"), file("ca-key"), file("crt"), file("key"));
    let curve = format!("ec_paramgen_curve:{curve}");
    let start = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", &curve, "-days", "1", digest];
    let authority = ["-subj", "/CN=authority", "-keyout", path(&ca_key), "-out", path(&ca)];
    openssl(&[&start[..], &authority].concat(), b"").await;
    let names = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-addext"];
    let by = ["basicConstraints=critical,CA:FALSE", "-CA", path(&ca), "-CAkey", path(&ca_key)];
    let to = ["-keyout", path(&key), "-out", path(&certificate)];
    let output = openssl(&[&start[..], &names, &by, &to].concat(), b"").await;
    assert!(certificate.exists(), "{output}");
    (Pair { directory, certificate, key }, ca)
}

#[tokio::test]
async fn a_server_may_have_any_curve_and_digest() {
    for curve in ["P-256", "P-384", "P-521"] {
        for digest in ["-sha256", "-sha384", "-sha512"] {
            let (pair, ca) = signed(curve, digest).await;
            // TLS 1.2 leaves the curve of a handshake's signature open, and OpenSSL takes the digest it is told.
            let handshake = format!("ECDSA+{}", digest[1..].to_uppercase());
            for version in [&["-tls1_3"][..], &["-tls1_2", "-sigalgs", &handshake]] {
                // With TLS 1.2 OpenSSL shows no key on a curve that is not also offered for the key exchange.
                if curve == "P-521" && version[0] == "-tls1_2" {
                    continue;
                }
                let (_child, server) = s_server(&pair, version).await;
                let row = format!("{curve} {digest} {version:?}");
                let options = ClientOptions { ca_file: Some(ca.clone()), ..ClientOptions::default() };
                let answer = get(server, "127.0.0.1", &options).await;
                assert!(answer.as_ref().is_ok_and(|answer| answer.contains("200 ok")), "{row}: {answer:?}");
            }
        }
        let (pair, _) = signed(curve, "-sha512").await;
        let (_stranger, strangers) = signed(curve, "-sha512").await;
        let (_child, server) = s_server(&pair, &[]).await;
        let options = ClientOptions { ca_file: Some(strangers), ..ClientOptions::default() };
        let error = get(server, "127.0.0.1", &options).await.unwrap_err();
        assert!(error.contains("invalid peer certificate"), "{curve}: {error}");
    }
}

#[tokio::test]
async fn an_operators_key_may_be_on_p_521() {
    let (pair, ca) = signed("P-521", "-sha256").await;
    let sec1 = pair.directory.path().join("sec1");
    openssl(&["ec", "-in", path(&pair.key), "-out", path(&sec1)], b"").await;
    for key in [pair.key.clone(), sec1] {
        let pair = Pair { directory: tempfile::tempdir().unwrap(), certificate: pair.certificate.clone(), key };
        for (version, min_version) in [("-tls1_2", MinVersion::Tls12), ("-tls1_3", MinVersion::Tls13)] {
            let server = serve(&pair, &Protocol { min_version, ..Protocol::default() }, Limits::default());
            let output = s_client(server.local_addr(), &ca, &[version]).await;
            assert!(output.contains("HTTP/1.1 200 OK") && output.contains("Verify return code: 0 (ok)"), "{output}");
            assert!(output.contains("Peer signing digest: SHA512"), "{output}");
        }
    }
    let other = signed("P-521", "-sha256").await.0;
    let error = TlsServer::from_files(&pair.certificate, &other.key, &Protocol::default()).unwrap_err().to_string();
    assert!(error.contains("cannot be used together"), "{error}");
}

#[tokio::test]
async fn the_agent_may_show_a_certificate_on_p_521() {
    let (pair, own) = (automatic(Curve::P256), automatic(Curve::P521));
    let asks = ["-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", path(&own.certificate)];
    let (_child, server) = s_server(&pair, &asks).await;
    let certificate = Some((own.certificate.clone(), own.key.clone()));
    let answer = get(server, "127.0.0.1", &ClientOptions { certificate, ..trusting(&pair) }).await.unwrap();
    assert!(answer.contains("200 ok"), "{answer}");
}
