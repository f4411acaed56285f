//! Plugins on the medium that has the configuration: `usr/lib/ipa/plugins/*.so`.
//!
//! They are trusted as that configuration is, which can set everything, another plugin directory included. Whoever
//! wants neither boots without `boot_method=vmedia`; who wants only the configuration sets `enable_vmedia_plugins` to
//! false (`ipa-enable-vmedia-plugins=0`).
//!
//! They are copied to a directory that nobody but root can write to, one for each drive, and stay there until the next
//! boot, as the configuration does: an agent that is started again has them although the medium may be gone by then.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::Dir;

use super::copy::{open_directory, open_file};
use super::{CONFIG_LABELS, VirtualMedia, VirtualMediaError};
use crate::plugins::{Refusal, Source};

/// The directory, on the medium.
const PLUGINS: [&str; 4] = ["usr", "lib", "ipa", "plugins"];
/// Where copies are, below the root: a directory for each drive.
const COPIES: &str = "run/ipa/plugins/media";
/// Most files of the directory that are looked at.
const ENTRIES: usize = 1024;
/// Most plugins.
const FILES: usize = 64;
/// Largest plugin, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;
/// Most bytes in all: they take memory.
const TOTAL: u64 = 256 * 1024 * 1024;

/// What was copied, and what was not.
#[derive(Debug, Default)]
struct Copied {
    files: usize,
    refused: Vec<(String, Refusal)>,
}

impl VirtualMedia<'_> {
    /// Copies the plugins on the medium with the configuration. Gives where they are now, and what was left out; nothing
    /// if there is no such medium and was none since the boot. What goes wrong costs plugins and never the start.
    pub async fn copy_plugins(&mut self) -> Vec<Source> {
        let Some(device) = self.find_by_label(CONFIG_LABELS).await else { return self.earlier_copies() };
        let origin = origin(&device.name);
        let to = self.root.join(COPIES).join(device.name.replace('!', "-"));
        let target = to.clone();
        let copied = self.on_medium(&device, move |medium| copy(medium, &target)).await;
        let outcome: Result<Option<Copied>, String> = match copied {
            Ok(copied) => copied.map_err(|error| error.to_string()),
            Err(error) => Err(match error {
                VirtualMediaError::Mount { source, .. } => source.to_string(),
                VirtualMediaError::MountPoint { source, .. } | VirtualMediaError::Read { source, .. } => {
                    source.to_string()
                }
                other => other.to_string(),
            }),
        };
        let path = PLUGINS.join("/");
        match outcome {
            Ok(None) => {
                self.notes.push(format!("{}: there is no directory {path}", device.name));
                Vec::new()
            }
            Ok(Some(Copied { files, refused })) => {
                self.notes.push(format!("{}: copied {files} plugins from {path} to {}", device.name, to.display()));
                let refused = refused.into_iter().map(|(file, refusal)| Source::refused(file, &origin, refusal));
                std::iter::once(Source::copied(to, origin.as_str())).chain(refused).collect()
            }
            Err(why) => {
                let cause = format!("its plugins cannot be copied: {why}");
                vec![Source::refused(path, &origin, Refusal::new(cause, "eject and insert it again with the BMC"))]
            }
        }
    }

    /// Copies that an earlier start has made since the boot.
    fn earlier_copies(&mut self) -> Vec<Source> {
        let entries = std::fs::read_dir(self.root.join(COPIES)).into_iter().flatten().flatten().take(ENTRIES);
        let mut drives: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        drives.sort();
        let mut sources = Vec::new();
        for path in drives {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.notes.push(format!("{name} is gone; its plugins were copied earlier and are used"));
            sources.push(Source::copied(path, origin(&name)));
        }
        sources
    }
}

fn origin(drive: &str) -> String {
    format!("virtual media {drive}")
}

/// Copies the plugins of a medium to a directory that then has those and no others; none if the medium has no directory
/// of them.
fn copy(medium: &Path, to: &Path) -> io::Result<Option<Copied>> {
    // What an earlier start has copied is of that start.
    match std::fs::remove_dir_all(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let Some(from) = open_directory(medium, &PLUGINS)? else { return Ok(None) };
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let mut copied = Copied::default();
    let mut left = TOTAL;
    for (number, name) in names(&from)?.into_iter().enumerate() {
        let outcome = if number < FILES {
            copy_one(&from, &name, to, &mut left)
        } else {
            let cause = format!("the medium has more than {FILES} plugins");
            Err(Refusal::new(cause, "put fewer on it"))
        };
        match outcome {
            Ok(()) => copied.files += 1,
            Err(refusal) => copied.refused.push((name, refusal)),
        }
    }
    Ok(Some(copied))
}

/// The names that plugins may have, in order.
fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (number, entry) in Dir::read_from(directory)?.enumerate() {
        if number >= ENTRIES {
            return Err(io::Error::other(format!("its plugin directory has more than {ENTRIES} files")));
        }
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        // Other names would have to be escaped wherever they are shown.
        if name.len() > ".so".len() && name.ends_with(b".so") && name.iter().all(u8::is_ascii_graphic) {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

fn copy_one(from: &OwnedFd, name: &str, to: &Path, left: &mut u64) -> Result<(), Refusal> {
    let again = "eject and insert the medium again with the BMC";
    let unreadable = |error: io::Error| Refusal::new(format!("it cannot be read from the medium: {error}"), again);
    let file = open_file(from, name).map_err(unreadable)?;
    let file = file.ok_or_else(|| Refusal::new("it is no plain file", "put the file itself on the medium"))?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        let cause = format!("it has {size} bytes, more than the allowed {LARGEST}");
        return Err(Refusal::new(cause, "strip it, and keep data in files of their own"));
    }
    let Some(rest) = left.checked_sub(size) else {
        let cause = format!("the plugins on the medium have more than {TOTAL} bytes together");
        return Err(Refusal::new(cause, "put fewer on it"));
    };
    *left = rest;
    write(&file, size, &to.join(name)).map_err(|error| {
        Refusal::new(format!("it cannot be copied: {error}"), "free memory, or insert the medium again")
    })
}

/// Writes the first `size` bytes of a file to a new one.
fn write(file: &File, size: u64, to: &Path) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut file.take(size), &mut target);
    if !matches!(copied, Ok(copied) if copied == size) {
        // Half a plugin is none.
        let _ = std::fs::remove_file(to);
    }
    match copied? {
        copied if copied == size => Ok(()),
        copied => Err(io::Error::other(format!("it ended after {copied} of {size} bytes"))),
    }
}

#[cfg(test)]
mod tests;
