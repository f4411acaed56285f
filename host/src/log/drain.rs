//! Where records go.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use slog::{Drain, Never, OwnedKVList, Record};

use super::file::LogFile;
use super::{Ring, json, line};

/// Writes every record of the level as one line, with one write, and remembers it.
pub(super) struct LineDrain<F> {
    pub(super) open: F,
    pub(super) ring: Arc<Ring>,
    pub(super) level: Arc<AtomicUsize>,
    /// True if programs read the lines, not people. What is remembered is for people.
    pub(super) json: bool,
    pub(super) file: Option<Arc<LogFile>>,
}

impl<W: Write, F: Fn() -> W + Send + Sync> Drain for LineDrain<F> {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if record.level().as_usize() <= self.level.load(Ordering::Relaxed) {
            let line = line::format(record, values);
            self.ring.push(&line);
            let line = if self.json { json::format(record, values) } else { line };
            if let Some(file) = &self.file {
                file.write(&line);
            }
            // There is nowhere to report a log that cannot be written; the ring still has the line.
            let _ = (self.open)().write_all(line.as_bytes());
        }
        Ok(())
    }

    fn is_enabled(&self, level: slog::Level) -> bool {
        level.as_usize() <= self.level.load(Ordering::Relaxed)
    }
}
