//! From a file to a plugin that may be loaded: trust, private copy, ELF, manifest. Nothing of the file runs.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ipa_plugin_api::abi::ENTRY_SYMBOLS;
use ipa_plugin_api::manifest::Manifest;

use super::elf::{Dynamic, Elf};
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::source::PluginFile;
use super::text::printable;
use super::{manifest, trust};

/// A plugin file that passed all checks.
#[derive(Debug)]
pub(crate) struct Vetted {
    /// What it is called.
    pub(crate) file: PluginFile,
    /// Where it is had from again for a restart.
    pub(crate) place: Place,
    /// What it says about itself.
    pub(crate) manifest: Manifest,
    /// Its bytes.
    pub(crate) sealed: Arc<Sealed>,
}

/// Where the bytes of a plugin are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a file.
    File(PathBuf),
    /// Only in memory, since they came over the network.
    Memory(Arc<Sealed>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&printable(path.as_os_str())),
            Self::Memory(_) => f.write_str("the file at its URL"),
        }
    }
}

/// Checks one file of an open plugin directory.
pub(crate) fn vet(
    directory: &trust::Directory,
    path: PathBuf,
    name: &OsStr,
    file: PluginFile,
) -> Result<Vetted, Refusal> {
    let opened = trust::open_file(directory, name)?;
    let sealed = Sealed::copy(&opened, &memory_name(&file), trust::SIZE_LIMIT)
        .map_err(|error| Refusal::new(format!("it cannot be read: {error}"), "check the file and free memory"))?;
    examine(Arc::new(sealed), Place::File(path), file)
}

/// What debuggers see the copy of a plugin file as.
pub(crate) fn memory_name(file: &PluginFile) -> String {
    format!("ipa-plugin:{}", file.name)
}

/// Checks the bytes of a plugin file.
pub(crate) fn examine(sealed: Arc<Sealed>, place: Place, file: PluginFile) -> Result<Vetted, Refusal> {
    let mapping =
        sealed.map().map_err(|error| Refusal::new(format!("its copy cannot be read: {error}"), "check free memory"))?;
    let elf =
        Elf::parse(&mapping).map_err(|error| Refusal::new(error.to_string(), "remove it, or install it again"))?;
    let manifest = manifest::read(&elf)?;
    let dynamic = elf.dynamic().map_err(|error| Refusal::new(error.to_string(), "remove it, or install it again"))?;
    if let Some(refusal) = without_entry(&dynamic) {
        return Err(refusal);
    }
    Ok(Vetted { file, place, manifest, sealed })
}

/// What is wrong with a plugin that has no entry.
pub(crate) fn without_entry(dynamic: &Dynamic<'_>) -> Option<Refusal> {
    if ENTRY_SYMBOLS.iter().any(|symbol| dynamic.defines(symbol)) {
        return None;
    }
    let cause = format!("it has neither the symbol {}", ENTRY_SYMBOLS.join(" nor "));
    Some(Refusal::new(
        cause,
        "build it with export_manager! as a cdylib, or define ipa_plugin_c1 as ipa_plugin.h has it",
    ))
}

/// Checks a file again, to start its plugin again.
pub(crate) fn vet_again(place: Place, file: PluginFile) -> Result<Vetted, Refusal> {
    let path = match place {
        Place::File(path) => path,
        Place::Memory(ref sealed) => return examine(Arc::clone(sealed), place, file),
    };
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Refusal::new("it has no directory", "name a file"));
    };
    let directory = trust::open_directory(directory)?;
    let name = name.to_owned();
    vet(&directory, path, &name, file)
}
