//! Certificates as operators make them, with OpenSSL's program.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Days that everything here is valid for, from now on.
pub const DAYS: u32 = 2;

/// A certificate and its key, in PEM files.
#[derive(Debug)]
pub struct Pair {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

/// An authority. Its files vanish when it is dropped.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// A new authority of this name. Others may have the same one, and other keys.
    pub fn named(name: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("ipa-tests-").tempdir().expect("a temporary directory");
        let authority = Self { directory };
        let Pair { certificate, key } = authority.pair("authority");
        make(&["-subj", &format!("/CN={name}"), "-addext", "basicConstraints=critical,CA:TRUE"], &certificate, &key);
        authority
    }

    /// The file of its certificate.
    pub fn file(&self) -> PathBuf {
        self.pair("authority").certificate
    }

    /// A certificate for one who is called so, for example `IP:127.0.0.1` or `DNS:agent`; as server or as client.
    pub fn certify(&self, name: &str) -> Pair {
        let own = self.pair("authority");
        let pair = self.pair(&name.replace([':', '/'], "-"));
        let (authority, authority_key) = (own.certificate.display().to_string(), own.key.display().to_string());
        let alternative = format!("subjectAltName={name}");
        make(
            &[
                "-subj",
                "/CN=somebody",
                "-CA",
                &authority,
                "-CAkey",
                &authority_key,
                "-addext",
                &alternative,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
            &pair.certificate,
            &pair.key,
        );
        pair
    }

    fn pair(&self, name: &str) -> Pair {
        let file = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        Pair { certificate: file("crt"), key: file("key") }
    }
}

/// A certificate that is its own authority, for one who is called so.
pub fn self_signed(directory: &Path, name: &str) -> Pair {
    let pair = Pair { certificate: directory.join("self.crt"), key: directory.join("self.key") };
    make(&["-subj", "/CN=ironic", "-addext", &format!("subjectAltName={name}")], &pair.certificate, &pair.key);
    pair
}

fn make(arguments: &[&str], certificate: &Path, key: &Path) {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", &DAYS.to_string()])
        .args(arguments)
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate);
    let output = openssl.output().expect("these tests need the program openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
