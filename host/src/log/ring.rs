//! The newest lines of the log.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Most lines that are kept.
const LINES: usize = 2000;
/// Most bytes that are kept.
const BYTES: usize = 1024 * 1024;

/// Keeps the newest lines, bounded in number and bytes.
#[derive(Debug)]
pub struct Ring {
    lines: Mutex<Lines>,
    limit: (usize, usize),
}

#[derive(Debug, Default)]
struct Lines {
    queue: VecDeque<Box<str>>,
    bytes: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(LINES, BYTES)
    }
}

impl Ring {
    /// A ring that keeps so many lines and so many bytes.
    pub fn new(lines: usize, bytes: usize) -> Self {
        Self { lines: Mutex::default(), limit: (lines, bytes) }
    }

    /// Adds a line that ends with a newline.
    pub fn push(&self, line: &str) {
        let line: Box<str> = line.into();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.bytes += line.len();
        lines.queue.push_back(line);
        while lines.queue.len() > self.limit.0 || lines.bytes > self.limit.1 {
            let Some(oldest) = lines.queue.pop_front() else { break };
            lines.bytes -= oldest.len();
        }
    }

    /// The newest lines for which `wanted` is true, `most` of them at most, oldest first and without their newline.
    pub fn newest(&self, most: usize, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = lines.queue.iter().rev().filter(|line| wanted(line)).take(most);
        let mut newest: Vec<String> = newest.map(|line| line.trim_end_matches('\n').to_owned()).collect();
        newest.reverse();
        newest
    }

    /// All lines, oldest first.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::with_capacity(lines.bytes);
        text.extend(lines.queue.iter().map(|line| &**line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first() {
        let ring = Ring::new(3, 1000);
        for index in 0..5 {
            ring.push(&format!("{index}\n"));
        }
        assert_eq!(ring.text(), "2\n3\n4\n");
        assert_eq!(ring.newest(2, |line| !line.starts_with('3')), ["2", "4"]);
        assert_eq!(ring.newest(1, |_| true), ["4"]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let ring = Ring::new(100, 10);
        ring.push("12345\n");
        ring.push("678\n");
        ring.push("9\n");
        assert_eq!(ring.text(), "678\n9\n");
        ring.push("a line that is longer than the whole ring\n");
        assert_eq!(ring.text(), "");
    }
}
