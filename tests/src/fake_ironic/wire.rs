//! One connection: a request is read, noted and answered.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::fault::Stream;
use super::{Api, Received, Shared};

/// Longest wait for the bytes of a request.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Shared) {
    // Clients come and go, in the middle of a request too.
    if stream.set_read_timeout(Some(PATIENCE)).is_err() {
        return;
    }
    let Ok(end) = stream.try_clone() else { return };
    match tls {
        None => exchange(&mut &stream, shared),
        Some(config) => {
            let Ok(connection) = ServerConnection::new(config) else { return };
            let mut stream = StreamOwned::new(connection, stream);
            exchange(&mut stream, shared);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
    let _ = end.shutdown(Shutdown::Both);
}

fn exchange(mut stream: &mut dyn Stream, shared: &Shared) {
    let Ok(request) = read(&mut stream) else { return };
    let answer = shared.decide(request);
    let _ = answer.write(stream);
    let _ = stream.flush();
}

fn read(stream: impl Read) -> io::Result<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    if let Some(host) = headers.get("host") {
        // To a proxy a client names the server as well.
        line = line.replacen(&format!(" http://{host}/"), " /", 1);
    }
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Received { api: api(&line), at: Instant::now(), line, headers, body })
}

fn api(line: &str) -> Api {
    let path = line.split_once('?').map_or(line, |(path, _)| path);
    let words: Vec<&str> = path.split('/').collect();
    match words[..] {
        ["GET ", ""] => Api::Root,
        ["GET ", "v1", "lookup"] => Api::Lookup,
        ["POST ", "v1", "heartbeat", _] => Api::Heartbeat,
        ["POST ", "v1", "continue_inspection"] => Api::Inspection,
        ["POST ", "v1", "drivers", _, "vendor_passthru", "lookup"] => Api::DriverLookup,
        ["POST ", "v1", "nodes", _, "vendor_passthru", "lookup"] => Api::NodeLookup,
        ["POST ", "v1", "nodes", _, "vendor_passthru", "heartbeat"] => Api::NodeHeartbeat,
        _ => Api::Unknown,
    }
}
