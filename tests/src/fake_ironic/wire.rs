//! One connection: a request is read, noted and answered.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Api, Received, Shared};

/// Longest wait for the bytes of a request.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn serve(mut stream: TcpStream, shared: &Shared) {
    // Clients come and go, in the middle of a request too.
    let Ok(request) = read(&stream) else { return };
    let answer = shared.decide(request);
    let _ = answer.write(&mut stream);
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(stream: &TcpStream) -> io::Result<Received> {
    stream.set_read_timeout(Some(PATIENCE))?;
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
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
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
