//! Hangs when the manager is dropped.

use ipa_misbehaving::*;

#[derive(Default)]
struct HangDrop;

impl Fault for HangDrop {}

impl Drop for HangDrop {
    fn drop(&mut self) {
        hang();
    }
}

export_fault! { HangDrop, name = "hang_drop" }
