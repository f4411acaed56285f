//! The plugin's side of the seam. Nothing unwinds out of it: every function catches panics and turns them into
//! replies that say where they happened.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use abi_stable::library::LibHeader;
use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RSlice, RVec};

use super::module::{AbiReply, Created, HostTable, PluginModule, PluginModule_Ref};
use crate::error::{HwError, HwResult};
use crate::export::{self, Export};
use crate::handlers::encode;
use crate::reply::{RawReply, VALUE};
use crate::services::HostServices;

/// The library header of a manager's plugin, for its entry symbol.
pub const fn header<M: Export>() -> LibHeader {
    // SAFETY: the constructor returns a `PluginModule_Ref`, erased by abi_stable itself.
    unsafe { LibHeader::from_constructor::<PluginModule_Ref>(construct::<M>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<M: Export>() -> RootModuleResult {
    __call_root_module_loader(module::<M>)
}

fn module<M: Export>() -> PluginModule_Ref {
    PluginModule {
        manifest: manifest::<M>,
        create: create::<M>,
        evaluate: evaluate::<M>,
        call: call::<M>,
        destroy: destroy::<M>,
    }
    .leak_into_prefix()
}

/// A manager and the host it was made for: what a handle points at.
struct Slot<M> {
    manager: M,
    host: TableHost,
}

impl<M> Slot<M> {
    /// # Safety
    /// `handle` must come from `create` of the same plugin and must not have been destroyed.
    unsafe fn borrow<'a>(handle: usize) -> &'a Self {
        // SAFETY: the caller's promise; the box behind the handle is only read until `destroy`.
        unsafe { &*(handle as *const Self) }
    }
}

extern "C" fn manifest<M: Export>() -> RVec<u8> {
    guard("manifest", || encode(&M::SPEC.to_manifest())).body.into()
}

extern "C" fn create<M: Export>(host: HostTable, config: RSlice<'_, u8>) -> Created {
    remember_panics();
    let mut handle = 0;
    let reply = guard("new", || {
        let config = serde_json::from_slice(config.as_slice())?;
        let manager = M::new(&config)?;
        handle = Box::into_raw(Box::new(Slot { manager, host: TableHost(host) })) as usize;
        Ok(b"null".to_vec())
    });
    Created { handle, reply: reply.into() }
}

extern "C" fn evaluate<M: Export>(handle: usize, call: u64) -> AbiReply {
    guard("evaluate_hardware_support", || {
        // SAFETY: the host calls with a live handle of this plugin, as the seam demands.
        let slot = unsafe { Slot::<M>::borrow(handle) };
        export::evaluate(&slot.manager, &slot.host, call)
    })
    .into()
}

extern "C" fn call<M: Export>(handle: usize, call: u64, method: RSlice<'_, u8>, args: RSlice<'_, u8>) -> AbiReply {
    let method = String::from_utf8_lossy(method.as_slice());
    guard(&method, || {
        let args = str::from_utf8(args.as_slice()).map_err(|error| HwError::bad_arguments(error.to_string()))?;
        // SAFETY: the host calls with a live handle of this plugin, as the seam demands.
        let slot = unsafe { Slot::<M>::borrow(handle) };
        export::call(&slot.manager, &slot.host, call, &method, args)
    })
    .into()
}

extern "C" fn destroy<M: Export>(handle: usize) -> AbiReply {
    guard("drop", || {
        // SAFETY: the host destroys a handle once, after its last call has returned.
        drop(unsafe { Box::from_raw(handle as *mut Slot<M>) });
        Ok(b"null".to_vec())
    })
    .into()
}

/// Runs plugin code; errors and panics become replies.
fn guard(method: &str, work: impl FnOnce() -> HwResult<Vec<u8>>) -> RawReply {
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(method, panic)));
    match result {
        Ok(body) => RawReply { code: VALUE, body },
        Err(error) => {
            let (code, body) = error.to_reply();
            RawReply { code, body }
        }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the text and place of each panic, which `catch_unwind` does not tell. The plugin has a standard library of
/// its own, so this hook sees no panic but its own.
fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload_as_str().unwrap_or("a panic without a text");
            let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
            LAST_PANIC.set(Some(format!("{text}{}", place.unwrap_or_default())));
            print(info);
        }));
    });
}

fn panicked(method: &str, payload: Box<dyn Any + Send>) -> HwError {
    let text = LAST_PANIC.take().or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    // A payload may panic when it is dropped; leaking it is the lesser evil.
    std::mem::forget(payload);
    HwError::panicked(format!("{method} panicked: {}", text.as_deref().unwrap_or("a panic without a text")))
}

/// The host behind its table of functions.
struct TableHost(HostTable);

impl HostServices for TableHost {
    fn log(&self, call: u64, level: u32, message: &str, pairs: &str) {
        (self.0.log)(self.0.context, call, level, bytes(message), bytes(pairs));
    }

    fn progress(&self, call: u64, percent: u32, message: &str) {
        (self.0.progress)(self.0.context, call, percent, bytes(message));
    }

    fn is_cancelled(&self, call: u64) -> bool {
        (self.0.is_cancelled)(self.0.context, call) != 0
    }

    fn host_call(&self, call: u64, method: &str, args: &str) -> RawReply {
        (self.0.host_call)(self.0.context, call, bytes(method), bytes(args)).into()
    }
}

fn bytes(text: &str) -> RSlice<'_, u8> {
    RSlice::from_slice(text.as_bytes())
}

/// Puts the note and the entry symbol into the plugin.
#[doc(hidden)]
#[macro_export]
macro_rules! __emit_symbols {
    ($manager:ident, $room:ident, $spec:ident) => {
        #[used]
        #[unsafe(link_section = ".note.ipa.plugin")]
        static IPA_NOTE: $crate::note::Note<$room> = $crate::note::Note::new(&$spec);

        // `ENTRY_SYMBOL`; an attribute takes a literal only.
        #[unsafe(export_name = "ipa_plugin_entry_v1")]
        pub static IPA_ENTRY: $crate::abi::glue::LibHeader = $crate::abi::glue::header::<$manager>();
    };
}
