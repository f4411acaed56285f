//! From a file name to a plugin that may be loaded: trust, private copy, ELF, manifest. Nothing of the file runs.

use std::ffi::OsStr;
use std::path::PathBuf;

use ipa_plugin_api::abi::ENTRY_SYMBOL;
use ipa_plugin_api::manifest::Manifest;

use super::elf::Elf;
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::text::printable;
use super::{manifest, trust};

/// A plugin file that passed all checks.
#[derive(Debug)]
pub(crate) struct Vetted {
    /// The file's name, fit for printing.
    pub(crate) file: String,
    /// Its place, to read it again for a restart.
    pub(crate) path: PathBuf,
    /// What it says about itself.
    pub(crate) manifest: Manifest,
    /// Its bytes.
    pub(crate) sealed: Sealed,
}

/// Checks one file of an open plugin directory.
pub(crate) fn vet(directory: &trust::Directory, path: PathBuf, name: &OsStr) -> Result<Vetted, Refusal> {
    let file = trust::open_file(directory, name)?;
    let printed = printable(name);
    let sealed = Sealed::copy(&file, &format!("ipa-plugin:{printed}"), trust::SIZE_LIMIT)
        .map_err(|error| Refusal::new(format!("it cannot be read: {error}"), "check the file and free memory"))?;
    let mapping =
        sealed.map().map_err(|error| Refusal::new(format!("its copy cannot be read: {error}"), "check free memory"))?;
    let elf =
        Elf::parse(&mapping).map_err(|error| Refusal::new(error.to_string(), "remove it, or install it again"))?;
    let manifest = manifest::read(&elf)?;
    let dynamic = elf.dynamic().map_err(|error| Refusal::new(error.to_string(), "remove it, or install it again"))?;
    if !dynamic.defines(ENTRY_SYMBOL) {
        return Err(Refusal::new(
            format!("it has a manifest but no symbol {ENTRY_SYMBOL}"),
            "build it with export_manager! as a cdylib",
        ));
    }
    Ok(Vetted { file: printed, path, manifest, sealed })
}

/// Checks a file again, to start its plugin again.
pub(crate) fn vet_again(path: PathBuf) -> Result<Vetted, Refusal> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Refusal::new("it has no directory", "name a file"));
    };
    let directory = trust::open_directory(directory)?;
    let name = name.to_owned();
    vet(&directory, path, &name)
}
