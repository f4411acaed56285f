//! Panics when the manager is dropped.

use ipa_misbehaving::*;

#[derive(Default)]
struct PanicDrop;

impl Fault for PanicDrop {}

impl Drop for PanicDrop {
    fn drop(&mut self) {
        panic!("the device is gone already");
    }
}

export_fault! { PanicDrop, name = "panic_drop" }
