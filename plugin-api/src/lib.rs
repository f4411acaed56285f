//! The SDK for hardware managers of `ipa-host`, the bare-metal agent for OpenStack Ironic.
//!
//! A hardware manager is a shared library in the agent's plugin directory, `/usr/lib/ipa/plugins`. The agent asks
//! each one how well it fits the machine, ranks them, and asks the best first whenever it needs an inventory or has a
//! clean, deploy or service step to run. A manager implements just what it knows better than the generic one.
//!
//! # A complete plugin
//!
//! ```
//! use ipa_plugin_api::prelude::*;
//!
//! struct Acme;
//!
//! impl HardwareManager for Acme {
//!     fn new(_config: &Value) -> HwResult<Self> {
//!         Ok(Acme)
//!     }
//!
//!     fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> {
//!         Ok(Support::SERVICE_PROVIDER)
//!     }
//! }
//!
//! impl Acme {
//!     fn erase_cache(&self, cx: &Cx, _args: NoArgs) -> HwResult<Value> {
//!         cx.log(Level::Info, "erasing", &[("controller", &0)]);
//!         Ok(Value::Null)
//!     }
//! }
//!
//! export_manager! { Acme, name = "acme", version = "1.0.0", methods { }
//!     clean_steps { acme_erase_cache => Acme::erase_cache, priority = 40, abortable = true } }
//! ```
//!
//! With `crate-type = ["cdylib", "rlib"]` in `Cargo.toml`, `cargo build --release` makes the `.so`. Check it on any
//! machine with `ipa-host plugins check FILE`, which runs none of its code.
//!
//! # What a plugin meets
//!
//! * It runs in a process of its own. A panic is caught and reported; an abort, a crash or a hang costs the call that
//!   caused it and nothing else. Standard output and standard error become log lines.
//! * Methods run at the same time on several threads: several disks are erased at once.
//! * [`Cx`] is its way to the host: [log](Cx::log), [progress](Cx::progress), [cancellation](Cx::is_cancelled),
//!   [other managers](Cx::dispatch), [the next manager](Cx::call_next) (what `super()` is in Python),
//!   [configuration](Cx::config), [kernel parameters](Cx::kernel_params), [the node](Cx::node), [programs](Cx::run) with a
//!   deadline and live lines, [pages of web servers](Cx::http_get), and [logs for Ironic](Cx::attach_log).
//! * [`testing`] runs it without a host.
//!
//! # Versions
//!
//! This crate is versioned apart from the agent. A host speaks to every plugin of its own major version, older or
//! newer; a plugin of another major version is refused by name and version. Within a major version only integers and
//! JSON texts cross the seam, and growth is a new method name or a new key; see [`abi`].
//!
//! A plugin may be in C as well: the crate's `include/ipa_plugin.h` is the same seam as plain structures.
//!
//! The smallest supported compiler is the `rust-version` of `Cargo.toml`. Plugin and host may be built by different
//! compilers.

#![warn(missing_docs)]

pub mod abi;
pub mod command;
pub mod context;
pub mod error;
pub mod export;
pub mod handlers;
pub mod inventory;
pub mod manager;
pub mod manifest;
pub mod note;
pub mod prelude;
pub mod reply;
pub mod routing;
pub mod services;
pub mod spec;
pub mod step;
pub mod testing;

pub use context::{Cx, Level};
