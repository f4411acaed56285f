//! A log file that cannot fill the memory it lies in: when it is full it is set aside once, and begun anew.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Size at which a file is set aside, in bytes. Two of them are there at most.
const LIMIT: u64 = 2 << 20;

/// A bounded log file. Errors are swallowed: there is nobody to tell them to, and the log goes on elsewhere.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    limit: u64,
}

impl LogFile {
    /// The log at `path`; it is made with the first line.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, size: 0, limit: LIMIT }
    }

    /// Appends a line, and before that sets the file aside as `NAME.1` if it is full.
    pub fn write(&mut self, line: &[u8]) {
        if self.size >= self.limit {
            let _ = fs::rename(&self.path, self.path.with_added_extension("1"));
            self.file = None;
        }
        if self.file.is_none() {
            if let Some(directory) = self.path.parent() {
                let _ = fs::create_dir_all(directory);
            }
            self.file = OpenOptions::new().append(true).create(true).open(&self.path).ok();
            self.size = self.file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        }
        if let Some(file) = &mut self.file {
            let _ = file.write_all(line);
            self.size += line.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_set_aside_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log/agent.log");
        let mut log = LogFile { limit: 100, ..LogFile::new(&path) };
        for n in 0..100 {
            log.write(format!("line {n:04}\n").as_bytes());
        }
        let sizes: Vec<u64> = ["agent.log", "agent.log.1"]
            .map(|name| fs::metadata(directory.path().join("log").join(name)).unwrap().len())
            .into();
        assert_eq!(sizes, [100, 100]);
        assert_eq!(fs::read_dir(directory.path().join("log")).unwrap().count(), 2);
        assert!(fs::read_to_string(path).unwrap().ends_with("line 0099\n"));
    }
}
