//! Hangs while it prepares the hardware.

use ipa_misbehaving::*;

#[derive(Default)]
struct HangInitialize;

impl Fault for HangInitialize {
    fn initialize(&self, _cx: &Cx<'_>) -> HwResult<()> {
        hang()
    }
}

export_fault! { HangInitialize, name = "hang_initialize" }
