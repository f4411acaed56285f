//! The command engine: one asynchronous command at a time, and a history that Ironic polls.
//!
//! * A *synchronous* command is answered when it is done. It holds the dispatch lock while it works, so that a second
//!   request waits; reads of the history never do.
//! * An *asynchronous* command is answered at once as `RUNNING`; while it runs every further command is refused with
//!   409 and leaves no trace.
//! * Every command ends, whatever happens inside it: errors, panics and foreign failures all become a result that can
//!   be serialised. A foreign failure of a synchronous command is recorded as `FAILED` with a `CommandExecutionError`
//!   and answered with status 200, like any other failure (the Python agent answers 500, and from then on for every
//!   read of the list).
//! * A client that stops waiting cancels nothing.

mod engine;
mod history;
mod redact;
mod result;

pub use engine::Engine;
pub(crate) use engine::split_name;
pub use history::History;
pub use redact::Redacted;
pub use result::{Begin, Command, Status};
