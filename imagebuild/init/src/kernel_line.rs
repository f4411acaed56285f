//! The kernel command line, with its quotes: a value such as an SSH key has blanks in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of the line, in bytes; the kernel itself allows 4 KiB at most on common machines.
const LIMIT: u64 = 64 * 1024;

/// The words of a kernel line, in order. A word without `=` has no value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelLine(Vec<(String, Option<String>)>);

impl KernelLine {
    /// Splits at blanks outside of double quotes, and drops the quotes.
    pub fn parse(line: &str) -> Self {
        let mut words = Vec::new();
        let (mut word, mut quoted, mut begun) = (String::new(), false, false);
        for c in line.chars().chain([' ']) {
            match c {
                '"' => (quoted, begun) = (!quoted, true),
                c if c.is_whitespace() && !quoted => {
                    if begun {
                        words.push(std::mem::take(&mut word));
                    }
                    begun = false;
                }
                c => {
                    word.push(c);
                    begun = true;
                }
            }
        }
        if begun {
            // The quote was never closed; the kernel takes what there is as well.
            words.push(word.trim_end().to_owned());
        }
        let split = |word: String| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        Self(words.into_iter().map(split).collect())
    }

    /// Reads a file such as `/proc/cmdline`; without it there are no words.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        // What was read before an error is still true.
        let _ = File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// The values of a key, in order.
    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).filter_map(|(_, value)| value.as_deref())
    }

    /// The last value of a key, which is the one that counts.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.all(key).last()
    }

    /// True if the key stands there, with or without a value.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_and_go() {
        let line =
            KernelLine::parse("quiet sshkey=\"ssh-ed25519 AAAA me\" \"rootpwd=$6$a b\" console=tty0 console=ttyS0\n");
        assert_eq!(line.value("sshkey"), Some("ssh-ed25519 AAAA me"));
        assert_eq!(line.value("rootpwd"), Some("$6$a b"));
        assert_eq!(line.all("console").collect::<Vec<_>>(), ["tty0", "ttyS0"]);
        assert_eq!(line.value("console"), Some("ttyS0"));
        assert!(line.has("quiet") && line.value("quiet").is_none() && !line.has("loud"));
    }

    #[test]
    fn odd_lines() {
        for (text, words) in [("", 0), ("  \n\t", 0), ("\"", 1), ("a=\"b c", 1), ("=x", 1), ("a==b", 1), ("\"\"", 1)] {
            assert_eq!(KernelLine::parse(text).0.len(), words, "{text:?}");
        }
        assert_eq!(KernelLine::parse("a=\"b c").value("a"), Some("b c"));
        assert_eq!(KernelLine::parse("a==b").value("a"), Some("=b"));
        assert_eq!(KernelLine::read(Path::new("/no/such/file")), KernelLine::default());
    }
}
