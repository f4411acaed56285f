//! Plugin directories for tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;

/// What copies of the puppet have in the place of their tag.
const TAG: &[u8] = b"TAG0";

/// A fresh directory with plugin files, and the configuration that goes with them. It vanishes when dropped.
#[derive(Debug)]
pub struct PluginDir {
    home: TempDir,
    config: String,
}

impl Default for PluginDir {
    fn default() -> Self {
        Self::new()
    }
}

impl PluginDir {
    /// An empty directory.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("ipa-tests-").tempdir().expect("a temporary directory");
        fs::create_dir(home.path().join("plugins")).expect("a new directory");
        let directory = Self { home, config: String::new() };
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("our own directory");
        directory
    }

    /// A directory with the well-behaved plugin in it.
    pub fn with_acme() -> Self {
        Self::new().with(&artifacts::minimal())
    }

    /// The directory with the plugin files.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("plugins")
    }

    /// A directory for what else the test and the host write.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Adds a plugin file under its own name.
    #[must_use]
    pub fn with(self, plugin: &Path) -> Self {
        let name = plugin.file_name().expect("a plugin is a file").to_string_lossy().into_owned();
        self.with_as(plugin, &name)
    }

    /// Adds a plugin file under another name.
    #[must_use]
    pub fn with_as(self, plugin: &Path, name: &str) -> Self {
        let bytes = fs::read(plugin).unwrap_or_else(|error| panic!("{}: {error}", plugin.display()));
        self.put(name, &bytes);
        self
    }

    /// Adds a misbehaving plugin.
    #[must_use]
    pub fn with_misbehaving(self, name: &str) -> Self {
        self.with(&artifacts::misbehaving(name))
    }

    /// Adds a puppet whose name is `puppet_` and the tag, whose class is `Puppet` and the tag, and whose section says
    /// what it does; see `tests/misbehaving/examples/puppet.rs`. The file's name plays no part, so it is `{tag}.so`.
    #[must_use]
    pub fn with_puppet(self, tag: &str, section: &Value) -> Self {
        self.with_puppet_as(tag, &format!("{tag}.so"), section)
    }

    /// Adds a puppet in a file of the given name.
    #[must_use]
    pub fn with_puppet_as(mut self, tag: &str, file: &str, section: &Value) -> Self {
        self.put(file, &puppet(tag));
        self.config.push_str(&format!("[plugin:puppet_{tag}]\n"));
        for (key, value) in section.as_object().expect("a section is an object") {
            self.config.push_str(&format!("{key} = {value}\n"));
        }
        self
    }

    /// Adds text to the configuration file.
    #[must_use]
    pub fn with_config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    /// Writes a file into the directory, as root installs one.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("our own file");
        path
    }

    /// Writes the configuration of the puppets and tells where it is.
    pub fn config_file(&self) -> PathBuf {
        let path = self.home.path().join("agent.conf");
        fs::write(&path, &self.config).expect("a file in our own directory");
        path
    }
}

/// The bytes of a puppet with a tag of four characters: replaced in note and code alike, so that one build makes any
/// number of managers.
fn puppet(tag: &str) -> Vec<u8> {
    static ORIGINAL: OnceLock<(Vec<u8>, Vec<usize>)> = OnceLock::new();
    assert_eq!(tag.len(), TAG.len(), "a tag has four characters, so that no byte of the file moves");
    let (original, places) = ORIGINAL.get_or_init(|| {
        let bytes = fs::read(artifacts::misbehaving("puppet")).expect("the puppet was built");
        let places = places_of(&bytes, TAG);
        assert!(places.len() >= 6, "name, class and version, in note and code: {} places", places.len());
        (bytes, places)
    });
    let mut bytes = original.clone();
    for &at in places {
        bytes[at..at + tag.len()].copy_from_slice(tag.as_bytes());
    }
    bytes
}

/// Replaces a text by another of the same length and tells how often.
pub(crate) fn replace_all(bytes: &mut [u8], from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let places = places_of(bytes, from);
    for &at in &places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    places.len()
}

/// Where a text that does not overlap itself stands.
fn places_of(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|&at| bytes[at..].starts_with(text)).collect()
}
