//! The serial console, line by line.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use ipa_imagebuild::failure::{Doing, Outcome};

use crate::feed::{Feed, Missed};

/// Longest line that is kept, in bytes; the rest of a longer one is dropped.
const LINE: usize = 4096;
/// What is written to the file at most, in bytes: a guest may print for ever.
const FILE: usize = 16 * 1024 * 1024;
/// How many lines errors show.
const SHOWN: usize = 25;
/// What Linux prints when it gives up.
const PANIC: &str = "Kernel panic - not syncing";

/// What the firmware, the kernel and programs have printed.
#[derive(Debug)]
pub struct Console {
    lines: Arc<Feed<String>>,
    file: PathBuf,
}

/// Why a line was not found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    Missed(Missed),
    /// The kernel gave up first.
    Panic(String),
}

impl Console {
    /// Reads until the other side is gone, and writes all of it to a new file.
    pub(crate) fn read(stream: UnixStream, path: &Path) -> Outcome<Self> {
        let file = File::create(path).doing(format_args!("making {}", path.display()))?;
        let lines = Arc::new(Feed::new());
        let feed = lines.clone();
        thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || {
                copy(stream, file, &feed);
                feed.close();
            })
            .doing("starting a thread for the console")?;
        Ok(Self { lines, file: path.to_owned() })
    }

    /// All that is kept of it, as text.
    pub fn text(&self) -> String {
        self.lines.since(0).join("\n")
    }

    /// The file with all that was printed, up to 16 MiB.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The first line that has all these words, printed already or until then.
    pub(crate) fn line(&self, words: &[&str], end: Instant) -> Result<String, NoLine> {
        let pick = |line: &String| {
            if words.iter().all(|word| line.contains(word)) {
                Some(Ok(line.clone()))
            } else if line.contains(PANIC) {
                Some(Err(NoLine::Panic(line.clone())))
            } else {
                None
            }
        };
        self.lines.find(0, end, pick).map_err(NoLine::Missed).flatten()
    }

    /// The last lines, for an error.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines.last(SHOWN);
        if lines.is_empty() { "(nothing was printed)".to_owned() } else { lines.join("\n") }
    }
}

fn copy(mut stream: UnixStream, mut file: File, lines: &Feed<String>) {
    let mut line = Line::default();
    let mut room = FILE;
    let mut buffer = [0; 4096];
    loop {
        let read = match stream.read(&mut buffer) {
            // QEMU has ended, or was killed.
            Ok(0) | Err(_) => return,
            Ok(read) => &buffer[..read],
        };
        let written = &read[..read.len().min(room)];
        room -= written.len();
        // The file is for people; without it the lines are still there.
        let _ = file.write_all(written);
        for byte in read {
            if let Some(text) = line.take(*byte) {
                lines.push(text);
            }
        }
    }
}

/// A line in the making. Firmware moves the cursor about and clears the screen, which is left out.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    escape: Escape,
}

#[derive(Debug, Default, Clone, Copy)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Begun,
    /// After ESC and `[`, until a letter.
    Sequence,
}

impl Line {
    /// Adds a byte; the line, if it ends with it.
    fn take(&mut self, byte: u8) -> Option<String> {
        match (self.escape, byte) {
            (Escape::Begun, b'[') => self.escape = Escape::Sequence,
            (Escape::Begun, _) | (Escape::Sequence, b'@'..=b'~') => self.escape = Escape::None,
            (Escape::Sequence, b' '..=b'?') => {}
            (_, 0x1b) => self.escape = Escape::Begun,
            (_, b'\n') => {
                self.escape = Escape::None;
                let line = String::from_utf8_lossy(&self.bytes).trim_end().to_owned();
                self.bytes.clear();
                return Some(line);
            }
            (_, byte) => {
                self.escape = Escape::None;
                if (byte >= b' ' || byte == b'\t') && self.bytes.len() < LINE {
                    self.bytes.push(byte);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<String> {
        let mut line = Line::default();
        text.iter().filter_map(|byte| line.take(*byte)).collect()
    }

    #[test]
    fn lines_are_readable() {
        let text = b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (1.16)\r\n\x1b[1;31mred\x1b[0m \xff\x07!\r\n\n";
        assert_eq!(lines(text), ["SeaBIOS (1.16)", "red \u{fffd}!", ""]);
    }

    #[test]
    fn an_escape_that_does_not_end_costs_one_line() {
        assert_eq!(lines(b"a\x1b[12\nb\n"), ["a", "b"]);
    }

    #[test]
    fn a_long_line_is_cut() {
        let mut text = vec![b'x'; LINE * 3];
        text.push(b'\n');
        assert_eq!(lines(&text)[0].len(), LINE);
    }

    #[test]
    fn a_panic_of_the_kernel_ends_the_wait() {
        let lines = Arc::new(Feed::new());
        lines.push("[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs".to_owned());
        lines.push("late".to_owned());
        let console = Console { lines, file: PathBuf::new() };
        assert_eq!(console.line(&["VFS", "mount"], Instant::now()).map_err(|_| ()).map(|line| line.len()), Ok(66));
        assert!(matches!(console.line(&["late"], Instant::now()), Err(NoLine::Panic(_))));
    }
}
