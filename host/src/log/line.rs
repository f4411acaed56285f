//! One record as one line of text.

use std::fmt::{self, Write};
use std::time::SystemTime;

use slog::{KV, Key, OwnedKVList, Record, Serializer};

use super::mask::{MASK, is_secret, mask_secrets};

/// Longest line, in bytes; a longer one is cut.
const LIMIT: usize = 8 * 1024;

/// Formats a record, with the newline.
pub(super) fn format(record: &Record<'_>, values: &OwnedKVList) -> String {
    let mut line = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _ = write!(line, "{} {} ", humantime::format_rfc3339_millis(SystemTime::now()), record.level().as_str());
    let _ = write!(Escaped { line: &mut line, quoted: false }, "{}", record.msg());
    let mut pairs = Pairs::default();
    let _ = record.kv().serialize(record, &mut pairs);
    let _ = values.serialize(record, &mut pairs);
    // slog hands over the newest pair first.
    for (key, value) in pairs.pairs.iter().rev() {
        push_pair(&mut line, key, value);
    }
    finish(line)
}

fn finish(mut line: String) -> String {
    if let std::borrow::Cow::Owned(masked) = mask_secrets(&line) {
        line = masked;
    }
    if line.len() > LIMIT {
        let mut end = LIMIT - 3;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push_str("...");
    }
    line.push('\n');
    line
}

fn push_pair(line: &mut String, key: &str, value: &str) {
    line.push(' ');
    line.push_str(key);
    line.push('=');
    if is_secret(key) {
        line.push_str(MASK);
        return;
    }
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '=' | '\\'));
    if !plain {
        line.push('"');
    }
    let _ = Escaped { line, quoted: !plain }.write_str(value);
    if !plain {
        line.push('"');
    }
}

/// Writes text so that it stays on its line: control characters, and those that reorder or break text, are escaped.
struct Escaped<'a> {
    line: &'a mut String,
    quoted: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => self.line.push_str("\\n"),
                '\r' => self.line.push_str("\\r"),
                '\t' => self.line.push_str("\\t"),
                '"' | '\\' if self.quoted => self.line.extend(['\\', character]),
                _ if character.is_control() => write!(self.line, "\\x{:02x}", u32::from(character))?,
                _ if is_unprintable(character) => write!(self.line, "\\u{{{:x}}}", u32::from(character))?,
                _ => self.line.push(character),
            }
        }
        Ok(())
    }
}

/// True for control characters, and those that reorder or break text.
pub(super) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

/// Collects key-value pairs. A value larger than a line is cut while it is formatted.
#[derive(Default)]
pub(super) struct Pairs {
    pairs: Vec<(Key, String)>,
}

impl Pairs {
    /// The pairs, the newest first.
    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
    }
}

/// A text that is cut at the length of a line.
#[derive(Default)]
pub(super) struct Bounded(String);

impl Bounded {
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LIMIT - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let mut end = room;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let mut text = Bounded::default();
        // A cut value is what the bound is for.
        let _ = text.write_fmt(*value);
        self.pairs.push((key, text.0));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Logging;
    use slog::{error, info, o};

    fn logged(write: impl Fn(&slog::Logger)) -> String {
        let logging = Logging::to(std::io::sink, true);
        write(logging.log());
        let text = logging.ring().text();
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-11-24T08:30:00.123Z".len(), "{time}");
        rest.to_owned()
    }

    #[test]
    fn a_record_is_one_readable_line() {
        let line = logged(|log| {
            let log = log.new(o!("plugin" => "acme"));
            info!(log, "step {}", "completed"; "step" => "erase", "result" => "a b", "empty" => "", "n" => 5);
        });
        assert_eq!(line, "INFO step completed plugin=acme step=erase result=\"a b\" empty=\"\" n=5\n");
    }

    #[test]
    fn hostile_text_cannot_forge_a_line_or_reach_the_terminal() {
        let evil = "x\n2026-11-24T00:00:00.000Z INFO forged\r\x1b[2J\u{9b}31m\u{202e}\"\\";
        let line = logged(|log| error!(log, "{}", evil; "v" => evil));
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
        assert!(line.contains(r#"v="x\n2026-11-24T00:00:00.000Z INFO forged\r\x1b[2J\x9b31m\u{202e}\"\\""#), "{line}");
    }

    #[test]
    fn secrets_are_masked() {
        let line = logged(|log| {
            info!(log, "GET /v1/commands/?agent_token=abcdef&wait=true"; "rescue_password" => "hunter2", "token" => "t0k");
        });
        assert_eq!(line, "INFO GET /v1/commands/?agent_token=<...>&wait=true rescue_password=<...> token=<...>\n");
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = logged(|log| info!(log, "{}", "\u{e9}".repeat(100_000); "v" => "y".repeat(100_000)));
        assert!(line.len() <= LIMIT && line.ends_with("...\n"));
    }
}
