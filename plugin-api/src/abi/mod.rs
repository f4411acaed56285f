//! The seam between host and plugin, frozen for major version 1. Only this module names `abi_stable`.
//!
//! Integers and byte strings cross it, nothing else: no Rust type, no allocator's memory but that of `RVec`, which
//! carries its own way to be freed, and no unwinding. Growth is a new method name or a new JSON key; the prefix module
//! may get further fields at its end, which neither side needs.
//!
//! * [`module`]: the types that both sides share.
//! * [`glue`]: the plugin's side; [`export_manager!`](crate::export_manager) instantiates it for a manager.
//! * [`loader`]: the host's side (feature `host`), for plugins in Rust and for those with the C entry.

// The derives of abi_stable are older than these lints.
#![allow(unsafe_code, non_local_definitions, non_camel_case_types, missing_debug_implementations)]

#[cfg(feature = "host")]
mod c;
pub mod glue;
#[cfg(feature = "host")]
pub mod loader;
pub mod module;

/// Name of the symbol that a plugin exports: an `abi_stable` library header for [`module::PluginModule`].
pub const ENTRY_SYMBOL: &str = "ipa_plugin_entry_v1";
/// Name of the symbol that a plugin in C exports instead: a `struct ipa_plugin` of `include/ipa_plugin.h`.
pub const C_ENTRY_SYMBOL: &str = "ipa_plugin_c1";
/// A plugin has one of these symbols.
pub const ENTRY_SYMBOLS: [&str; 2] = [ENTRY_SYMBOL, C_ENTRY_SYMBOL];
