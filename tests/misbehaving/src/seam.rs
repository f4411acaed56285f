//! A plugin below the SDK: it speaks the seam itself, so its replies may be anything.

use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RSlice, RVec};
use ipa_plugin_api::abi::module::{AbiReply, Created, HostTable, PluginModule, PluginModule_Ref};
use ipa_plugin_api::reply::{ABSENT, VALUE};
use ipa_plugin_api::spec::{ManifestSpec, StepSpec};

/// A plugin as two functions from names to reply code and body. It keeps no state.
pub trait Seam: 'static {
    /// What its note says.
    const SPEC: ManifestSpec;

    /// The reply to `evaluate`: support 3 unless overridden.
    fn evaluate() -> (u32, Vec<u8>) {
        (VALUE, b"3".to_vec())
    }

    /// The reply to a method.
    fn call(method: &str) -> (u32, Vec<u8>) {
        let _ = method;
        (ABSENT, b"{}".to_vec())
    }
}

/// The library header of a [`Seam`], for its entry symbol.
pub const fn header<S: Seam>() -> LibHeader {
    // SAFETY: `construct` returns a `PluginModule_Ref`, erased by abi_stable itself.
    unsafe { LibHeader::from_constructor::<PluginModule_Ref>(construct::<S>, CheckTypeLayout::Yes) }
}

extern "C" fn construct<S: Seam>() -> RootModuleResult {
    __call_root_module_loader(module::<S>)
}

fn module<S: Seam>() -> PluginModule_Ref {
    PluginModule { manifest: manifest::<S>, create, evaluate: evaluate::<S>, call: call::<S>, destroy }
        .leak_into_prefix()
}

extern "C" fn manifest<S: Seam>() -> RVec<u8> {
    serde_json::to_vec(&S::SPEC.to_manifest()).expect("a manifest is JSON").into()
}

extern "C" fn create(_host: HostTable, _config: RSlice<'_, u8>) -> Created {
    Created { handle: 1, reply: reply((VALUE, b"null".to_vec())) }
}

extern "C" fn evaluate<S: Seam>(_handle: usize, _call: u64) -> AbiReply {
    reply(S::evaluate())
}

extern "C" fn call<S: Seam>(_handle: usize, _call: u64, method: RSlice<'_, u8>, _args: RSlice<'_, u8>) -> AbiReply {
    reply(S::call(&String::from_utf8_lossy(method.as_slice())))
}

extern "C" fn destroy(_handle: usize) -> AbiReply {
    reply((VALUE, b"null".to_vec()))
}

fn reply((code, body): (u32, Vec<u8>)) -> AbiReply {
    AbiReply { code, body: body.into() }
}

const STEPS: &[StepSpec] = &[StepSpec::new("misbehave").priority(10)];

/// The manifest of a plugin with the clean step `misbehave`.
pub const fn spec(name: &'static str) -> ManifestSpec {
    ManifestSpec {
        name,
        class_name: name,
        version: "1.0.0",
        panic: "unwind",
        methods: &[],
        dynamic: false,
        clean_steps: STEPS,
        deploy_steps: &[],
        service_steps: &[],
        tools: &[],
    }
}

/// Puts the note and the entry symbol of a [`Seam`] into the plugin.
#[macro_export]
macro_rules! export_seam {
    ($seam:ident, name = $name:literal, $($methods:item)*) => {
        struct $seam;

        impl $crate::Seam for $seam {
            const SPEC: $crate::ipa_plugin_api::spec::ManifestSpec = $crate::spec($name);
            $($methods)*
        }

        const ROOM: usize = $crate::ipa_plugin_api::note::padded_len(&<$seam as $crate::Seam>::SPEC);

        #[used]
        #[unsafe(link_section = ".note.ipa.plugin")]
        static NOTE: $crate::ipa_plugin_api::note::Note<ROOM> =
            $crate::ipa_plugin_api::note::Note::new(&<$seam as $crate::Seam>::SPEC);

        #[unsafe(export_name = "ipa_plugin_entry_v1")]
        pub static ENTRY: $crate::ipa_plugin_api::abi::glue::LibHeader = $crate::header::<$seam>();
    };
}
