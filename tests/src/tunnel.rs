//! An HTTP proxy that knows `CONNECT` and nothing else: what TLS goes through.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// The proxy. It serves until the test's process ends.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    /// A proxy that connects everybody with `server`, whomever he asks for.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (server, seen) = (server.to_owned(), asked.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, seen) = (server.clone(), seen.clone());
                // Either side may leave at any time.
                std::thread::spawn(move || drop(serve(client, &server, &seen)));
            }
        });
        Self { address, asked }
    }

    /// The value for `https_proxy`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first lines of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut client: TcpStream, server: &str, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default().to_owned();
    let is_tunnel = line.starts_with("CONNECT ");
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    if !is_tunnel {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    }
    let mut upstream = TcpStream::connect(server)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut back, mut forth) = (upstream.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        // The end of one direction is the end of both.
        let _ = io::copy(&mut back, &mut forth);
        let _ = forth.shutdown(std::net::Shutdown::Both);
    });
    // The reader may hold the first bytes of TLS already.
    io::copy(&mut reader, &mut upstream)?;
    upstream.shutdown(std::net::Shutdown::Both)
}
