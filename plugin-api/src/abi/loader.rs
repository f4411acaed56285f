//! The host's side of the seam: loads a plugin file and calls it.
//!
//! What `abi_stable` offers for this is wrong for a host of several plugins: it refuses a plugin that is older than
//! the host, lets the order of loading decide, and hands out the first library for every file. So the header of each
//! file is read here, and the layouts are compared with the older side as the interface and with fresh globals.

use std::cmp::Ordering;
use std::error::Error;
use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{CheckingGlobals, check_layout_compatibility_with_globals};
use abi_stable::library::{AbiHeaderRef, LibHeader};
use abi_stable::std_types::RSlice;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use semver::Version;

use super::c::{CModule, Entry};
use super::module::{AbiReply, HostTable, PluginModule_Ref};
use super::{C_ENTRY_SYMBOL, ENTRY_SYMBOL};
use crate::error::HwError;
use crate::reply::{RawReply, VALUE};
use crate::services::HostServices;
use crate::spec::API_VERSION;

/// Why a file is no plugin that this host can use: one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(String);

impl LoadError {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for LoadError {}

/// A loaded plugin file. It stays loaded: its threads and thread-locals may outlive any handle.
#[derive(Clone, Copy)]
pub struct Plugin {
    module: Module,
}

/// The functions of a plugin, by its language.
#[derive(Clone, Copy)]
enum Module {
    Rust(PluginModule_Ref),
    C(CModule),
}

impl Plugin {
    /// Loads a file and checks that it speaks this seam. The file's constructors run here, so only vetted files
    /// belong here, and in a process that may die of them.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        // SAFETY: loading runs the file's constructors, which is what the caller asks for.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError(format!("the dynamic loader refuses it: {}", one_line(&error))))?;
        let module = entry(&library);
        // Even what was refused stays: it may have left threads.
        std::mem::forget(library);
        Ok(Self { module: module? })
    }

    /// Makes the plugin's manager. `config` is a JSON object.
    pub fn create(&self, services: Arc<dyn HostServices>, config: &str) -> Result<Instance, RawReply> {
        // Leaked: threads of the plugin may call after the manager has gone.
        let context: &'static Arc<dyn HostServices> = Box::leak(Box::new(services));
        let handle = match self.module {
            Module::Rust(module) => create(module, context, config)?,
            Module::C(module) => module.create(context, config)?,
        };
        Ok(Instance { module: self.module, handle })
    }
}

fn create(module: PluginModule_Ref, context: &'static Arc<dyn HostServices>, config: &str) -> Result<usize, RawReply> {
    let table = HostTable {
        context: std::ptr::from_ref(context) as usize,
        log: host_log,
        progress: host_progress,
        is_cancelled: host_is_cancelled,
        host_call: host_host_call,
    };
    let created = (module.create())(table, config.as_bytes().into());
    let reply = RawReply::from(created.reply);
    match (reply.code, created.handle) {
        (VALUE, handle) if handle != 0 => Ok(handle),
        (VALUE, _) => Err(failed("create answered without a manager")),
        _ => Err(reply),
    }
}

/// The functions behind the symbol of a library.
fn entry(library: &Library) -> Result<Module, LoadError> {
    // SAFETY: only the symbol's address is taken, and looked at below as what it has to be.
    let find =
        |name: &str| unsafe { library.get::<*const c_void>(name.as_bytes()) }.ok().map(|found| found.as_raw_ptr());
    match (find(ENTRY_SYMBOL), find(C_ENTRY_SYMBOL)) {
        (Some(header), _) => rust_module(header.cast_const().cast()).map(Module::Rust),
        (None, Some(found)) => {
            // SAFETY: it is a symbol of a library that is never unloaded.
            unsafe { CModule::read(found.cast_const().cast::<Entry>()) }.map(Module::C)
        }
        (None, None) => Err(LoadError(format!(
            "it has neither the symbol {ENTRY_SYMBOL} nor {C_ENTRY_SYMBOL}; build it with export_manager! or ipa_plugin.h"
        ))),
    }
}

fn rust_module(header: *const LibHeader) -> Result<PluginModule_Ref, LoadError> {
    if header.is_null() {
        return Err(LoadError(format!("its symbol {ENTRY_SYMBOL} is null")));
    }
    // SAFETY: `AbiHeaderRef` is a transparent pointer to the first field of the never unloaded header, which begins with
    // the magic bytes that `upgrade` checks.
    let header = unsafe { std::mem::transmute::<*const LibHeader, AbiHeaderRef>(header) };
    let header = header
        .upgrade()
        .map_err(|error| LoadError(format!("it was built on another abi_stable: {}", one_line(&error))))?;
    check_layout(header)?;
    // SAFETY: the layouts were compared above.
    unsafe { header.unchecked_layout::<PluginModule_Ref>() }
        .map_err(|error| LoadError(format!("its module could not be made: {}", one_line(&error))))
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").finish_non_exhaustive()
    }
}

/// A manager of a loaded plugin. Calls may run at the same time; dropping it ends the manager, whatever it says.
pub struct Instance {
    module: Module,
    handle: usize,
}

impl Instance {
    /// Ranks the manager; the value is a JSON integer.
    pub fn evaluate(&self, call: u64) -> RawReply {
        match self.module {
            Module::Rust(module) => (module.evaluate())(self.handle, call).into(),
            Module::C(module) => module.evaluate(self.handle, call),
        }
    }

    /// Calls a method with a JSON object of arguments.
    pub fn call(&self, call: u64, method: &str, args: &str) -> RawReply {
        match self.module {
            Module::Rust(module) => {
                (module.call())(self.handle, call, method.as_bytes().into(), args.as_bytes().into()).into()
            }
            Module::C(module) => module.call(self.handle, call, method, args),
        }
    }

    /// Ends the manager and tells how that went; the value is null.
    pub fn destroy(self) -> RawReply {
        ManuallyDrop::new(self).end()
    }

    fn end(&self) -> RawReply {
        match self.module {
            Module::Rust(module) => (module.destroy())(self.handle).into(),
            Module::C(module) => module.destroy(self.handle),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn check_layout(header: &'static LibHeader) -> Result<(), LoadError> {
    let ours = <PluginModule_Ref as StableAbi>::LAYOUT;
    let theirs = header.layout().ok_or_else(|| LoadError("it carries no layout of its module".to_owned()))?;
    let plugin_version = header.version_strings().version.as_str().to_owned();
    let (older, newer) = match versions(&plugin_version)? {
        Ordering::Less => (theirs, ours),
        _ => (ours, theirs),
    };
    check_layout_compatibility_with_globals(older, newer, &CheckingGlobals::new()).map_err(|report| {
        let text = report.to_string();
        let first = text.lines().map(str::trim).find(|line| line.starts_with("Error:")).unwrap_or("layouts differ");
        LoadError(format!("its seam (plugin-api {plugin_version}) does not fit this host's ({API_VERSION}): {first}"))
    })
}

/// How the plugin's version of this crate compares with the host's; an error if the major numbers differ.
fn versions(plugin: &str) -> Result<Ordering, LoadError> {
    let parse = |text: &str| {
        Version::parse(text).map_err(|error| LoadError(format!("plugin-api version {text} is no version: {error}")))
    };
    let (plugin, host) = (parse(plugin)?, parse(API_VERSION)?);
    if plugin.major != host.major {
        return Err(LoadError(format!(
            "it was built for plugin-api {plugin}, this host speaks {}.x; build it against plugin-api {host}",
            host.major
        )));
    }
    Ok(plugin.cmp(&host))
}

/// An error and its causes as one line.
fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn failed(details: &str) -> RawReply {
    let (code, body) = HwError::command_execution(details).to_reply();
    RawReply { code, body }
}

/// Runs host code that a plugin called. A panic of the host's must not cross the seam.
pub(super) fn shielded<T>(context: usize, otherwise: T, work: impl FnOnce(&dyn HostServices) -> T) -> T {
    // SAFETY: the context is the leaked `Arc` that `create` put into the table.
    let services = unsafe { &*(context as *const Arc<dyn HostServices>) };
    catch_unwind(AssertUnwindSafe(|| work(services.as_ref()))).unwrap_or(otherwise)
}

fn text(bytes: RSlice<'_, u8>) -> String {
    String::from_utf8_lossy(bytes.as_slice()).into_owned()
}

extern "C" fn host_log(context: usize, call: u64, level: u32, message: RSlice<'_, u8>, pairs: RSlice<'_, u8>) {
    shielded(context, (), |host| host.log(call, level, &text(message), &text(pairs)));
}

extern "C" fn host_progress(context: usize, call: u64, percent: u32, message: RSlice<'_, u8>) {
    shielded(context, (), |host| host.progress(call, percent, &text(message)));
}

extern "C" fn host_is_cancelled(context: usize, call: u64) -> u32 {
    shielded(context, 0, |host| u32::from(host.is_cancelled(call)))
}

extern "C" fn host_host_call(context: usize, call: u64, method: RSlice<'_, u8>, args: RSlice<'_, u8>) -> AbiReply {
    shielded(context, failed("the host failed inside"), |host| host.host_call(call, &text(method), &text(args))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions_are_ordered_and_majors_refused() {
        assert_eq!(versions("1.9.0"), Ok(Ordering::Greater));
        assert_eq!(versions(API_VERSION), Ok(Ordering::Equal));
        let refused = versions("2.0.0").expect_err("another major");
        assert!(refused.to_string().contains("plugin-api 2.0.0, this host speaks 1.x"), "{refused}");
        assert!(versions("one").is_err());
    }
}
