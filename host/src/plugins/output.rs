//! What a plugin prints: log lines, as many as are bearable, and the last of them for errors.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use slog::{Logger, info, warn};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::text::printable_line;

/// Longest line, in bytes; the rest of it is dropped.
const LINE_LIMIT: usize = 4096;
/// Most lines a second.
const RATE: u32 = 200;
/// Lines kept for errors.
const TAIL: usize = 20;

/// The last lines of a plugin's output.
#[derive(Debug, Default)]
pub(crate) struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    /// The lines, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Lets so many things a second through and counts the rest.
#[derive(Debug)]
pub(crate) struct Throttle {
    since: Instant,
    passed: u32,
    held_back: u64,
}

impl Throttle {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, passed: 0, held_back: 0 }
    }

    /// Whether one more may pass; and how many were held back before, told once in a while.
    pub(crate) fn pass(&mut self, now: Instant) -> (bool, Option<u64>) {
        let mut told = None;
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            told = Some(std::mem::take(&mut self.held_back)).filter(|count| *count > 0);
            (self.since, self.passed) = (now, 0);
        }
        if self.passed < RATE {
            self.passed += 1;
            (true, told)
        } else {
            self.held_back += 1;
            (false, told)
        }
    }
}

/// Reads the output to its end.
pub(crate) async fn follow(mut from: impl AsyncRead + Unpin, logger: Logger, tail: Arc<Tail>) {
    let mut throttle = Throttle::new(Instant::now());
    let mut buffer = [0; 4096];
    let mut line = Line::default();
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for byte in &buffer[..count] {
            if let Some(text) = line.push(*byte) {
                emit(text, &logger, &tail, &mut throttle);
            }
        }
    }
    if let Some(text) = line.finish() {
        emit(text, &logger, &tail, &mut throttle);
    }
}

fn emit(text: String, logger: &Logger, tail: &Tail, throttle: &mut Throttle) {
    let (passes, held_back) = throttle.pass(Instant::now());
    if let Some(count) = held_back {
        warn!(logger, "{count} lines of output were left out: it prints more than {RATE} a second");
    }
    if passes {
        info!(logger, "{text}"; "stream" => "output");
    }
    tail.push(text);
}

/// Collects one line of bounded length.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

impl Line {
    fn push(&mut self, byte: u8) -> Option<String> {
        if byte == b'\n' {
            return self.finish();
        }
        if self.0.len() <= LINE_LIMIT {
            self.0.push(byte);
        }
        None
    }

    fn finish(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.0);
        let text = printable_line(line.strip_suffix(b"\r").unwrap_or(&line), LINE_LIMIT);
        (!text.trim().is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_cleaned_and_the_last_kept() {
        let mut input: Vec<u8> = (0..30).flat_map(|number| format!("line {number}\r\n").into_bytes()).collect();
        input.extend([b'x'; 10_000]);
        input.extend(b"\n\n\x1b[2Jend");
        let tail = Arc::new(Tail::default());
        follow(input.as_slice(), Logger::root(slog::Discard, slog::o!()), Arc::clone(&tail)).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL);
        assert_eq!(lines[0], "line 12");
        assert_eq!(lines[TAIL - 2].len(), LINE_LIMIT + " [cut]".len());
        assert_eq!(lines[TAIL - 1], "\\u{1b}[2Jend");
    }

    #[test]
    fn a_flood_is_counted_and_told() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        let passed = (0..1000).filter(|_| throttle.pass(start).0).count();
        assert_eq!(passed, RATE as usize);
        let (passes, told) = throttle.pass(start + Duration::from_secs(2));
        assert_eq!((passes, told), (true, Some(1000 - u64::from(RATE))));
    }
}
