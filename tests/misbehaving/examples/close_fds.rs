//! Closes every descriptor above standard error in a step, the worker's socket among them.

use ipa_misbehaving::*;

#[derive(Default)]
struct CloseFds;

impl Fault for CloseFds {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        for fd in 3..4096 {
            // SAFETY: none; closing what others own is the fault.
            unsafe { libc::close(fd) };
        }
        Ok(Value::Null)
    }
}

export_fault! { CloseFds, name = "close_fds" }
