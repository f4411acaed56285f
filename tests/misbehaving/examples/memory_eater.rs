//! Takes memory in a step until there is none, and touches all of it.

use ipa_misbehaving::*;

#[derive(Default)]
struct MemoryEater;

impl Fault for MemoryEater {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        let mut eaten = Vec::new();
        loop {
            eaten.push(vec![1_u8; 16 * 1024 * 1024]);
            std::hint::black_box(&eaten);
        }
    }
}

export_fault! { MemoryEater, name = "memory_eater" }
