//! The plugin side: from files to managers that answer methods.
//!
//! ```text
//! sources (plugin directory, virtual media, `signed` URLs)
//!      -> scan -> trust -> sealed copy -> elf -> manifest        nothing of the file has run yet
//!      -> worker (or this process) -> evaluate -> rank -> initialize
//! method -> dispatch -> manager -> link -> worker -> .so -> reply
//! .so -> host call -> services -> dispatch | command | log ...
//! ```
//!
//! A plugin is taken for hostile by accident: it may crash, hang, flood or lie, and must harm nothing but its own call.
//! `worker` is the process it runs in, `remote` that process as the host sees it, `manager` keeps it running and
//! gives it up after its second death. What a dead manager's methods do then is decided in `dispatch`.

mod base;
pub mod check;
mod commands;
mod deadlines;
mod death;
mod dispatch;
pub mod elf;
mod explain;
mod gather;
mod host;
mod json;
mod libraries;
mod link;
mod local;
mod manager;
mod manifest;
mod options;
mod output;
mod process;
mod protocol;
mod rank;
mod refusal;
mod registry;
mod remote;
mod scan;
mod scope;
mod sealed;
mod services;
mod setup;
pub(crate) mod signed;
mod source;
mod spare;
mod status;
mod strays;
mod surface;
mod text;
mod trust;
mod vet;
mod worker;

pub use explain::{Asked, Explanation, Skipped};
pub use options::{Deadlines, Isolation, Limits, Options};
pub use refusal::Refusal;
pub use registry::Registry;
pub use signed::fetch::{Fetching, fetch};
pub use source::{PluginFile, Source};
pub use spare::Spare;
pub use status::{LeftOut, Row, Status};
pub use worker::worker_main;
