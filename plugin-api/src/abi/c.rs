//! The host's side of the C entry, `include/ipa_plugin.h`: the same calls and the same JSON over plain structures.
//!
//! A C plugin is a [`CModule`] behind the symbol [`C_ENTRY_SYMBOL`](super::C_ENTRY_SYMBOL). Both structures begin with
//! their size, so either side may be the older one.

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;

use super::loader::{LoadError, failed, shielded};
use crate::reply::{RawReply, VALUE};
use crate::services::HostServices;

/// Version of the structures.
const ABI: u32 = 1;

/// `struct ipa_reply`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Reply {
    code: u32,
    body: *mut u8,
    length: usize,
}

/// `struct ipa_host`. It is leaked, so that threads of the plugin may use it as long as they live.
#[repr(C)]
struct Host {
    size: usize,
    abi: u32,
    context: *const Arc<dyn HostServices>,
    log: extern "C" fn(Context, u64, u32, *const u8, usize, *const u8, usize),
    progress: extern "C" fn(Context, u64, u32, *const u8, usize),
    is_cancelled: extern "C" fn(Context, u64) -> u32,
    host_call: extern "C" fn(Context, u64, *const u8, usize, *const u8, usize) -> Reply,
    free_reply: extern "C" fn(Context, Reply),
}

type Context = *const Arc<dyn HostServices>;

/// `struct ipa_plugin`, as a plugin may have filled it in.
#[repr(C)]
pub(super) struct Entry {
    size: usize,
    abi: u32,
    create: Option<extern "C" fn(*const Host, *const u8, usize, *mut Reply) -> *mut c_void>,
    evaluate: Option<extern "C" fn(*mut c_void, u64) -> Reply>,
    call: Option<extern "C" fn(*mut c_void, u64, *const u8, usize, *const u8, usize) -> Reply>,
    destroy: Option<extern "C" fn(*mut c_void) -> Reply>,
    free_reply: Option<extern "C" fn(Reply)>,
}

/// The functions of a C plugin. All are there.
#[derive(Clone, Copy)]
pub(super) struct CModule {
    create: extern "C" fn(*const Host, *const u8, usize, *mut Reply) -> *mut c_void,
    evaluate: extern "C" fn(*mut c_void, u64) -> Reply,
    call: extern "C" fn(*mut c_void, u64, *const u8, usize, *const u8, usize) -> Reply,
    destroy: extern "C" fn(*mut c_void) -> Reply,
    free_reply: extern "C" fn(Reply),
}

impl CModule {
    /// Reads what a plugin's symbol points at.
    ///
    /// # Errors
    /// It is of another version, too short, or lacks a function.
    ///
    /// # Safety
    /// `entry` must be the address of a symbol of a library that stays loaded. What lies there is the plugin's word.
    pub(super) unsafe fn read(entry: *const Entry) -> Result<Self, LoadError> {
        let broken = |what: &str| LoadError::new(format!("its symbol {} {what}", super::C_ENTRY_SYMBOL));
        if entry.is_null() || !entry.is_aligned() {
            return Err(broken("is no structure"));
        }
        // SAFETY: the caller's promise; both members are at the beginning of the structure in every version of it.
        let (size, abi) = unsafe { (ptr::addr_of!((*entry).size).read(), ptr::addr_of!((*entry).abi).read()) };
        if abi != ABI {
            return Err(broken(&format!("is of version {abi}, this host knows version {ABI}")));
        }
        if size < size_of::<Entry>() {
            return Err(broken(&format!("is of {size} bytes, less than the {} of version 1", size_of::<Entry>())));
        }
        // SAFETY: the structure reaches far enough, as it says itself.
        let Entry { create, evaluate, call, destroy, free_reply, .. } = unsafe { entry.read() };
        match (create, evaluate, call, destroy, free_reply) {
            (Some(create), Some(evaluate), Some(call), Some(destroy), Some(free_reply)) => {
                Ok(Self { create, evaluate, call, destroy, free_reply })
            }
            _ => Err(broken("lacks one of create, evaluate, call, destroy and free_reply")),
        }
    }

    /// Makes the manager; its handle is never 0.
    pub(super) fn create(&self, services: Context, config: &str) -> Result<usize, RawReply> {
        let host = Box::leak(Box::new(Host {
            size: size_of::<Host>(),
            abi: ABI,
            context: services,
            log,
            progress,
            is_cancelled,
            host_call,
            free_reply,
        }));
        let mut error = Reply { code: VALUE, body: ptr::null_mut(), length: 0 };
        let manager = (self.create)(ptr::from_ref(host), config.as_ptr(), config.len(), &raw mut error);
        let reply = self.take(error);
        match (manager as usize, reply.code) {
            (0, VALUE) => Err(failed("create answered without a manager and without a reason")),
            (0, _) => Err(reply),
            (handle, _) => Ok(handle),
        }
    }

    pub(super) fn evaluate(&self, handle: usize, call: u64) -> RawReply {
        self.take((self.evaluate)(handle as *mut c_void, call))
    }

    pub(super) fn call(&self, handle: usize, call: u64, method: &str, args: &str) -> RawReply {
        let manager = handle as *mut c_void;
        self.take((self.call)(manager, call, method.as_ptr(), method.len(), args.as_ptr(), args.len()))
    }

    pub(super) fn destroy(&self, handle: usize) -> RawReply {
        self.take((self.destroy)(handle as *mut c_void))
    }

    /// Copies a reply of the plugin's and has the plugin free it.
    fn take(&self, reply: Reply) -> RawReply {
        if reply.body.is_null() {
            return RawReply { code: reply.code, body: b"null".to_vec() };
        }
        if isize::try_from(reply.length).is_err() {
            return failed(&format!("the plugin answered with {} bytes", reply.length));
        }
        // SAFETY: the plugin says that so many bytes are there; if not, only the plugin's own process dies of it.
        let body = unsafe { slice::from_raw_parts(reply.body, reply.length) }.to_vec();
        (self.free_reply)(reply);
        RawReply { code: reply.code, body }
    }
}

/// Bytes of the plugin's as text; null is none.
fn text(data: *const u8, length: usize) -> String {
    if data.is_null() || isize::try_from(length).is_err() {
        return String::new();
    }
    // SAFETY: as for the bytes of a reply.
    String::from_utf8_lossy(unsafe { slice::from_raw_parts(data, length) }).into_owned()
}

extern "C" fn log(
    context: Context,
    call: u64,
    level: u32,
    message: *const u8,
    message_length: usize,
    pairs: *const u8,
    pairs_length: usize,
) {
    let pairs = if pairs.is_null() { "{}".to_owned() } else { text(pairs, pairs_length) };
    shielded(context as usize, (), |host| host.log(call, level, &text(message, message_length), &pairs));
}

extern "C" fn progress(context: Context, call: u64, percent: u32, message: *const u8, length: usize) {
    shielded(context as usize, (), |host| host.progress(call, percent, &text(message, length)));
}

extern "C" fn is_cancelled(context: Context, call: u64) -> u32 {
    shielded(context as usize, 0, |host| u32::from(host.is_cancelled(call)))
}

extern "C" fn host_call(
    context: Context,
    call: u64,
    method: *const u8,
    method_length: usize,
    args: *const u8,
    args_length: usize,
) -> Reply {
    let (method, args) = (text(method, method_length), text(args, args_length));
    let reply =
        shielded(context as usize, failed("the host failed inside"), |host| host.host_call(call, &method, &args));
    let body = Box::leak(reply.body.into_boxed_slice());
    Reply { code: reply.code, body: body.as_mut_ptr(), length: body.len() }
}

extern "C" fn free_reply(_context: Context, reply: Reply) {
    if !reply.body.is_null() {
        // SAFETY: the plugin gives back what `host_call` leaked, once and unchanged, as the header has it.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(reply.body, reply.length)) });
    }
}
