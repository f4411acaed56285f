//! Signs plugins as operators do, with the program minisign.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A key pair without a password. Its files vanish when it is dropped.
#[derive(Debug)]
pub struct Signer {
    directory: TempDir,
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// A new key pair.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("ipa-tests-").tempdir().expect("a temporary directory");
        let signer = Self { directory };
        minisign(&["-G", "-W", "-p", &show(&signer.public()), "-s", &show(&signer.secret())]);
        signer
    }

    /// The file of the public key.
    pub fn public(&self) -> PathBuf {
        self.directory.path().join("signer.pub")
    }

    /// The file of the secret key.
    pub fn secret(&self) -> PathBuf {
        self.directory.path().join("signer.key")
    }

    /// The signature of a plugin file with this trusted comment.
    pub fn sign(&self, file: &[u8], comment: &str) -> Vec<u8> {
        self.sign_with(&[], file, comment)
    }

    /// The same in the form of old versions of the program.
    pub fn sign_legacy(&self, file: &[u8], comment: &str) -> Vec<u8> {
        self.sign_with(&["-l"], file, comment)
    }

    fn sign_with(&self, flags: &[&str], file: &[u8], comment: &str) -> Vec<u8> {
        let (message, signature) = (self.directory.path().join("message"), self.directory.path().join("signature"));
        fs::write(&message, file).expect("our own directory");
        let (secret, message, target) = (show(&self.secret()), show(&message), show(&signature));
        let arguments = ["-S", "-s", &secret, "-m", &message, "-x", &target, "-t", comment];
        minisign(&[&arguments, flags].concat());
        fs::read(signature).expect("it was written")
    }
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn minisign(arguments: &[&str]) {
    let output = Command::new("minisign").args(arguments).output().expect("these tests need the program minisign");
    assert!(output.status.success(), "minisign {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
