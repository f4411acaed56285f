//! The trusted comment: which plugin a signature is for.

use std::fmt;

use ipa_plugin_api::manifest::Manifest;

use super::super::refusal::Refusal;
use super::super::text::printable_line;

/// The word that such a comment begins with.
const KIND: &str = "ipa-plugin";
/// Most bytes of a comment that an error repeats.
const SHOWN: usize = 200;
/// Longest name of a file, in bytes.
const FILE_LIMIT: usize = 255;

/// What the signer says of the file: `ipa-plugin name=acme version=1.2.0 file=libacme.so`.
///
/// The three words may come in any order. Words of other names are left to later versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The manager's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The name that the file is served under.
    pub(crate) file: String,
}

impl Claim {
    /// The claim for a plugin in a file of this name.
    ///
    /// # Errors
    /// The file's name cannot stand in a comment.
    pub(crate) fn of(manifest: &Manifest, file: &str) -> Result<Self, Refusal> {
        if !is_file_name(file) {
            return Err(Refusal::new(
                format!("the file name {file:?} cannot be signed"),
                "rename the file to visible ASCII characters without blanks, ending in .so",
            ));
        }
        Ok(Self { name: manifest.name.clone(), version: manifest.version.clone(), file: file.to_owned() })
    }

    /// Reads a trusted comment.
    ///
    /// # Errors
    /// It does not say which plugin it is for.
    pub(crate) fn parse(comment: &str) -> Result<Self, Refusal> {
        let refused = |why: &str| {
            Refusal::new(
                format!("its trusted comment {:?} {why}", printable_line(comment.as_bytes(), SHOWN)),
                "sign it with `cargo xtask sign-plugin`, or with minisign -S -t and the comment that \
                 `ipa-host plugins check FILE` shows",
            )
        };
        let mut words = comment.split_ascii_whitespace();
        if words.next() != Some(KIND) {
            return Err(refused("is not that of a plugin"));
        }
        let (mut name, mut version, mut file) = (None, None, None);
        for word in words {
            let Some((key, value)) = word.split_once('=') else { return Err(refused("has a word without a value")) };
            let place = match key {
                "name" => &mut name,
                "version" => &mut version,
                "file" => &mut file,
                _ => continue,
            };
            if place.replace(value.to_owned()).is_some() {
                return Err(refused("says one thing twice"));
            }
        }
        match (name, version, file) {
            (Some(name), Some(version), Some(file)) => Ok(Self { name, version, file }),
            _ => Err(refused("lacks name, version or file")),
        }
    }

    /// Whether the signature is for the plugin with this manifest, in a file that is had under this name.
    ///
    /// # Errors
    /// It is for another one.
    pub(crate) fn covers(&self, manifest: &Manifest, file: &str) -> Result<(), Refusal> {
        if (&self.name, &self.version) != (&manifest.name, &manifest.version) {
            return Err(Refusal::new(
                format!(
                    "it was signed as {} {}, but the file says that it is {} {}",
                    self.name, self.version, manifest.name, manifest.version
                ),
                "sign this very file anew",
            ));
        }
        if self.file != file {
            return Err(Refusal::new(
                format!("it was signed as the file {}, but is served as {file}", self.file),
                "serve it under the name that was signed, or sign it under its name",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KIND} name={} version={} file={}", self.name, self.version, self.file)
    }
}

/// True for names that plugin files at URLs may have.
pub(crate) fn is_file_name(name: &str) -> bool {
    name.len() <= FILE_LIMIT
        && name.len() > ".so".len()
        && name.ends_with(".so")
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(name: &str, version: &str) -> Manifest {
        let manifest = json!({"name": name, "class_name": "Acme", "version": version, "api": "1.0.0"});
        serde_json::from_value(manifest).expect("a manifest")
    }

    #[test]
    fn a_comment_is_read_as_it_is_written() {
        let claim = Claim::of(&manifest("acme", "1.2.0"), "libacme.so").expect("a good name");
        assert_eq!(claim.to_string(), "ipa-plugin name=acme version=1.2.0 file=libacme.so");
        assert_eq!(Claim::parse(&claim.to_string()), Ok(claim.clone()));
        let other = "ipa-plugin\tfile=libacme.so timestamp=17 version=1.2.0  name=acme";
        assert_eq!(Claim::parse(other), Ok(claim));
        let odd = Claim::parse("ipa-plugin name=a version=1=2 file=a.so").expect("split once");
        assert_eq!(odd.version, "1=2");
    }

    #[test]
    fn a_comment_that_names_no_plugin_is_refused() {
        for (comment, why) in [
            ("", "is not that of a plugin"),
            ("timestamp:1556193335\tfile:libacme.so\thashed", "is not that of a plugin"),
            ("ipa-plugins name=a version=1 file=a.so", "is not that of a plugin"),
            ("ipa-plugin name=a version=1", "lacks"),
            ("ipa-plugin version=1 file=a.so", "lacks"),
            ("ipa-plugin name=a version=1 file=a.so old", "without a value"),
            ("ipa-plugin name=a version=1 file=a.so version=2", "twice"),
            ("x\u{1b}[2J", "is not that of a plugin"),
        ] {
            let refusal = Claim::parse(comment).expect_err(comment);
            assert!(refusal.cause.contains(why) && !refusal.cause.contains('\u{1b}'), "{refusal}");
            assert!(refusal.cure.contains("minisign -S -t"), "{refusal}");
        }
        let long = Claim::parse(&"x".repeat(8192)).expect_err("no plugin").cause;
        assert!(long.len() < 300, "{long}");
    }

    #[test]
    fn another_plugin_version_or_file_is_not_covered() {
        let claim = Claim::parse("ipa-plugin name=acme version=1.2.0 file=libacme.so").expect("a claim");
        assert_eq!(claim.covers(&manifest("acme", "1.2.0"), "libacme.so"), Ok(()));
        for (name, version, file, says) in [
            ("evil", "1.2.0", "libacme.so", "it was signed as acme 1.2.0, but the file says that it is evil 1.2.0"),
            ("acme", "1.2.1", "libacme.so", "but the file says that it is acme 1.2.1"),
            ("acme", "1.2.0", "libother.so", "signed as the file libacme.so, but is served as libother.so"),
        ] {
            let refusal = claim.covers(&manifest(name, version), file).expect_err(says);
            assert!(refusal.cause.contains(says), "{refusal}");
        }
    }

    #[test]
    fn only_plain_names_can_be_signed() {
        for name in ["", ".so", "a b.so", "a.txt", "../a.so", "\u{e9}.so"] {
            assert!(Claim::of(&manifest("a", "1"), name).is_err(), "{name}");
        }
        assert!(!is_file_name(&format!("{}.so", "a".repeat(253))));
    }
}
