//! Panics in a thread of its own while a step waits for it.

use ipa_misbehaving::*;

#[derive(Default)]
struct PanicThread;

impl Fault for PanicThread {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        let died = std::thread::spawn(|| panic!("the poller lost its device")).join().is_err();
        Ok(json!({"poller_died": died}))
    }
}

export_fault! { PanicThread, name = "panic_thread" }
