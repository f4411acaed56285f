//! Leaves a child in a session and process group of its own, out of reach of a signal to the worker's group.

use ipa_misbehaving::*;

#[derive(Default)]
struct SetsidChild;

impl Fault for SetsidChild {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        // SAFETY: the child calls only `setsid` and `pause`, which are safe after a fork.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: see above.
                unsafe {
                    libc::setsid();
                    libc::pause();
                }
            },
            -1 => Err(std::io::Error::last_os_error().into()),
            child => Ok(json!({"child": child})),
        }
    }
}

export_fault! { SetsidChild, name = "setsid_child" }
