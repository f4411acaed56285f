//! Calls a function that no library has. The linker lets it pass, the dynamic loader cannot.

use ipa_misbehaving::*;

unsafe extern "C" {
    fn acme_vendor_library_init() -> i32;
}

#[derive(Default)]
struct UndefinedSymbol;

impl Fault for UndefinedSymbol {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: never reached, the library cannot be loaded.
        Ok(json!(unsafe { acme_vendor_library_init() }))
    }
}

export_fault! { UndefinedSymbol, name = "undefined_symbol" }
