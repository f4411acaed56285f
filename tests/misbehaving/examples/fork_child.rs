//! Forks in a step. The child lives on and holds all descriptors; the parent answers as if nothing were.

use ipa_misbehaving::*;

#[derive(Default)]
struct ForkChild;

impl Fault for ForkChild {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: the child calls only `pause`, which is safe after a fork.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: see above.
                unsafe { libc::pause() };
            },
            -1 => Err(std::io::Error::last_os_error().into()),
            child => Ok(json!({"child": child})),
        }
    }
}

export_fault! { ForkChild, name = "fork_child" }
