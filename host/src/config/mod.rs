//! What the agent was told, by whom, and who has the last word.
//!
//! ```text
//! Ironic's answer to a lookup > command line > environment > files > virtual media > kernel line > default
//! ```
//!
//! Parameters of the kernel line only replace defaults, as upstream has it; `ipa-debug` alone is above the command line.
//!
//! * [`options`]: the table of all options. [`Config`]: their values, with where each came from.
//! * [`Sources`]: all that was said, and the decision. [`ini`], [`files`], [`environment`], [`kernel_line`]: who says it.

pub mod boolean;
pub mod deadline;
mod effective;
pub mod environment;
mod error;
pub mod files;
mod from_lookup;
mod from_mdns;
mod gather;
pub mod ini;
pub mod kernel_line;
mod names;
pub mod options;
mod resolve;
pub mod spec;
mod substitute;
mod unknown;
mod value;

pub use self::effective::{BadValue, Config, HIDDEN, Origin, Setting};
pub use self::error::ConfigError;
pub use self::files::{Files, Place};
pub use self::from_mdns::MdnsOverrides;
pub use self::resolve::{Flag, Sources};
pub use self::value::Value as OptionValue;
