//! A directory of log files, within bounds.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::archive::Archive;

/// Most files that are taken.
const FILES: usize = 2000;
/// How deep directories are followed.
const DEPTH: usize = 8;
/// Bytes taken of one file, from its end.
const FILE_LIMIT: u64 = 8 * 1024 * 1024;
/// Bytes left for other members.
const RESERVE: usize = 32 * 1024 * 1024;

/// Adds the regular files below a directory. Links are not followed and what cannot be read is left out: a log
/// directory changes while it is read.
pub(super) fn add(archive: &mut Archive, root: &Path) -> io::Result<()> {
    let mut open: Vec<(PathBuf, usize)> = vec![(root.to_owned(), 0)];
    let mut files = 0;
    while let Some((dir, depth)) = open.pop() {
        let mut entries: Vec<_> = fs::read_dir(&dir).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEPTH {
                open.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                if files == FILES || archive.room() <= RESERVE {
                    return Ok(());
                }
                if let Ok(bytes) = end_of(&entry.path()) {
                    archive.add(&entry.path().to_string_lossy(), &bytes)?;
                    files += 1;
                }
            }
        }
    }
    Ok(())
}

/// Adds one file, unless it cannot be read.
pub(super) fn add_file(archive: &mut Archive, path: &Path) -> io::Result<()> {
    match end_of(path) {
        Ok(bytes) => archive.add(&path.to_string_lossy(), &bytes),
        Err(_) => Ok(()),
    }
}

/// The end of a file. A file that became a link or a pipe meanwhile is neither followed nor waited for.
fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.seek(SeekFrom::Start(meta.len().saturating_sub(FILE_LIMIT)))?;
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::archive;
    use super::*;

    #[test]
    fn links_are_not_followed_and_large_files_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/messages"), "hello").unwrap();
        let mut large = vec![b'a'; usize::try_from(FILE_LIMIT).unwrap()];
        large.extend_from_slice(b"end");
        fs::write(root.join("large"), large).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("link")).unwrap();
        std::os::unix::fs::symlink("/", root.join("root")).unwrap();
        let mut archive = Archive::new();
        add(&mut archive, root).unwrap();
        let members = archive::read(&archive.finish().unwrap());
        let relative = |name: &str| root.join(name).to_string_lossy().trim_start_matches('/').to_owned();
        assert_eq!(members.len(), 2, "{:?}", members.keys());
        assert_eq!(members[&relative("sub/messages")], b"hello");
        assert!(
            members[&relative("large")].ends_with(b"aend") && members[&relative("large")].len() as u64 == FILE_LIMIT
        );
    }
}
