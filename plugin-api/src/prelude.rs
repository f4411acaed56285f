//! Everything a plugin needs: `use ipa_plugin_api::prelude::*;`.

pub use serde::{Deserialize, Serialize};
pub use serde_json::{Value, json};

pub use crate::command::{Command, CommandOutput, Stream};
pub use crate::context::{Cx, Level, Page};
pub use crate::error::{ErrorKind, HwError, HwResult};
pub use crate::export_manager;
pub use crate::handlers::{NoArgs, StepArgs};
pub use crate::inventory::*;
pub use crate::manager::{HardwareManager, Support};
pub use crate::spec::ArgSpec;
pub use crate::step::{ArgInfo, Step, StepKind};
