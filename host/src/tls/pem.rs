//! Certificates and keys from files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Largest file, in bytes; a bundle of all public authorities has a quarter of a megabyte.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";

/// All certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path, CERTIFICATE)?).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(content(path, CERTIFICATE, None)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(content(path, CERTIFICATE, Some(&error))),
    }
}

/// The first certificate of a text.
pub(super) fn certificate_in(text: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(text.as_bytes()).ok()
}

/// The first private key of a file: PKCS#8, PKCS#1 or SEC1, not encrypted.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path, KEY)?).map_err(|error| match error {
        pem::Error::NoItemsFound => content(path, KEY, None),
        error => content(path, KEY, Some(&error)),
    })
}

fn content(path: &Path, what: &'static str, why: Option<&pem::Error>) -> TlsError {
    // The parser quotes what it found, which may be part of a key.
    let why = why.map(|_| ": it is damaged".to_owned()).unwrap_or_default();
    TlsError::Content { path: path.to_owned(), what, why }
}

/// A regular file, within bounds; a pipe or device is not waited for.
fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let read = || -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(io::Error::other(format!("it is larger than {FILE_LIMIT} bytes")));
        }
        Ok(bytes)
    };
    read().map_err(|source| TlsError::Read { path: path.to_owned(), what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pem_file_is_named_without_quoting_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (bytes, says) in [
            (&b""[..], "there is no private key in PEM form in it"),
            (b"\xff\x00 garbage", "there is no private key in PEM form in it"),
            (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0!\n-----END PRIVATE KEY-----\n", "in it: it is damaged"),
            (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n", "in it: it is damaged"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = key(&path).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()) && error.contains(says), "{error}");
            assert!(!error.contains("c2Vj"), "{error}");
            assert!(certificates(&path).unwrap_err().to_string().contains("no certificate"));
        }
        std::fs::write(&path, vec![b'a'; usize::try_from(FILE_LIMIT).unwrap() + 1]).unwrap();
        assert!(certificates(&path).unwrap_err().to_string().contains("larger than"));
        assert!(certificates(Path::new("/dev/zero")).unwrap_err().to_string().contains("no regular file"));
        assert!(key(&directory.path().join("none")).unwrap_err().to_string().contains("No such file"));
    }
}
