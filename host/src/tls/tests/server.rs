//! Who can speak with the API, and who cannot.

use super::*;
use crate::tls::MinVersion;

fn protocol(min_version: MinVersion) -> Protocol {
    Protocol { min_version, ..Protocol::default() }
}

#[tokio::test]
async fn ironic_speaks_with_every_curve_and_version() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let pair = automatic(curve);
        for (min_version, version, name) in [
            (MinVersion::Tls12, "-tls1_2", Some("TLSv1.2")),
            (MinVersion::Tls12, "-tls1_3", Some("TLSv1.3")),
            (MinVersion::Tls13, "-tls1_3", Some("TLSv1.3")),
            (MinVersion::Tls13, "-tls1_2", None),
            (MinVersion::Tls12, "-tls1_1", None),
        ] {
            let server = serve(&pair, &protocol(min_version), Limits::default());
            let output = s_client(server.local_addr(), &pair.certificate, &[version]).await;
            let row = format!("{curve:?} {min_version:?} {version}: {output}");
            match name {
                Some(name) => {
                    assert!(output.contains("HTTP/1.1 200 OK") && output.contains(r#""version":"13.0.0""#), "{row}");
                    assert!(output.contains("Verify return code: 0 (ok)") && output.contains(name), "{row}");
                    assert!(output.contains("No client certificate CA names sent"), "{row}");
                }
                None => assert!(!output.contains("HTTP/1.1"), "{row}"),
            }
        }
    }
}

#[tokio::test]
async fn tls_1_2_has_the_suites_that_were_chosen() {
    let pair = operators("rsa:2048").await;
    let chosen = Protocol { cipher_suites: Some("ECDHE-RSA-CHACHA20-POLY1305".into()), ..Protocol::default() };
    for (protocol, suite, works) in [
        (Protocol::default(), "ECDHE-RSA-AES256-GCM-SHA384", true),
        (Protocol::default(), "ECDHE-RSA-AES128-GCM-SHA256", true),
        (Protocol::default(), "ECDHE-RSA-CHACHA20-POLY1305", false),
        (Protocol::default(), "ECDHE-RSA-AES256-SHA384", false),
        (Protocol::default(), "AES256-GCM-SHA384", false),
        (chosen.clone(), "ECDHE-RSA-CHACHA20-POLY1305", true),
        (chosen, "ECDHE-RSA-AES256-GCM-SHA384", false),
    ] {
        let server = serve(&pair, &protocol, Limits::default());
        let output = s_client(server.local_addr(), &pair.certificate, &["-tls1_2", "-cipher", suite]).await;
        assert_eq!(output.contains("HTTP/1.1 200 OK"), works, "{protocol:?} {suite}: {output}");
        assert!(!works || output.contains(&format!("Cipher is {suite}")), "{suite}: {output}");
    }
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (automatic(Curve::P384), automatic(Curve::P384));
    let error = TlsServer::from_files(&one.certificate, &other.key, &Protocol::default()).unwrap_err().to_string();
    assert!(error.contains(path(&one.certificate)) && error.contains("cannot be used together"), "{error}");
    // The two files in each other's place.
    let error = TlsServer::from_files(&one.key, &one.certificate, &Protocol::default()).unwrap_err().to_string();
    assert!(error.contains("no certificate in PEM form"), "{error}");
}

mod automatic_tls {
    use std::net::{IpAddr, Ipv4Addr};

    use ipa_plugin_api::error::HwResult;
    use serde_json::{Value, json};

    use super::*;
    use crate::errors;
    use crate::testing::OneMethod;
    use crate::tls::auto;

    /// What the agent makes of a manager that answers what the generic one would, or something wrong.
    async fn make(answer: HwResult<Value>) -> HwResult<auto::AutoTls> {
        let manager = OneMethod::new("generate_tls_certificate", [answer]);
        let made = auto::make(&manager, IpAddr::V4(Ipv4Addr::LOCALHOST), &Protocol::default()).await;
        assert_eq!(*manager.asked.lock().unwrap(), [json!({"ip_address": "127.0.0.1"})]);
        made
    }

    fn told(pair: &Pair) -> Value {
        let text = std::fs::read_to_string(&pair.certificate).unwrap();
        json!({"text": text, "path": pair.certificate, "private_key_path": pair.key})
    }

    #[tokio::test]
    async fn the_certificate_for_ironic_is_the_one_that_is_served() {
        let pair = automatic(Curve::P384);
        let made = make(Ok(told(&pair))).await.unwrap();
        let agent = agent_with(Settings::default());
        let transport = Transport::Tls(Arc::new(made.server));
        let server = Server::start(agent, bind("127.0.0.1", 0).unwrap(), transport, Limits::default()).unwrap();
        let stored = pair.directory.path().join("as-ironic-stores-it");
        std::fs::write(&stored, &made.certificate).unwrap();
        let output = s_client(server.local_addr(), &stored, &[]).await;
        assert!(output.contains("HTTP/1.1 200 OK") && output.contains("Verify return code: 0 (ok)"), "{output}");
    }

    #[tokio::test]
    async fn a_wrong_answer_is_named() {
        let (pair, other) = (automatic(Curve::P384), automatic(Curve::P384));
        let mut mixed = told(&pair);
        mixed["text"] = told(&other)["text"].clone();
        let mut gone = told(&pair);
        gone["private_key_path"] = json!("/nonexistent/agent.key");
        for (answer, says) in [
            (Ok(Value::Null), "answered no certificate"),
            (Ok(json!({"text": "x"})), "missing field `path`"),
            (Ok(mixed), "its text is not what"),
            (Ok(gone), "/nonexistent/agent.key: the private key cannot be read"),
            (Err(errors::method_not_found("generate_tls_certificate")), "Could not find method"),
        ] {
            let error = make(answer).await.unwrap_err();
            assert!(error.details().contains(says), "{error}");
        }
    }
}
