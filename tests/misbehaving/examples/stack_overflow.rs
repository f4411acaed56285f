//! Recurses in a step until the stack is full.

use ipa_misbehaving::*;

#[derive(Default)]
struct StackOverflow;

#[allow(unconditional_recursion)]
fn descend(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    descend(depth + 1) + room[0]
}

impl Fault for StackOverflow {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        Ok(json!(descend(0)))
    }
}

export_fault! { StackOverflow, name = "stack_overflow" }
