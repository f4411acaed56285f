//! Spins in a step and never asks whether it was cancelled.

use ipa_misbehaving::*;

#[derive(Default)]
struct BusyLoop;

impl Fault for BusyLoop {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        loop {
            std::hint::spin_loop();
        }
    }
}

export_fault! { BusyLoop, name = "busy_loop" }
