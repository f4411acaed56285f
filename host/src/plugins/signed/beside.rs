//! The signature beside a plugin file, for `ipa-host plugins check`.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use ipa_plugin_api::manifest::Manifest;
use serde::Serialize;

use super::super::refusal::Refusal;
use super::{Claim, Key, Keys, SIGNATURE_LIMIT, no_keys, verify};
use crate::root::Root;

/// What can be said of a file's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureReport {
    /// The trusted comment that a signature of this file must have; none if its name does not allow for one.
    pub comment: Option<String>,
    /// The outcome.
    #[serde(flatten)]
    pub state: State,
}

/// Whether the host would take the file from a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// There is no `.minisig` beside the file.
    Missing,
    /// It is valid, by this key.
    Valid {
        /// The key's file.
        key: String,
    },
    /// It cannot be checked: there is no key.
    Unchecked(Refusal),
    /// It is not valid.
    Refused(Refusal),
}

impl SignatureReport {
    /// Checks the file `FILE.minisig` beside `path` with this key, or with the keys of this machine.
    pub(crate) fn of(path: &Path, bytes: &[u8], manifest: &Manifest, key: Option<&Path>) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let claim = Claim::of(manifest, &file);
        let state = match &claim {
            Ok(_) => state(path, &file, bytes, manifest, key),
            Err(refusal) => State::Refused(refusal.clone()),
        };
        Self { comment: claim.ok().map(|claim| claim.to_string()), state }
    }
}

fn state(path: &Path, file: &str, bytes: &[u8], manifest: &Manifest, key: Option<&Path>) -> State {
    let signature = match read(&path.with_file_name(format!("{file}.minisig"))) {
        Ok(Some(signature)) => signature,
        Ok(None) => return State::Missing,
        Err(refusal) => return State::Refused(refusal),
    };
    let keys = match keys(key) {
        Ok(keys) => keys,
        Err(refusal) => return State::Unchecked(refusal),
    };
    let judged = verify(bytes, &signature, &keys).and_then(|verified| {
        verified.claim.covers(manifest, file)?;
        Ok(verified.key.file.clone())
    });
    match judged {
        Ok(key) => State::Valid { key },
        Err(refusal) => State::Refused(refusal),
    }
}

fn keys(key: Option<&Path>) -> Result<Vec<Key>, Refusal> {
    if let Some(path) = key {
        let key = Key::read(path);
        return key
            .map(|key| vec![key])
            .map_err(|Refusal { cause, cure }| Refusal::new(format!("the key {}: {cause}", path.display()), cure));
    }
    let directory = Root::default().path(super::KEYS);
    let keys = Keys::read(&directory).keys;
    if keys.is_empty() {
        return Err(Refusal { cure: "name one with --plugin-key".to_owned(), ..no_keys(&directory) });
    }
    Ok(keys)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let mut bytes = Vec::new();
    let limit = SIGNATURE_LIMIT as u64 + 1;
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal::new(format!("its signature cannot be read: {error}"), "make it readable")),
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("none beside it; only ipa-plugin-urls needs one"),
            Self::Valid { key } => write!(f, "valid, by the key {key}"),
            Self::Unchecked(refusal) => write!(f, "not checked: {refusal}"),
            Self::Refused(refusal) => write!(f, "not valid: {refusal}"),
        }
    }
}
