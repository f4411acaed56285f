//! Copies the configuration on a medium to the directories where the agent reads it.
//!
//! Whoever made the medium decides on what stands there, so nothing but plain files is taken, links are not followed,
//! and there is an end to it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use thiserror::Error;

use crate::config::ini::FILE_LIMIT;

/// The directories, on the medium and below the root alike.
const DIRECTORIES: [&str; 2] = ["ironic-python-agent", "ironic-python-agent.d"];
/// Most files in a directory.
const FILES: usize = 256;
/// Most bytes in all.
const TOTAL: u64 = 8 * 1024 * 1024;

/// A configuration on a medium that cannot be used.
#[derive(Debug, Error)]
pub enum CopyError {
    /// A file cannot be read from the medium or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than any configuration.
    #[error("{path}: larger than {FILE_LIMIT} bytes, which no configuration file is")]
    FileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The files are too many or too large together.
    #[error("{path}: more than {FILES} files in a directory or more than {TOTAL} bytes, which no configuration has")]
    TooMuch {
        /// The directory.
        path: PathBuf,
    },
}

/// Copies the files of `etc/ironic-python-agent` and `etc/ironic-python-agent.d` on the medium to the same places below
/// `root`. Gives what was done and what was left out, for the log.
pub(super) fn configuration(medium: &Path, root: &Path) -> Result<Vec<String>, CopyError> {
    let mut notes = Vec::new();
    let mut left = TOTAL;
    for name in DIRECTORIES {
        let from = medium.join("etc").join(name);
        let Some(directory) = open_directory(medium, &["etc", name]).map_err(failed(&from))? else {
            notes.push(format!("there is no directory etc/{name}"));
            continue;
        };
        let to = root.join("etc").join(name);
        let copied = copy_files(&directory, &from, &to, &mut left, &mut notes)?;
        notes.push(format!("copied {copied} files from etc/{name} to {}", to.display()));
    }
    Ok(notes)
}

/// The text of a file at the top of a medium, at most `limit` bytes of it; none if there is no such plain file.
pub(super) fn text_at_top(medium: &Path, name: &str, limit: u64) -> io::Result<Option<String>> {
    let Some(directory) = open_directory(medium, &[])? else { return Ok(None) };
    let Some(file) = open_file(&directory, name)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn copy_files(
    directory: &OwnedFd,
    from: &Path,
    to: &Path,
    left: &mut u64,
    notes: &mut Vec<String>,
) -> Result<usize, CopyError> {
    std::fs::create_dir_all(to).map_err(failed(to))?;
    let mut copied = 0;
    let too_much = || CopyError::TooMuch { path: from.to_owned() };
    for (index, entry) in Dir::read_from(directory).map_err(|error| failed(from)(error.into()))?.enumerate() {
        let entry = entry.map_err(|error| failed(from)(error.into()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "." || name == ".." {
            continue;
        }
        if index > FILES + 2 {
            return Err(too_much());
        }
        let path = from.join(&name);
        let odd = name.contains(|character: char| character.is_control() || character == char::REPLACEMENT_CHARACTER);
        let file = if odd { None } else { open_file(directory, &name).map_err(failed(&path))? };
        let Some(file) = file else {
            notes.push(format!("left out {path:?}, which is no plain file"));
            continue;
        };
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed(&path))?;
        let length = bytes.len() as u64;
        if length > FILE_LIMIT {
            return Err(CopyError::FileTooLarge { path });
        }
        *left = left.checked_sub(length).ok_or_else(too_much)?;
        write(to, &name, &bytes).map_err(failed(&to.join(&name)))?;
        copied += 1;
    }
    Ok(copied)
}

/// Replaces a file at once, so that a start after a power cut never reads a half one. Only the agent can read it, for
/// there may be secrets in it.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = directory.join(format!(".{name}.new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    std::fs::rename(&new, directory.join(name))
}

/// Opens a directory step by step; none if a step is missing, or is a link or a file.
pub(super) fn open_directory(medium: &Path, steps: &[&str]) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = openat(CWD, medium, flags, Mode::empty())?;
    for step in steps {
        directory = match openat(&directory, *step, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(next) => next,
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Some(directory))
}

/// Opens a plain file; none if there is no such file, or if it is anything else.
pub(super) fn open_file(directory: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    // Opening a pipe must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> CopyError + '_ {
    |source| CopyError::Io { path: path.to_owned(), source }
}
