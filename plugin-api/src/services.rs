//! The host as the seam shows it: five functions over integers and strings.
//!
//! Plugin authors use [`Cx`](crate::Cx) instead. The host implements this trait for real, [`crate::testing`] implements
//! it for tests.

use crate::reply::RawReply;

/// What a plugin can ask of its host. `call` is the number of the call during which it asks.
pub trait HostServices: Send + Sync {
    /// Writes a log record. `level` counts as slog does: 0 critical, 1 error, 2 warning, 3 info, 4 debug, 5 trace;
    /// `pairs` is a JSON object of strings.
    fn log(&self, call: u64, level: u32, message: &str, pairs: &str);

    /// Reports how far the call is, in percent, and what it is doing.
    fn progress(&self, call: u64, percent: u32, message: &str);

    /// True once the call should end early.
    fn is_cancelled(&self, call: u64) -> bool;

    /// Every other service, by name, with JSON arguments and a JSON value or error as reply. Blocks until answered.
    /// A name the host does not know is answered with [`crate::reply::ABSENT`].
    fn host_call(&self, call: u64, method: &str, args: &str) -> RawReply;
}
