//! Answers, and what comes in the place of one.

use std::io::{self, Read, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// Plain or TLS.
pub(super) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// Pause between the bytes of a slow answer.
const DRIP: Duration = Duration::from_millis(200);

/// What a request gets.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status and JSON.
    Json(u16, Value),
    /// This status with a web page.
    Html(u16),
    /// A redirect to another address.
    Redirect(u16, String),
    /// The connection is closed without a byte.
    Hangup,
    /// Not a byte, and the connection stays open.
    Silence,
    /// A truthful beginning, then one byte at a time, for ever.
    Drip,
    /// Less JSON than announced, then the end.
    Truncated,
    /// A hundred megabytes of JSON.
    Huge,
    /// JSON that is small on the wire and huge in memory: a list of millions of lists.
    ManyElements,
    /// JSON nested a hundred thousand deep.
    Deep,
    /// Two megabytes that unpack to two gigabytes.
    GzipBomb,
    /// No HTTP at all.
    Garbage,
    /// Headers without end.
    EndlessHeaders,
}

impl Fault {
    /// Writes it. An error means that the client has left, as it should.
    pub(super) fn write(&self, stream: &mut dyn Stream) -> io::Result<()> {
        match self {
            Self::Json(status, body) => whole(stream, *status, "application/json", "", body.to_string().as_bytes()),
            Self::Html(status) => {
                whole(stream, *status, "text/html", "", b"<!DOCTYPE html><html><body>Please log in</body></html>")
            }
            Self::Redirect(status, location) => {
                whole(stream, *status, "text/html", &format!("Location: {location}\r\n"), b"")
            }
            Self::Hangup => Ok(()),
            Self::Silence => until_it_leaves(stream),
            Self::Drip => {
                head(stream, 200, "application/json", "", 1_000_000)?;
                loop {
                    stream.write_all(b" ")?;
                    std::thread::sleep(DRIP);
                }
            }
            Self::Truncated => {
                head(stream, 200, "application/json", "", 1000)?;
                stream.write_all(br#"{"node": {"uuid": "#)
            }
            Self::Huge => repeated(stream, b"{\"node\": {\"name\": \"", &[b'x'; 65_536], 1600),
            Self::ManyElements => repeated(stream, b"[", &b"[],".repeat(21_846), 50),
            Self::Deep => whole(stream, 200, "application/json", "", &[b'['; 100_000]),
            Self::GzipBomb => {
                // Members of a gzip file may follow each other, and each of these is a megabyte of zeros.
                let mut member = GzEncoder::new(Vec::new(), Compression::best());
                member.write_all(&[0; 1 << 20])?;
                let packed = member.finish()?.repeat(2000);
                whole(stream, 200, "application/json", "Content-Encoding: gzip\r\n", &packed)
            }
            Self::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
            Self::EndlessHeaders => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    stream.write_all(format!("X-Filler: {}\r\n", "y".repeat(4000)).as_bytes())?;
                }
            }
        }
    }
}

fn head(stream: &mut dyn Stream, status: u16, kind: &str, more: &str, length: usize) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())
}

fn whole(stream: &mut dyn Stream, status: u16, kind: &str, more: &str, body: &[u8]) -> io::Result<()> {
    head(stream, status, kind, more, body.len())?;
    stream.write_all(body)
}

/// Without a length, so that only reading tells how much it is.
fn repeated(stream: &mut dyn Stream, first: &[u8], block: &[u8], times: usize) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
    stream.write_all(first)?;
    (0..times).try_for_each(|_| stream.write_all(block))
}

fn until_it_leaves(stream: &mut dyn Stream) -> io::Result<()> {
    let mut rest = [0; 1024];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}
