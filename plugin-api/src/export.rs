//! What a manager's type must tell to become a plugin, and the macro that tells it.

use serde_json::Value;

use crate::context::Cx;
use crate::error::{HwError, HwResult};
use crate::handlers::{MethodEntry, decode, encode};
use crate::manager::{HardwareManager, Support};
use crate::routing;
use crate::services::HostServices;
use crate::spec::ManifestSpec;

/// A manager with its manifest and its methods; implemented by [`export_manager!`](crate::export_manager).
pub trait Export: HardwareManager {
    /// What it says about itself.
    const SPEC: ManifestSpec;
    /// Its steps and further methods.
    const METHODS: &'static [MethodEntry<Self>];
}

/// Ranks a manager: the way of `evaluate` through the seam, without the seam.
pub fn evaluate<M: Export>(manager: &M, services: &dyn HostServices, call: u64) -> HwResult<Vec<u8>> {
    let Support(support) = manager.evaluate_hardware_support(&Cx::new(services, call, &M::SPEC))?;
    encode(&support)
}

/// Calls a method by name: a step or further method first, then a method of the trait, then a dynamic one.
pub fn call<M: Export>(
    manager: &M,
    services: &dyn HostServices,
    call: u64,
    method: &str,
    args: &str,
) -> HwResult<Vec<u8>> {
    let cx = Cx::new(services, call, &M::SPEC);
    if let Some(entry) = M::METHODS.iter().find(|entry| entry.name == method) {
        return (entry.run)(manager, &cx, args);
    }
    if let Some(result) = routing::call_base(manager, &cx, method, args) {
        return result;
    }
    if M::SPEC.dynamic {
        let args: Value = decode(args)?;
        return encode(&manager.call_dynamic(&cx, method, args)?);
    }
    Err(HwError::absent(method))
}

/// Makes a plugin of a [`HardwareManager`]: writes the manifest note, the entry symbol and the method table.
///
/// ```
/// # use ipa_plugin_api::prelude::*;
/// # struct Acme;
/// # impl HardwareManager for Acme {
/// #     fn new(_config: &Value) -> HwResult<Self> { Ok(Acme) }
/// #     fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> { Ok(Support::MAINLINE) }
/// #     fn get_bmc_mac(&self, _cx: &Cx) -> HwResult<Option<String>> { Ok(None) }
/// # }
/// # impl Acme {
/// #     fn licence(&self, _cx: &Cx, _args: NoArgs) -> HwResult<String> { Ok("none".into()) }
/// #     fn update(&self, _cx: &Cx, _args: NoArgs) -> HwResult<()> { Ok(()) }
/// # }
/// export_manager! {
///     Acme, name = "acme", version = "2.1.0",   // version goes into Ironic's version check
///     class_name = "AcmeHardwareManager",       // optional: key of the step lists, the type's name otherwise
///     tools = ["acmectl"],                      // optional: programs that `plugins check` looks for
///     dynamic = false,                          // optional: true if `call_dynamic` is implemented
///     methods {
///         get_bmc_mac,                          // a method of the trait that it implements
///         acme_licence => Acme::licence,        // a method of its own, for others to dispatch to
///     }
///     clean_steps {
///         acme_update => Acme::update, priority = 0, reboot_requested = true, deadline_s = 1800,
///             args = &[ArgSpec::required("url", "Where the firmware is (https)")];
///     }
///     deploy_steps { }
///     service_steps { acme_update => Acme::update, abortable = false; }
/// }
/// ```
///
/// Every section after `version` may be left out. The keys of a step are the builder methods of
/// [`StepSpec`](crate::spec::StepSpec).
#[macro_export]
macro_rules! export_manager {
    (
        $manager:ident, name = $name:expr, version = $version:expr,
        $(class_name = $class_name:expr,)? $(tools = [$($tool:expr),* $(,)?],)? $(dynamic = $dynamic:expr,)?
        $(methods { $($method:ident $(=> $method_fn:expr)?),* $(,)? })?
        $(clean_steps { $($clean:ident => $clean_fn:expr $(, $clean_key:ident = $clean_value:expr)*);* $(;)? })?
        $(deploy_steps { $($deploy:ident => $deploy_fn:expr $(, $deploy_key:ident = $deploy_value:expr)*);* $(;)? })?
        $(service_steps { $($service:ident => $service_fn:expr $(, $service_key:ident = $service_value:expr)*);* $(;)? })?
    ) => {
        impl $crate::export::Export for $manager {
            const SPEC: $crate::spec::ManifestSpec = $crate::spec::ManifestSpec {
                name: $name,
                class_name: $crate::__first!($($class_name,)? stringify!($manager)),
                version: $version,
                panic: if cfg!(panic = "abort") { "abort" } else { "unwind" },
                methods: &[$($(stringify!($method)),*)?],
                dynamic: $crate::__first!($($dynamic,)? false),
                clean_steps: &[$($(
                    $crate::spec::StepSpec::new(stringify!($clean))$(.$clean_key(const { $clean_value }))*
                ),*)?],
                deploy_steps: &[$($(
                    $crate::spec::StepSpec::new(stringify!($deploy))$(.$deploy_key(const { $deploy_value }))*
                ),*)?],
                service_steps: &[$($(
                    $crate::spec::StepSpec::new(stringify!($service))$(.$service_key(const { $service_value }))*
                ),*)?],
                tools: &[$($($tool),*)?],
            };
            const METHODS: &'static [$crate::handlers::MethodEntry<Self>] = &[
                $($($( $crate::__entry!($method => $method_fn), )?)*)?
                $($( $crate::__entry!($clean => $clean_fn), )*)?
                $($( $crate::__entry!($deploy => $deploy_fn), )*)?
                $($( $crate::__entry!($service => $service_fn), )*)?
            ];
        }
        const _: () = {
            $($( $crate::__must_be_known!($method $(=> $method_fn)?); )*)?
            const SPEC: $crate::spec::ManifestSpec = <$manager as $crate::export::Export>::SPEC;
            const ROOM: usize = $crate::note::padded_len(&SPEC);
            $crate::__emit_symbols!($manager, ROOM, SPEC);
        };
    };
}

/// The first of one or two expressions.
#[doc(hidden)]
#[macro_export]
macro_rules! __first {
    ($first:expr $(, $rest:expr)*) => {
        $first
    };
}

/// A line of the method table.
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    ($name:ident => $handler:expr) => {
        $crate::handlers::MethodEntry {
            name: stringify!($name),
            run: |manager, cx, args| $crate::handlers::invoke($handler, manager, cx, args),
        }
    };
}

/// A method without a handler must be one of the trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __must_be_known {
    ($method:ident => $handler:expr) => {};
    ($method:ident) => {
        const _: () = assert!(
            $crate::routing::is_base_method(stringify!($method)),
            concat!("HardwareManager has no method ", stringify!($method), "; give one: name => handler")
        );
    };
}
