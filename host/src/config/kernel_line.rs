//! The kernel command line: `key=value` words.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

/// The most that is read, in bytes; the kernel itself allows 4 KiB at most on common machines.
const LIMIT: u64 = 64 * 1024;

/// The words of the form `key=value`; of equal keys the last one counts. Words without `=` and quotes mean nothing.
pub fn parse(line: &str) -> BTreeMap<String, String> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Reads and parses a file such as `/proc/cmdline`. What is beyond 64 KiB is left out.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
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

    #[test]
    fn long_and_binary_lines_are_read_within_bounds() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("cmdline");
        let line = [b"ipa-debug=1 \xff=\xfe ".as_slice(), &vec![b'x'; 1 << 20], b" late=1"].concat();
        std::fs::write(&path, line).expect("written");
        let params = read(&path).expect("readable");
        assert_eq!(params["ipa-debug"], "1");
        assert!(!params.contains_key("late"));
        assert!(read(&directory.path().join("none")).is_err());
    }
}
