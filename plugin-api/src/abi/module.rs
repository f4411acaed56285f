//! The types that both sides of the seam share.

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RSlice, RVec};

use crate::reply::RawReply;

/// A reply: a code of [`crate::reply`] and a JSON body.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiReply {
    /// The code.
    pub code: u32,
    /// The body.
    pub body: RVec<u8>,
}

impl From<RawReply> for AbiReply {
    fn from(reply: RawReply) -> Self {
        Self { code: reply.code, body: reply.body.into() }
    }
}

impl From<AbiReply> for RawReply {
    fn from(reply: AbiReply) -> Self {
        Self { code: reply.code, body: reply.body.into_vec() }
    }
}

/// What `create` gives back: a manager's handle, or 0 and the reason.
#[repr(C)]
#[derive(StableAbi)]
pub struct Created {
    /// Names the manager in later calls; 0 if there is none.
    pub handle: usize,
    /// [`crate::reply::VALUE`], or the error.
    pub reply: AbiReply,
}

/// The host's functions. `context` is the host's and goes back as the first argument of each; all may be called from
/// any thread.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct HostTable {
    /// The host's own.
    pub context: usize,
    /// See [`crate::services::HostServices::log`].
    pub log: extern "C" fn(usize, u64, u32, RSlice<'_, u8>, RSlice<'_, u8>),
    /// See [`crate::services::HostServices::progress`].
    pub progress: extern "C" fn(usize, u64, u32, RSlice<'_, u8>),
    /// See [`crate::services::HostServices::is_cancelled`]; 0 is no.
    pub is_cancelled: extern "C" fn(usize, u64) -> u32,
    /// See [`crate::services::HostServices::host_call`].
    pub host_call: extern "C" fn(usize, u64, RSlice<'_, u8>, RSlice<'_, u8>) -> AbiReply,
}

/// The plugin's functions.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModule_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// The manifest, the same JSON as in the note.
    pub manifest: extern "C" fn() -> RVec<u8>,
    /// Makes the manager from the host's functions and its configuration (JSON).
    pub create: extern "C" fn(HostTable, RSlice<'_, u8>) -> Created,
    /// Ranks: handle, call number; the value is an integer.
    pub evaluate: extern "C" fn(usize, u64) -> AbiReply,
    /// Calls: handle, call number, method, arguments (JSON object).
    pub call: extern "C" fn(usize, u64, RSlice<'_, u8>, RSlice<'_, u8>) -> AbiReply,
    /// Ends the manager; the handle is void afterwards, whatever the reply.
    #[sabi(last_prefix_field)]
    pub destroy: extern "C" fn(usize) -> AbiReply,
}

impl RootModule for PluginModule_Ref {
    abi_stable::declare_root_module_statics! {PluginModule_Ref}
    const BASE_NAME: &'static str = "ipa_plugin";
    const NAME: &'static str = "ipa_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}
