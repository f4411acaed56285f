//! Forks in a step and dies, while the child lives on and keeps the worker's socket open.

use ipa_misbehaving::*;

#[derive(Default)]
struct ForkDie;

impl Fault for ForkDie {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: the child calls only `pause`, which is safe after a fork; `_exit` takes any status.
        unsafe {
            if libc::fork() == 0 {
                loop {
                    libc::pause();
                }
            }
            libc::_exit(9)
        }
    }
}

export_fault! { ForkDie, name = "fork_die" }
