//! A manager that does nothing, for measurements. `cargo xtask bench` copies the built file under many names by
//! replacing the digits of its two names, so these must keep their width and stand nowhere else.

use ipa_plugin_api::prelude::*;

/// The manager.
#[derive(Debug)]
pub struct MeasuredPluginThatDoesNothingAtAll000;

impl HardwareManager for MeasuredPluginThatDoesNothingAtAll000 {
    fn new(_config: &Value) -> HwResult<Self> {
        Ok(Self)
    }

    fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> {
        Ok(Support::SERVICE_PROVIDER)
    }
}

impl MeasuredPluginThatDoesNothingAtAll000 {
    fn noop(&self, _cx: &Cx, _args: NoArgs) -> HwResult<Value> {
        Ok(Value::Null)
    }
}

export_manager! { MeasuredPluginThatDoesNothingAtAll000, name = "measured_plugin_that_does_nothing_at_all_000", version = "1.0.0", methods { }
clean_steps { bench_noop => MeasuredPluginThatDoesNothingAtAll000::noop, priority = 0, abortable = true } }
