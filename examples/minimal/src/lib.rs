//! The smallest useful plugin: one clean step.
//!
//! `cargo build -p ipa-example-minimal` makes `libipa_example_minimal.so`; put it into the plugin directory of the
//! agent, and Ironic offers the clean step `acme_erase_cache`.

#![forbid(unsafe_code)]

use ipa_plugin_api::prelude::*;

struct Acme;

impl HardwareManager for Acme {
    fn new(_config: &Value) -> HwResult<Self> {
        Ok(Acme)
    }

    fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> {
        Ok(Support::SERVICE_PROVIDER)
    }
}

impl Acme {
    fn erase_cache(&self, cx: &Cx, _args: NoArgs) -> HwResult<Value> {
        cx.log(Level::Info, "erasing", &[("controller", &0)]);
        Ok(Value::Null)
    }
}

export_manager! { Acme, name = "acme", version = "1.0.0", methods { }
clean_steps { acme_erase_cache => Acme::erase_cache, priority = 40, abortable = true } }
