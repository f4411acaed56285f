//! A web server with TLS that gives away files, and may be told to do otherwise.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longest wait for the bytes of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a request gets.
#[derive(Debug, Clone)]
pub enum Reply {
    /// These bytes.
    File(Vec<u8>),
    /// This status and nothing else.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// The head of an answer of so many bytes, and nothing else.
    Announced(u64),
}

/// The server. Its threads end with the test.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By path: what the next requests get; the last one is for all others.
    replies: HashMap<String, VecDeque<Reply>>,
    /// Request lines and what follows `authorization:`.
    received: Vec<(String, String)>,
}

impl Web {
    /// A server on a free port of the loopback interface.
    pub fn start(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (shared, config) = (Arc::<Mutex<State>>::default(), Arc::new(config));
        let known = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, config) = (known.clone(), config.clone());
                std::thread::spawn(move || serve(stream, config, &shared));
            }
        });
        Self { address, shared }
    }

    /// Gives these replies for a path, one after the other; the last one stays.
    pub fn put(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.state().replies.insert(path.to_owned(), replies.into_iter().collect());
    }

    /// A URL of it; `user` is nothing, or ends in `@`.
    pub fn url_as(&self, user: &str, path: &str) -> String {
        format!("https://{user}{}{path}", self.address)
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        self.url_as("", path)
    }

    /// The paths that were asked for, each with its `authorization`.
    pub fn received(&self) -> Vec<(String, String)> {
        self.state().received.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, shared: &Mutex<State>) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    if stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let mut stream = StreamOwned::new(connection, stream);
    // A client that does not like the certificate leaves here.
    let Some((path, authorization)) = request(&mut stream) else { return };
    let reply = {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.push((path.clone(), authorization));
        let replies = state.replies.entry(path).or_default();
        let last = replies.len() <= 1;
        if last { replies.front().cloned() } else { replies.pop_front() }
    };
    let _ = match reply.unwrap_or(Reply::Status(404)) {
        Reply::File(bytes) => head(&mut stream, 200, bytes.len() as u64, "").and_then(|()| stream.write_all(&bytes)),
        Reply::Status(status) => head(&mut stream, status, 0, ""),
        Reply::Redirect(to) => head(&mut stream, 302, 0, &format!("Location: {to}\r\n")),
        Reply::Announced(length) => head(&mut stream, 200, length, ""),
    };
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn head(stream: &mut impl Write, status: u16, length: u64, more: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n")
}

fn request(stream: impl Read) -> Option<(String, String)> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let mut authorization = String::new();
    for header in lines {
        let header = header.ok()?;
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut authorization);
            }
            Some(_) => {}
            None => break,
        }
    }
    Some((line.split(' ').nth(1)?.to_owned(), authorization))
}
