//! Writes to address 8 in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct Segfault;

impl Fault for Segfault {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: none; this is the fault.
        unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
        Ok(Value::Null)
    }
}

export_fault! { Segfault, name = "segfault" }
