//! Configuration files: sections of `key = value` lines, as the Python agent's `oslo.config` reads them.
//!
//! A line that begins with a blank continues the value right before it; `#` and `;` at the start of a line make a
//! comment. Neither comments nor empty lines stand within a value.

use std::fmt;

/// Largest configuration file, in bytes.
pub const FILE_LIMIT: u64 = 1024 * 1024;

/// One `key = value`, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section without its brackets; `DEFAULT` before the first one.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value; continuation lines are joined by line feeds.
    pub value: String,
    /// Line of the key, from 1.
    pub line: usize,
}

/// A line that is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IniError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub text: &'static str,
}

impl fmt::Display for IniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for IniError {}

/// Reads the text of a file, in order; of equal keys the later one counts.
pub fn parse(text: &str) -> Result<Vec<Entry>, IniError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = "DEFAULT".to_owned();
    let mut continues = false;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, raw) in text.lines().enumerate() {
        let line = index + 1;
        let trimmed = raw.trim();
        if trimmed.is_empty() || raw.starts_with(['#', ';']) {
            continues = false;
        } else if raw.starts_with([' ', '\t']) {
            let entry = entries.last_mut().filter(|_| continues);
            let entry = entry.ok_or(IniError { line, text: "it is indented but continues no value" })?;
            entry.value.push('\n');
            entry.value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']').map(str::trim).filter(|name| !name.is_empty());
            section = name.ok_or(IniError { line, text: "a section reads [name]" })?.to_owned();
            continues = false;
        } else {
            let (key, value) =
                trimmed.split_once(['=', ':']).ok_or(IniError { line, text: "neither a section nor key = value" })?;
            let key = key.trim();
            if key.is_empty() {
                return Err(IniError { line, text: "no key before the = sign" });
            }
            entries.push(Entry { section: section.clone(), key: key.to_owned(), value: unquote(value.trim()), line });
            continues = true;
        }
    }
    Ok(entries)
}

/// One pair of quotes around the whole value is not part of it.
fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, String)> {
        parse(text).expect("valid").into_iter().map(|entry| (entry.section, entry.key, entry.value)).collect()
    }

    fn triple(section: &str, key: &str, value: &str) -> (String, String, String) {
        (section.to_owned(), key.to_owned(), value.to_owned())
    }

    #[test]
    fn sections_comments_continuations_and_quotes() {
        let text = "\u{feff}debug = true\n# a comment\n; another\n\n[plugin:acme]\nurl=http://x/?a=b\nlist = one,\n  two\n\
                    name : \"quoted\"\nempty =\n";
        assert_eq!(
            pairs(text),
            [
                triple("DEFAULT", "debug", "true"),
                triple("plugin:acme", "url", "http://x/?a=b"),
                triple("plugin:acme", "list", "one,\ntwo"),
                triple("plugin:acme", "name", "quoted"),
                triple("plugin:acme", "empty", ""),
            ]
        );
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(parse("a = 1\nnonsense").expect_err("no =").line, 2);
        assert_eq!(parse("[open").expect_err("no ]").line, 1);
        assert_eq!(parse("  indented = 1").expect_err("continues nothing").line, 1);
        assert_eq!(parse("= 1").expect_err("no key").line, 1);
        assert_eq!(parse("a = 1\n\n  2").expect_err("continues nothing").line, 3);
        assert_eq!(parse("a = 1\n# x\n  2").expect_err("continues nothing").line, 3);
    }

    #[test]
    fn every_short_text_of_special_characters_is_read_or_refused() {
        let alphabet = ["[", "]", "=", ":", "\"", "'", "#", " ", "\n", "a", "ß", "\u{feff}"];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            texts = texts.iter().flat_map(|text| alphabet.map(|next| format!("{text}{next}"))).collect();
            for text in &texts {
                let Ok(entries) = parse(text) else { continue };
                let lines = text.lines().count();
                assert!(entries.iter().all(|entry| !entry.key.is_empty() && entry.line <= lines), "{text:?}");
            }
        }
    }
}
