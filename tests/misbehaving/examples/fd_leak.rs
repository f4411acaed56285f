//! Opens files in a step until no more can be opened, and never closes one.

use ipa_misbehaving::*;

#[derive(Default)]
struct FdLeak;

impl Fault for FdLeak {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        for leaked in 0..20_000 {
            match std::fs::File::open("/dev/null") {
                Ok(file) => std::mem::forget(file),
                Err(error) => return Err(HwError::other("OSError", format!("descriptor {leaked}: {error}"))),
            }
        }
        Ok(Value::Null)
    }
}

export_fault! { FdLeak, name = "fd_leak" }
