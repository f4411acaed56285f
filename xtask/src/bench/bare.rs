//! What this machine allows at most on one connection: a server that does nothing but answer.
//!
//! Most of a request on one connection is that client and server wake each other, which no server can spare itself. On a
//! machine where that is slow, a rate says little without this one beside it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use ipa_imagebuild::failure::{Doing, Outcome};

use super::Effort;
use super::report::{Measure, Unit};
use super::wrk;

/// As long as the agent's own answer.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 51\r\n\
    date: Tue, 24 Nov 2026 00:00:00 GMT\r\n\r\n{\"started_at\":1790000000.1234567,\"version\":\"0.1.0\"}";

/// Its requests a second on one connection.
pub(super) fn measure(effort: Effort) -> Outcome<Measure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("no free port on 127.0.0.1")?;
    let address = listener.local_addr().doing("asking for the port")?;
    // It ends with this program.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream));
        }
    });
    let url = format!("http://{address}");
    let rates = effort.sample(|| wrk::requests(&url, 1, effort.wrk_seconds))?;
    Ok(Measure::new("a server that only answers, 1 connection", Unit::PerSecond, rates, Vec::new()))
}

/// The load generator sends one request at a time, small enough for one read.
fn answer_all(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut request = [0; 4096];
    while stream.read(&mut request).is_ok_and(|count| count > 0) && stream.write_all(ANSWER).is_ok() {}
}
