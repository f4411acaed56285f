//! The kernel command line: `key=value` words.

use std::collections::BTreeMap;
use std::path::Path;

/// Longest kernel command line that is read, in bytes; the kernel itself allows 4 KiB at most on common machines.
const LIMIT: usize = 64 * 1024;

/// The words of the form `key=value`; of equal keys the last one counts. Words without `=` and quotes mean nothing.
pub fn parse(line: &str) -> BTreeMap<String, String> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Reads and parses a file such as `/proc/cmdline`. A machine without one has no parameters.
pub fn read(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(path).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text[..text.len().min(LIMIT)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_their_first_equals_sign_and_the_last_one_counts() {
        let line = "quiet ipa-api-url=http://[fd00::1]:6385/?a=b ipa-debug=0 ipa-debug=1 x=\"a b\"\n";
        let params = parse(line);
        assert_eq!(params["ipa-api-url"], "http://[fd00::1]:6385/?a=b");
        assert_eq!(params["ipa-debug"], "1");
        assert_eq!(params["x"], "\"a");
        assert!(!params.contains_key("quiet") && !params.contains_key("b\""));
    }
}
