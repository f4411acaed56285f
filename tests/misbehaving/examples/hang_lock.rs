//! Takes a lock in a step and waits, with it, for a method of its own that needs the lock.

use std::sync::Mutex;

use ipa_misbehaving::*;

static LOCK: Mutex<()> = Mutex::new(());

#[derive(Default)]
struct HangLock;

impl HangLock {
    fn with_lock(&self, _cx: &Cx<'_>, _args: NoArgs) -> HwResult<()> {
        drop(LOCK.lock());
        Ok(())
    }

    fn misbehave(&self, cx: &Cx<'_>, _args: NoArgs) -> HwResult<()> {
        let _held = LOCK.lock();
        cx.dispatch("hang_lock_with_lock", json!({}))
    }
}

impl HardwareManager for HangLock {
    fn new(_config: &Value) -> HwResult<Self> {
        Ok(Self)
    }

    fn evaluate_hardware_support(&self, _cx: &Cx) -> HwResult<Support> {
        Ok(Support::SERVICE_PROVIDER)
    }
}

export_manager! { HangLock, name = "hang_lock", version = "1.0.0",
methods { hang_lock_with_lock => HangLock::with_lock }
clean_steps { misbehave => HangLock::misbehave, priority = 10, abortable = true } }
