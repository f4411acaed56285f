//! Builds the ramdisk: a kernel, and an archive with the agent, the tools that it starts and the modules that find disks
//! and networks.
//!
//! All but the agent's own programs comes from Debian packages, picked file by file. Which files, packages and modules
//! those are stands, with the reason for each, in `imagebuild/ramdisk/tools.toml` and `modules.toml`; `root/` beside them
//! is copied as it is. What the picked programs need to be loaded is found by reading them. [`build`] does it all.

mod boot_files;
mod build;
mod firmware;
mod libraries;
mod modules;
mod options;
mod report;
mod segment;
mod settings;
mod tools;
mod tree;
mod uki;

pub use build::build;
pub use options::{Firmware, Options, Programs};
pub use report::Report;
pub use segment::segment;
pub use tree::{Content, Entry, Tree};
pub use uki::Uki;
