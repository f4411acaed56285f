//! The API over TLS, with a certificate that the operator gives.

use std::path::PathBuf;
use std::process::{Command, Output};

use ipa_tests::program::ipa_host;
use ipa_tests::{Client, Host, PluginDir};

/// A plugin directory with a certificate for the loopback address beside it, made as an operator does.
fn with_certificate() -> (PluginDir, PathBuf, PathBuf) {
    let plugins = PluginDir::with_acme();
    let (certificate, key) = (plugins.home().join("api.crt"), plugins.home().join("api.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-days", "1"])
        .args(["-subj", "/CN=agent", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .args([&key, &PathBuf::from("-out"), &certificate])
        .output()
        .expect("these tests need the program openssl");
    assert!(made.status.success(), "{made:?}");
    (plugins, certificate, key)
}

/// Asks a host for its status, trusting one certificate.
fn curl(host: &Host, certificate: &std::path::Path, options: &[&str]) -> Output {
    Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"])
        .arg(certificate)
        .args(options)
        .arg(format!("https://{}/v1/status", host.address()))
        .output()
        .expect("these tests need the program curl")
}

fn is_status(output: &Output) -> bool {
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("\"started_at\"")
}

#[test]
fn a_given_certificate_and_key_serve_https() {
    for (section, certificate_key, key_key) in
        [("DEFAULT", "tls_cert_file", "tls_key_file"), ("ssl", "cert_file", "key_file")]
    {
        let (plugins, certificate, key) = with_certificate();
        let config =
            format!("[{section}]\n{certificate_key} = {}\n{key_key} = {}\n", certificate.display(), key.display());
        let host = Host::with(plugins.with_config(&config)).start();
        host.log_line(&["listening on https://"]);
        for options in [&[][..], &["--tls-max", "1.2"], &["--tlsv1.3"]] {
            let output = curl(&host, &certificate, options);
            assert!(is_status(&output), "{options:?}: {output:?}\n{}", host.log());
        }
        assert_eq!(host.terminate(), 0);
    }
}

#[test]
fn the_floor_of_versions_holds() {
    let (plugins, certificate, key) = with_certificate();
    let config = format!(
        "[DEFAULT]\ntls_min_version = 1.3\ntls_cert_file = {}\ntls_key_file = {}\n",
        certificate.display(),
        key.display()
    );
    let host = Host::with(plugins.with_config(&config)).start();
    assert!(is_status(&curl(&host, &certificate, &[])));
    let refused = curl(&host, &certificate, &["--tls-max", "1.2"]);
    assert!(!refused.status.success(), "{refused:?}");
}

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let (plugins, certificate, key) = with_certificate();
    let config = format!("[DEFAULT]\ntls_cert_file = {}\ntls_key_file = {}\n", certificate.display(), key.display());
    let host = Host::with(plugins.with_config(&config)).start();
    let answer = Client::new(&format!("http://{}", host.address()), "none").get("/v1/status").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["faultstring"].to_string().contains("this port speaks HTTPS"), "{}", answer.body);
}

#[test]
fn a_certificate_alone_is_warned_about_and_the_api_stays_plain() {
    let (plugins, certificate, _) = with_certificate();
    let host =
        Host::with(plugins.with_config(&format!("[DEFAULT]\ntls_cert_file = {}\n", certificate.display()))).start();
    host.log_line(&["WARN", "tls_cert_file", "tls_key_file"]);
    host.log_line(&["listening on http://"]);
}

/// An API in the clear is worse than none: a certificate that cannot be used ends the start with one line.
#[test]
fn what_cannot_be_used_ends_the_start_and_is_named() {
    let (plugins, certificate, key) = with_certificate();
    let (_other, other_certificate, other_key) = with_certificate();
    let show = |path: &PathBuf| path.display().to_string();
    for (config, says) in [
        (
            format!("tls_cert_file = /nonexistent\ntls_key_file = {}", show(&key)),
            "/nonexistent: the certificate cannot be read",
        ),
        (
            format!("tls_cert_file = {}\ntls_key_file = {}", show(&key), show(&key)),
            "there is no certificate in PEM form in it",
        ),
        (
            format!("tls_cert_file = {}\ntls_key_file = {}", show(&certificate), show(&other_key)),
            "cannot be used together",
        ),
        (
            format!(
                "tls_cert_file = {}\ntls_key_file = {}\ntls_min_version = 1.1",
                show(&other_certificate),
                show(&other_key)
            ),
            "tls_min_version is \"1.1\"; allowed is one of 1.2, 1.3",
        ),
    ] {
        let file = plugins.home().join("bad.conf");
        std::fs::write(&file, format!("[DEFAULT]\n{config}\n")).expect("our own file");
        let show = |path: &std::path::Path| path.display().to_string();
        let socket = plugins.home().join("control.sock");
        let done = ipa_host(&[
            "run",
            "--standalone",
            "--agent-token",
            "x",
            "--listen-host",
            "127.0.0.1",
            "--listen-port",
            "0",
            "--plugin-dir",
            &show(&plugins.path()),
            "--config-file",
            &show(&file),
            "--control-socket",
            &show(&socket),
        ]);
        assert_eq!(done.code, Some(70), "{done:#?}");
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("ipa-host: ") && last.contains(says), "{done:#?}");
    }
}
