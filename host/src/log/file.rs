//! The log file of `log_file` and `log_dir`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes of a file: a ramdisk's file is the machine's memory.
const LIMIT: u64 = 64 * 1024 * 1024;
const LAST_WORDS: &str = "the log file is full; what comes now is on standard error alone\n";

/// A file that lines are added to, for its owner's eyes.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    room: AtomicU64,
}

impl LogFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened or is no regular file.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Self::with_room(path, LIMIT)
    }

    fn with_room(path: PathBuf, limit: u64) -> io::Result<Self> {
        // O_NONBLOCK: opening a pipe must not wait for its reader.
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(nonblocking).open(&path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self { path, file, room: AtomicU64::new(limit.saturating_sub(meta.len())) })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line with one write. There is nowhere to report one that cannot be written.
    pub(super) fn write(&self, line: &str) {
        let length = line.len() as u64;
        let left = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(length));
        let text = match left {
            Ok(_) => line,
            Err(0) => return,
            Err(_) => {
                self.room.store(0, Ordering::Relaxed);
                LAST_WORDS
            }
        };
        let _ = (&self.file).write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_are_added_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        for line in ["one\n", "two\n"] {
            LogFile::open(path.clone()).unwrap().write(line);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        for wrong in [dir.path().to_owned(), dir.path().join("no/such"), "/dev/null".into()] {
            LogFile::open(wrong).unwrap_err();
        }
    }

    #[test]
    fn a_full_file_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.log");
        let file = LogFile::with_room(path.clone(), 10).unwrap();
        for _ in 0..5 {
            file.write("12345\n");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("12345\n{LAST_WORDS}"));
    }
}
