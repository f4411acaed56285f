//! The public keys in the ramdisk.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::PublicKey;

use super::super::refusal::Refusal;
use super::super::text::printable;
use super::super::trust;

/// Most keys that are read.
const MOST: usize = 64;
/// Largest key file, in bytes; it has two lines.
const FILE_LIMIT: u64 = 4096;
/// Bytes of a public key: algorithm, key ID, key. A signature begins with the first two as well.
const ID: std::ops::Range<usize> = 2..10;

/// A key that plugins may be signed with.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The file it was read from, fit for printing.
    pub(crate) file: String,
    /// The key ID as the program minisign shows it.
    pub(crate) id: String,
    /// The key itself.
    pub(crate) key: PublicKey,
}

impl Key {
    /// Reads a key file that a person named.
    ///
    /// # Errors
    /// It cannot be read, or is no key.
    pub(crate) fn read(path: &Path) -> Result<Self, Refusal> {
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        Self::from(&file, printable(path.as_os_str()))
    }

    fn from(file: &File, name: String) -> Result<Self, Refusal> {
        let mut text = String::new();
        file.take(FILE_LIMIT).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
        let no_key = || Refusal::new("it is no minisign public key", "copy the .pub file of the key pair there");
        let key = PublicKey::decode(&text).map_err(|_| no_key())?;
        let id = text.lines().nth(1).and_then(id_of).ok_or_else(no_key)?;
        Ok(Self { file: name, id, key })
    }
}

/// Keys, and what is wrong with files that should hold one.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// Those that count.
    pub(crate) keys: Vec<Key>,
    /// A file's name and why it does not count.
    pub(crate) refused: Vec<(String, Refusal)>,
}

impl Keys {
    /// Reads the files `*.pub` of a directory. The rules are those for plugin files: nobody but root may have written
    /// them. A directory that is not there has no keys.
    pub(crate) fn read(path: &Path) -> Self {
        let mut keys = Self::default();
        if let Err(refusal) = keys.read_all(path) {
            keys.refused.push((printable(path.as_os_str()), refusal));
        }
        keys
    }

    fn read_all(&mut self, path: &Path) -> Result<(), Refusal> {
        let names = match names(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            names => names.map_err(|error| unreadable(&error))?,
        };
        let directory = trust::open_directory(path)?;
        for name in names {
            let printed = printable(&name);
            match trust::open_file(&directory, &name).and_then(|file| Key::from(&file, printed.clone())) {
                Ok(key) => self.keys.push(key),
                Err(refusal) => self.refused.push((printed, refusal)),
            }
        }
        Ok(())
    }
}

fn names(path: &Path) -> io::Result<Vec<OsString>> {
    let is_key = |name: &OsStr| name.as_bytes().ends_with(b".pub") && !name.as_bytes().starts_with(b".");
    let mut names: Vec<OsString> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .filter(|name| name.as_ref().map_or(true, |name| is_key(name)))
        .take(MOST)
        .collect::<Result<_, _>>()?;
    names.sort();
    Ok(names)
}

/// The key ID in the second line of a key or a signature, as the program minisign shows it.
pub(crate) fn id_of(line: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(line.trim()).ok()?;
    let id: [u8; 8] = bytes.get(ID)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

fn unreadable(error: &io::Error) -> Refusal {
    Refusal::new(format!("it cannot be read: {error}"), "make it a readable file of root's")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &str = "untrusted comment: minisign public key E7620F1842B4E81F\n\
                       RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n";

    #[test]
    fn only_trusted_files_that_hold_a_key_count() {
        let directory = tempfile::tempdir().expect("a directory");
        let put = |name: &str, text: &str, mode: u32| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own");
        };
        put("good.pub", KEY, 0o644);
        put("open.pub", KEY, 0o666);
        put("broken.pub", &KEY[..90], 0o644);
        put("huge.pub", &format!("{}{KEY}", "x".repeat(10_000)), 0o644);
        put("secret.key", KEY, 0o600);
        put(".hidden.pub", KEY, 0o644);
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("link.pub")).expect("linked");
        let keys = Keys::read(directory.path());
        let good: Vec<_> = keys.keys.iter().map(|key| (key.file.as_str(), key.id.as_str())).collect();
        assert_eq!(good, [("good.pub", "E7620F1842B4E81F")]);
        let refused: Vec<_> = keys.refused.iter().map(|(name, why)| format!("{name}: {}", why.cause)).collect();
        assert_eq!(refused.len(), 4, "{refused:#?}");
        assert!(refused[0].starts_with("broken.pub: it is no minisign public key"), "{refused:#?}");
        assert!(refused[3].contains("open.pub: others may write to it"), "{refused:#?}");
    }

    #[test]
    fn a_directory_that_others_can_write_to_has_no_keys_and_a_missing_one_no_trouble() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("good.pub"), KEY).expect("written");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).expect("our own");
        let keys = Keys::read(directory.path());
        assert!(keys.keys.is_empty() && keys.refused[0].1.cause.contains("others may write"), "{keys:?}");
        let none = Keys::read(&directory.path().join("nothing"));
        assert!(none.keys.is_empty() && none.refused.is_empty());
    }
}
