//! What is asked of the host, and where its answer goes.

use std::os::unix::fs::{PermissionsExt, symlink};

use ipa_plugin_api::testing::{Bench, FakeHost};

use super::*;
use crate::manager::GenericHardwareManager;
use crate::root::fixture::Tree;

fn pem(text: &str) -> Pem {
    Pem { certificate: format!("certificate {text}"), key: format!("key {text}") }
}

#[test]
fn only_the_owner_reads_the_files_and_each_start_has_its_own() {
    let tree = Tree::new();
    tree.file("victim", "untouched").directory(DIRECTORY);
    let victim = tree.root().path("victim");
    for name in ["agent.crt", "agent.key"] {
        symlink(&victim, tree.root().path(DIRECTORY).join(name)).expect("planted");
    }
    keep(&tree.root(), &pem("1")).expect("kept");
    let kept = keep(&tree.root(), &pem("2")).expect("kept");
    let directory = tree.root().path(DIRECTORY);
    assert_eq!((Path::new(&kept.path), kept.text.as_str()), (&*directory.join("agent.crt"), "certificate 2"));
    for (path, content) in [(&kept.path, "certificate 2"), (&kept.private_key_path, "key 2")] {
        assert_eq!(fs::read_to_string(path).expect("readable"), content);
        let meta = fs::symlink_metadata(path).expect("there");
        assert!(meta.is_file() && meta.permissions().mode() & 0o777 == 0o600, "{path}");
    }
    assert_eq!(tree.root().text("victim").expect("readable"), "untouched");
    assert_eq!(tree.root().names(DIRECTORY).expect("listed").len(), 2, "no draft is left");
}

#[test]
fn the_operator_chooses_curve_and_skew() {
    let parsed = Choice::parse(Some(" P256"), Some("60")).expect("good");
    assert_eq!(parsed, Choice { curve: "p256", skew: 60 });
    assert_eq!(Choice::parse(None, None).expect("defaults"), Choice { curve: "p384", skew: 3600 });
    for (section, named) in [
        (json!({"auto_tls_allowed_clock_skew": "-1"}), "clock_skew is \"-1\""),
        (json!({"tls_certificate_curve": "p1"}), "there are p256, p384 and p521"),
    ] {
        let host = FakeHost::new().config(section);
        let bench = Bench::<GenericHardwareManager>::new(&host).expect("made");
        let error = bench.call("generate_tls_certificate", json!({"ip_address": "::1"})).expect_err("no choice");
        assert!(error.details().contains(named), "{error}");
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let host = FakeHost::new();
    let bench = Bench::<GenericHardwareManager>::new(&host).expect("made");
    let error = bench.call("generate_tls_certificate", json!({"ip_address": "host.example"})).expect_err("no address");
    assert!(error.details().contains("\"host.example\": it is no IP address"), "{error}");
    let tree = Tree::new();
    tree.file("run", "a file");
    let error = keep(&tree.root(), &pem("1")).expect_err("no directory");
    assert!(error.details().contains("/run/ironic-python-agent: the agent's certificate cannot be written"), "{error}");
}
