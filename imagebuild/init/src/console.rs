//! The consoles, and the log that goes to all of them.
//!
//! A serial console may be slow, hang on flow control, or not be there yet. It is written without waiting: what it does
//! not take is kept for a while, then left out, and the others never notice. One that comes later is told what was said
//! before, as far as it is remembered.

use std::collections::VecDeque;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};

use crate::kernel_line::KernelLine;
use crate::log_file::LogFile;

/// What is kept for a console that is slower than the log, in bytes.
const BACKLOG: usize = 256 * 1024;
/// What is remembered for consoles that come later, in bytes. A serial line takes some seconds for it.
const HISTORY: usize = 64 * 1024;
/// Most consoles that are written to.
pub const MOST: usize = 8;

/// Time since the machine started.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}

/// Names of the consoles, such as `ttyS0`: those of the kernel line, or else those that the kernel chose.
pub fn names(line: &KernelLine, active: &str) -> Vec<String> {
    let given = line.all("console").filter_map(|word| word.split(',').next());
    let mut names: Vec<String> = Vec::new();
    for name in given.chain(active.split_whitespace()) {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if plain && name != "null" && names.len() < MOST && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        names.push("console".to_owned());
    }
    names
}

#[derive(Debug)]
struct Console {
    path: PathBuf,
    file: Option<File>,
    backlog: VecDeque<u8>,
    left_out: usize,
    /// True once it took something: then it was told what had been said before.
    has_written: bool,
}

impl Console {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, backlog: VecDeque::new(), left_out: 0, has_written: false }
    }

    /// Tries to open it.
    fn open(&mut self, history: &VecDeque<u8>) {
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().try_into().unwrap_or_default();
        self.file = OpenOptions::new().write(true).custom_flags(flags).open(&self.path).ok();
        if self.file.is_some() && !self.has_written {
            self.backlog.extend(history);
            self.flush();
        }
    }

    fn write(&mut self, line: &[u8]) {
        if self.file.is_none() {
            return;
        }
        if self.backlog.len() + line.len() > BACKLOG {
            self.left_out += 1;
            return;
        }
        if self.left_out > 0 {
            let note = format!("[{} lines were left out, this console is too slow for them]\n", self.left_out);
            self.backlog.extend(note.as_bytes());
            self.left_out = 0;
        }
        self.backlog.extend(line);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(file) = self.file.as_mut().filter(|_| !self.backlog.is_empty()) {
            match file.write(self.backlog.as_slices().0) {
                Ok(written) if written > 0 => {
                    self.has_written = true;
                    self.backlog.drain(..written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => {
                    // It is gone, for example with its USB adapter; it is opened anew when it comes back.
                    self.file = None;
                    self.backlog = VecDeque::new();
                }
            }
        }
    }
}

/// The log: every line goes to all consoles and to a file.
#[derive(Debug)]
pub struct Log {
    consoles: Vec<Console>,
    file: LogFile,
    /// The lines that were shown last.
    history: VecDeque<u8>,
}

impl Log {
    /// A log that is kept in a file, and has no console yet.
    pub fn new(file: &Path) -> Self {
        Self { consoles: Vec::new(), file: LogFile::new(file), history: VecDeque::new() }
    }

    /// Has these devices written to as well, from the next [`Self::reopen`] after they are there.
    pub fn add(&mut self, devices: impl IntoIterator<Item = PathBuf>) {
        for path in devices {
            if !self.consoles.iter().any(|known| known.path == path) {
                self.consoles.push(Console::new(path));
            }
        }
    }

    /// Opens those that could not be before. Returns those that are now.
    pub fn reopen(&mut self) -> Vec<&Path> {
        let mut opened = Vec::new();
        for console in self.consoles.iter_mut().filter(|console| console.file.is_none()) {
            console.open(&self.history);
            if console.file.is_some() {
                opened.push(console.path.as_path());
            }
        }
        opened
    }

    /// True if there is a device that cannot be written to: it may be about to come, or have nothing behind it.
    pub fn is_kept_waiting(&self) -> bool {
        self.consoles.iter().any(|console| console.file.is_none() && console.path.exists())
    }

    /// Logs a line of our own, with the time since the machine started.
    pub fn say(&mut self, text: impl Display) {
        let line = format!("[{:12.6}] ipa-init: {text}\n", uptime().as_secs_f64());
        self.file.write(line.as_bytes());
        self.show(line.as_bytes());
    }

    /// Shows a line of somebody else, with its line feed.
    pub fn show(&mut self, line: &[u8]) {
        self.remember(line);
        for console in &mut self.consoles {
            console.write(line);
        }
    }

    fn remember(&mut self, line: &[u8]) {
        self.history.extend(line);
        if let Some(over) = self.history.len().checked_sub(HISTORY) {
            // Whole lines.
            let end = self.history.iter().skip(over).position(|byte| *byte == b'\n');
            self.history.drain(..end.map_or(over, |end| over + end + 1));
        }
    }

    /// The consoles that have something left to write.
    pub fn waiting(&self) -> impl Iterator<Item = impl AsFd> {
        self.consoles.iter().filter(|console| !console.backlog.is_empty()).filter_map(|console| console.file.as_ref())
    }

    /// Writes what is left as far as the consoles take it.
    pub fn flush(&mut self) {
        self.consoles.iter_mut().for_each(Console::flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_of_the_kernel_line_and_of_the_kernel() {
        let line = KernelLine::parse("console=tty0 console=ttyS1,115200n8 console=../../dev/sda console= console=null");
        assert_eq!(names(&line, "tty0 ttyS0\n"), ["tty0", "ttyS1", "ttyS0"]);
        assert_eq!(names(&KernelLine::default(), ""), ["console"]);
        let many: String = (0..100).map(|n| format!("console=ttyS{n} ")).collect();
        assert_eq!(names(&KernelLine::parse(&many), "").len(), MOST);
    }

    #[test]
    fn a_console_that_comes_later_is_told_what_was_said() {
        let directory = tempfile::tempdir().unwrap();
        let late = directory.path().join("late");
        let mut log = Log::new(&directory.path().join("log"));
        log.add([late.clone()]);
        for n in 0..20_000 {
            log.say(format_args!("line {n}"));
        }
        assert!(log.reopen().is_empty() && log.history.len() <= HISTORY);
        File::create(&late).unwrap();
        assert_eq!(log.reopen(), [late.as_path()]);
        log.say("line 20000");
        let text = std::fs::read_to_string(&late).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(numbers.len() > 1000 && text.starts_with('['), "{} lines", numbers.len());
        assert_eq!(numbers, (20_001 - numbers.len()..=20_000).collect::<Vec<_>>());
        // It is told once, though it be opened again.
        log.consoles[0].file = None;
        log.reopen();
        log.say("line 20001");
        let text = std::fs::read_to_string(&late).unwrap();
        assert!(text.lines().next().unwrap().ends_with("line 20001"), "a file is written from its start");
    }

    #[test]
    fn a_console_that_hangs_or_is_missing_holds_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let (hanging, plain) = (directory.path().join("hanging"), directory.path().join("plain"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &hanging, rustix::fs::Mode::RWXU).unwrap();
        // Opened and never read, as a terminal whose flow control says stop.
        let _reader = OpenOptions::new().read(true).write(true).open(&hanging).unwrap();
        File::create(&plain).unwrap();
        let mut log = Log::new(&directory.path().join("log"));
        log.add([hanging, directory.path().join("missing"), plain.clone()]);
        assert_eq!(log.reopen().len(), 2);
        for n in 0..20_000 {
            log.say(format_args!("line {n}"));
        }
        assert_eq!(log.waiting().count(), 1);
        assert!(log.consoles[0].backlog.len() <= BACKLOG && log.consoles[0].left_out > 0);
        assert_eq!(std::fs::read_to_string(plain).unwrap().lines().count(), 20_000);
    }
}
