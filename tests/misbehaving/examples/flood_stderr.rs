//! Writes 200,000 lines to standard error in a step.

use ipa_misbehaving::*;

#[derive(Default)]
struct FloodStderr;

impl Fault for FloodStderr {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        for line in 0..200_000 {
            eprintln!("polling register {line} of 200000, nothing to see here");
        }
        Ok(Value::Null)
    }
}

export_fault! { FloodStderr, name = "flood_stderr" }
