//! Debian packages as a source of files: found and fetched by apt, unpacked without being installed.
//!
//! Nothing here needs root or touches the machine's own packages, and no script of a package is run.

mod apt;
mod contents;
mod mirrors;
mod package;

pub use apt::{Apt, Package};
pub use contents::{Contents, Found, Kind};
pub use mirrors::{GIVEN, Mirrors, sources};
pub use package::Unpacked;
