//! What is kept of a program's output.

use std::collections::VecDeque;

/// Longest line given to a line callback, in bytes; the rest of a longer one is dropped.
pub const LINE_LIMIT: usize = 8 * 1024;

/// Output with the middle cut out once it is too long: half of the limit from its start, half from its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
    limit: usize,
}

impl Captured {
    /// Keeps at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds output.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = (self.limit / 2).saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.limit - self.limit / 2);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    /// Bytes that were cut out.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was kept, with a note where something is missing.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }

    /// What was kept as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.clone().into_bytes()).into_owned()
    }

    /// The last bytes as text, on one line, for error messages.
    pub fn end(&self, limit: usize) -> String {
        let kept = self.clone().into_bytes();
        let text = String::from_utf8_lossy(&kept[kept.len().saturating_sub(limit)..]).into_owned();
        text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// Cuts a stream into lines of bounded length.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    /// Gives every line that these bytes complete to `each`.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let complete = matches!(part.last(), Some(b'\n' | b'\r'));
            let text = &part[..part.len() - usize::from(complete)];
            let room = LINE_LIMIT - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if complete {
                self.flush(&mut each);
            }
        }
    }

    /// Gives what is left as the last line.
    pub(super) fn flush(&mut self, mut each: impl FnMut(&str)) {
        if !self.line.is_empty() {
            each(&String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_survive() {
        let mut captured = Captured::new(10);
        for chunk in ["ab", "cdefgh", "ijklmnop", "q"] {
            captured.push(chunk.as_bytes());
        }
        assert_eq!(captured.dropped(), 7);
        assert_eq!(captured.text(), "abcde\n[7 bytes left out]\nmnopq");
    }

    #[test]
    fn short_output_is_whole() {
        let mut captured = Captured::new(10);
        captured.push(b"abcdefghij");
        assert_eq!((captured.text().as_str(), captured.dropped()), ("abcdefghij", 0));
    }

    #[test]
    fn the_end_is_one_line() {
        let mut captured = Captured::new(100);
        captured.push(b"mdadm: one\n\n  mdadm: two \n");
        assert_eq!(captured.end(1000), "mdadm: one; mdadm: two");
        assert_eq!(captured.end(6), "two");
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in ["12%\r", "50", "%\r\n\ndo", "ne"] {
            lines.push(chunk.as_bytes(), |line| seen.push(line.to_owned()));
        }
        lines.flush(|line| seen.push(line.to_owned()));
        assert_eq!(seen, ["12%", "50%", "done"]);
    }

    #[test]
    fn an_endless_line_is_bounded() {
        let mut lines = Lines::default();
        for _ in 0..100 {
            lines.push(&[b'x'; 1000], |_| panic!("no line yet"));
        }
        let mut length = 0;
        lines.push(b"\n", |line| length = line.len());
        assert_eq!(length, LINE_LIMIT);
    }
}
