//! Writes 64 MiB to standard output in a step, without one end of line.

use ipa_misbehaving::*;

#[derive(Default)]
struct FloodStdout;

impl Fault for FloodStdout {
    fn misbehave(&self, _cx: &Cx<'_>) -> HwResult<Value> {
        use std::io::Write;
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..64 {
            std::io::stdout().write_all(&block)?;
        }
        std::io::stdout().flush()?;
        Ok(Value::Null)
    }
}

export_fault! { FloodStdout, name = "flood_stdout" }
