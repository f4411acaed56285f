//! Where plugins come from: the plugin directory, virtual media, signed URLs.
//!
//! The order of the sources matters only where two of them hold the same version of a manager: the earlier one stays.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::status::LeftOut;
use super::text::printable;
use super::vet::Vetted;

/// A plugin file as people call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PluginFile {
    /// Its name, fit for printing; the directory or URL if that is the trouble.
    #[serde(rename = "file")]
    pub name: String,
    /// What it came from, for example `virtual media sr0`; none for the plugin directory.
    pub origin: Option<String>,
}

impl PluginFile {
    pub(crate) fn new(name: impl Into<String>, origin: Option<&str>) -> Self {
        Self { name: name.into(), origin: origin.map(str::to_owned) }
    }
}

impl fmt::Display for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.origin {
            Some(origin) if *origin != self.name => write!(f, " from {origin}"),
            _ => Ok(()),
        }
    }
}

/// One place that plugins are taken from.
#[derive(Debug)]
pub struct Source(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    /// All plugin files of a directory.
    Directory { path: PathBuf, origin: Option<String> },
    /// A plugin that was checked already.
    Plugin(Box<Vetted>),
    /// What should have given a plugin, and why it did not.
    Refused(Box<LeftOut>),
}

impl Source {
    /// The plugin directory.
    pub fn plugin_directory(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Directory { path: path.into(), origin: None })
    }

    /// A directory with what was copied from somewhere else.
    pub fn copied(path: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        Self(Kind::Directory { path: path.into(), origin: Some(origin.into()) })
    }

    /// A plugin that was not to be had from `origin`.
    pub fn refused(file: impl Into<String>, origin: &str, refusal: Refusal) -> Self {
        Self(Kind::Refused(Box::new(LeftOut::refused(PluginFile::new(file, Some(origin)), refusal))))
    }

    pub(crate) fn plugin(plugin: Vetted) -> Self {
        Self(Kind::Plugin(Box::new(plugin)))
    }

    /// The place for a sentence; none if there is nothing in it.
    pub(crate) fn place(&self) -> Option<String> {
        match &self.0 {
            Kind::Directory { path, origin: None } => Some(shown(path)),
            Kind::Directory { path, origin: Some(origin) } => Some(format!("{} (from {origin})", shown(path))),
            Kind::Plugin(plugin) => plugin.file.origin.clone(),
            Kind::Refused(_) => None,
        }
    }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_its_name_and_origin() {
        assert_eq!(PluginFile::new("a.so", None).to_string(), "a.so");
        assert_eq!(PluginFile::new("a.so", Some("virtual media sr0")).to_string(), "a.so from virtual media sr0");
        assert_eq!(PluginFile::new("https://a/b.so", Some("https://a/b.so")).to_string(), "https://a/b.so");
    }

    #[test]
    fn a_source_is_named_with_its_origin() {
        assert_eq!(Source::plugin_directory("/p").place().as_deref(), Some("/p"));
        assert_eq!(Source::copied("/m", "virtual media sr0").place().as_deref(), Some("/m (from virtual media sr0)"));
        assert_eq!(Source::refused("a", "b", Refusal::new("", "")).place(), None);
    }
}
