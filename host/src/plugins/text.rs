//! Foreign text made fit for one line of a log: file names, output of plugins.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A name in which no control character and no broken encoding is left.
pub(crate) fn printable(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        push_escaped(&mut text, chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// A line of at most `limit` bytes in which no control character and no broken encoding is left.
pub(crate) fn printable_line(bytes: &[u8], limit: usize) -> String {
    let cut = &bytes[..bytes.len().min(limit)];
    let mut text = printable(OsStr::from_bytes(cut));
    if bytes.len() > limit {
        text.push_str(" [cut]");
    }
    text
}

/// The longest beginning of a text that fits into `limit` bytes.
pub(crate) fn shortened(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn push_escaped(text: &mut String, part: &str) {
    for character in part.chars() {
        if character == '\t' {
            text.push(' ');
        } else if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}') {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_becomes_one_line() {
        let name = OsStr::from_bytes(b"a\nb\x1b[31m\xff.so");
        assert_eq!(printable(name), "a\\nb\\u{1b}[31m\\xff.so");
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(printable_line(b"abcdef", 3), "abc [cut]");
        assert_eq!(shortened("a\u{e9}", 2), "a");
    }
}
