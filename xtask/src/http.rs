//! A small HTTP/1.1 client for the agent on this machine: one kept connection, JSON answers of known length.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};

/// Largest answer that is read.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
const HEAD_LIMIT: usize = 64 * 1024;

/// A connection on which requests follow each other.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// Bytes of the head with its empty line.
    size: usize,
    status: u16,
    length: usize,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, deadline: Duration) -> Outcome<Self> {
        let stream = TcpStream::connect_timeout(&address, deadline).doing(format_args!("connecting to {address}"))?;
        stream.set_nodelay(true).doing(format_args!("setting up the connection to {address}"))?;
        Ok(Self { stream, address })
    }

    pub(crate) fn get(&mut self, path: &str, deadline: Duration) -> Outcome<Answer> {
        self.request("GET", path, "", deadline)
    }

    pub(crate) fn post(&mut self, path: &str, json: &str, deadline: Duration) -> Outcome<Answer> {
        self.request("POST", path, json, deadline)
    }

    fn request(&mut self, method: &str, path: &str, body: &str, deadline: Duration) -> Outcome<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        // The query carries the token, so errors name the path alone.
        let shown = path.split('?').next().unwrap_or(path);
        let doing = format!("{method} http://{}{shown}", self.address);
        let end = Instant::now() + deadline;
        self.stream.set_write_timeout(Some(deadline)).doing(&doing)?;
        self.stream.write_all(request.as_bytes()).doing(&doing)?;
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(head) = parse_head(&bytes).map_err(|why| Failure::new(format!("{doing}: {why}")))? {
                break head;
            }
            self.read_some(&mut bytes, end, &doing)?;
        };
        while bytes.len() < head.size + head.length {
            self.read_some(&mut bytes, end, &doing)?;
        }
        Ok(Answer { status: head.status, body: bytes[head.size..head.size + head.length].to_vec() })
    }

    fn read_some(&mut self, bytes: &mut Vec<u8>, end: Instant, doing: &str) -> Outcome {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::new(format!("{doing}: no answer in time")));
        }
        self.stream.set_read_timeout(Some(left)).doing(doing)?;
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).doing(doing)? {
            0 => Err(Failure::new(format!("{doing}: the connection ended within the answer"))),
            count => {
                bytes.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

/// The head of an answer, `None` as long as it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_LIMIT { Err("the answer's head does not end".to_owned()) } else { Ok(None) };
    };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| format!("no HTTP answer but `{first}`"))?;
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    match length {
        Some(length) if length <= ANSWER_LIMIT => Ok(Some(Head { size: end + 4, status, length })),
        Some(length) => Err(format!("an answer of {length} bytes is too long")),
        None => Err("the answer does not tell its length".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 404 NOT FOUND\r\nServer: x\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse_head(&answer[..40]), Ok(None));
        assert_eq!(parse_head(answer), Ok(Some(Head { size: answer.len() - 2, status: 404, length: 2 })));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for bad in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 abc\r\nContent-Length: 1\r\n\r\n",
        ] {
            assert!(parse_head(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(parse_head(&vec![b'x'; HEAD_LIMIT + 1]).is_err());
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_without_the_token() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = peer.read(&mut request).unwrap();
            peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").unwrap();
        });
        let mut connection = Connection::open(address, LONG).unwrap();
        let failure = connection.get("/v1/commands/?agent_token=secret", LONG).unwrap_err().to_string();
        server.join().unwrap();
        assert!(failure.contains("/v1/commands/: the connection ended"), "{failure}");
        assert!(!failure.contains("secret"), "{failure}");
    }
}
