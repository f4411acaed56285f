//! The log: one readable line a record on standard error, and the newest lines in memory for log collection.
//!
//! ```text
//! 2026-11-24T08:30:00.123Z INFO step completed step=erase_devices result="{\"a\": 1}"
//! ```
//!
//! What tools, plugins and the network send ends up here, so no text can forge a line or reach a terminal as a control
//! sequence, and tokens and passwords are masked.

mod drain;
mod line;
mod mask;
mod ring;

use std::io::Write;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use slog::{Level, Logger, o};

pub use mask::mask_secrets;
pub use ring::Ring;

/// The logger of the process and its controls.
#[derive(Debug, Clone)]
pub struct Logging {
    log: Logger,
    ring: Arc<Ring>,
    level: Arc<AtomicUsize>,
}

impl Logging {
    /// Logs to standard error.
    pub fn to_stderr(debug: bool) -> Self {
        Self::to(std::io::stderr, debug)
    }

    /// Logs to whatever `open` gives for each line.
    pub fn to<W, F>(open: F, debug: bool) -> Self
    where
        W: Write,
        F: Fn() -> W + Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
    {
        let ring = Arc::new(Ring::default());
        let level = Arc::new(AtomicUsize::new(0));
        let drain = drain::LineDrain::new(open, ring.clone(), level.clone());
        let logging = Self { log: Logger::root(drain, o!()), ring, level };
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
