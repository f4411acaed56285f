//! The log: one line a record on standard error and in a file, readable or JSON, and the newest lines in memory for log
//! collection.
//!
//! ```text
//! 2026-11-24T08:30:00.123Z INFO step completed step=erase_devices result="{\"a\": 1}"
//! ```
//!
//! What tools, plugins and the network send ends up here, so no text can forge a line or reach a terminal as a control
//! sequence, and tokens and passwords are masked.

mod drain;
mod file;
mod json;
mod line;
mod mask;
mod ring;

use std::io::Write;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use slog::{Level, Logger, o, warn};

use self::file::LogFile;

pub use mask::mask_secrets;
pub use ring::Ring;

/// The logger of the process and its controls.
#[derive(Debug, Clone)]
pub struct Logging {
    log: Logger,
    ring: Arc<Ring>,
    level: Arc<AtomicUsize>,
    file: Option<Arc<LogFile>>,
}

/// How the program logs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// True if debug records are wanted.
    pub debug: bool,
    /// True if each line is a JSON object.
    pub json: bool,
    /// A file that gets the lines as well.
    pub file: Option<PathBuf>,
}

impl Logging {
    /// Logs to standard error, and to a file if there is one. A file that cannot be opened is warned about, since a
    /// machine is of use without.
    pub fn start(options: Options) -> Self {
        let opened = options.file.map(|path| LogFile::open(path.clone()).map_err(|error| (path, error)));
        let (file, failed) = match opened {
            None => (None, None),
            Some(Ok(file)) => (Some(Arc::new(file)), None),
            Some(Err(failed)) => (None, Some(failed)),
        };
        let logging = Self::with(std::io::stderr, options.debug, options.json, file);
        if let Some((path, error)) = failed {
            warn!(logging.log(), "the log file cannot be opened, so the log is on standard error alone";
                "file" => %path.display(), "error" => %error);
        }
        logging
    }

    /// Logs to whatever `open` gives for each line.
    pub fn to<W, F>(open: F, debug: bool) -> Self
    where
        W: Write,
        F: Fn() -> W + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
    {
        Self::with(open, debug, false, None)
    }

    fn with<W, F>(open: F, debug: bool, json: bool, file: Option<Arc<LogFile>>) -> Self
    where
        W: Write,
        F: Fn() -> W + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
    {
        let ring = Arc::new(Ring::default());
        let level = Arc::new(AtomicUsize::new(0));
        let drain = drain::LineDrain { open, ring: ring.clone(), level: level.clone(), json, file: file.clone() };
        let logging = Self { log: Logger::root(drain, o!()), ring, level, file };
        logging.set_debug(debug);
        logging
    }

    /// The root logger.
    pub fn log(&self) -> &Logger {
        &self.log
    }

    /// The newest lines.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The log file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref().map(LogFile::path)
    }

    /// Switches debug records on or off, at any time.
    pub fn set_debug(&self, debug: bool) {
        let level = if debug { Level::Debug } else { Level::Info };
        self.level.store(level.as_usize(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{debug, info};

    #[test]
    fn debug_is_switched_at_run_time() {
        let logging = Logging::to(std::io::sink, false);
        debug!(logging.log(), "unseen");
        logging.set_debug(true);
        debug!(logging.log(), "seen");
        logging.set_debug(false);
        debug!(logging.log(), "unseen again");
        info!(logging.log(), "always");
        let text = logging.ring().text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("DEBUG seen\n") && text.contains("INFO always\n"), "{text}");
    }
}
