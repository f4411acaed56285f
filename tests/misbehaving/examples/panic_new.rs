//! Panics while the manager is made.

use ipa_misbehaving::*;

struct PanicNew;

impl HardwareManager for PanicNew {
    fn new(_config: &Value) -> HwResult<Self> {
        panic!("the table has no row 12")
    }

    fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> {
        Ok(Support::SERVICE_PROVIDER)
    }
}

export_manager! { PanicNew, name = "panic_new", version = "1.0.0", }
