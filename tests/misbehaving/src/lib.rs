//! What the misbehaving plugins share: the shape of a plugin, so that each file shows its fault and little else.
//!
//! * [`Fault`] and [`export_fault!`]: a manager whose clean step [`misbehave`](Fault::misbehave) goes wrong.
//! * [`Seam`] and [`export_seam!`]: a plugin that writes its replies byte by byte, below what the SDK lets pass.
//! * `examples/puppet.rs` is no fault: it is the well-behaved manager that tests steer by configuration.

mod seam;

pub use ipa_plugin_api::prelude::*;
pub use ipa_plugin_api::reply;
pub use seam::{Seam, header, spec};

#[doc(hidden)]
pub use {ipa_plugin_api, libc, serde_json};

/// A manager of support 3 with one clean step, `misbehave`. Everything goes well until a method is overridden.
pub trait Fault: Default + Send + Sync + 'static {
    /// Support value.
    fn evaluate(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        Ok(Support::SERVICE_PROVIDER)
    }

    /// Preparation of the hardware.
    fn initialize(&self, _cx: &Cx<'_>) -> HwResult<()> {
        Ok(())
    }

    /// The clean step.
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        Ok(Value::Null)
    }
}

/// Makes a plugin of a [`Fault`].
#[macro_export]
macro_rules! export_fault {
    ($fault:ident, name = $name:literal) => {
        impl $crate::HardwareManager for $fault {
            fn new(_config: &$crate::Value) -> $crate::HwResult<Self> {
                Ok(<Self as Default>::default())
            }

            fn evaluate_hardware_support(&self, cx: &$crate::Cx<'_>) -> $crate::HwResult<$crate::Support> {
                $crate::Fault::evaluate(self, cx)
            }

            fn initialize(&self, cx: &$crate::Cx<'_>) -> $crate::HwResult<()> {
                $crate::Fault::initialize(self, cx)
            }
        }

        impl $fault {
            fn run_step(&self, cx: &$crate::Cx<'_>, _args: $crate::NoArgs) -> $crate::HwResult<$crate::Value> {
                $crate::Fault::misbehave(self, cx)
            }
        }

        $crate::ipa_plugin_api::export_manager! { $fault, name = $name, version = "1.0.0", methods { initialize }
        clean_steps { misbehave => $fault::run_step, priority = 10, abortable = true } }
    };
}

/// Blocks the calling thread for good, without using the processor.
pub fn hang() -> ! {
    loop {
        std::thread::park();
    }
}
