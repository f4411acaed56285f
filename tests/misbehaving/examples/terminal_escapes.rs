//! Writes terminal escapes, control characters and bytes that are not UTF-8, to both outputs and the log.

use ipa_misbehaving::*;

#[derive(Default)]
struct TerminalEscapes;

impl Fault for TerminalEscapes {
    fn misbehave(&self, cx: &Cx<'_>) -> HwResult<Value> {
        use std::io::Write;
        let nasty = b"harmless\x1b[2J\x1b]0;owned\x07\r\x08\x00\x9b31m\xff\xfe end of escapes\n";
        std::io::stdout().write_all(nasty)?;
        std::io::stdout().flush()?;
        std::io::stderr().write_all(nasty)?;
        cx.log(Level::Warning, "logged\u{1b}[31m\nforged: line", &[("key\n", &"value\u{7}")]);
        Ok(Value::Null)
    }
}

export_fault! { TerminalEscapes, name = "terminal_escapes" }
