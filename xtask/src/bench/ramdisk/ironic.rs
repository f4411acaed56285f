//! A stand-in for Ironic: it knows one node, tells any agent who looks up that it is that one, and takes its heartbeats.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Outcome};
use serde_json::{Value, json};

const NODE: &str = "9b6cbe32-1f0b-4d8e-8f0e-53a1f0a3f2a4";
const TOKEN: &str = "for-one-measurement-0123456789abcdef";
/// Longest wait for the bytes of a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of a request that are read.
const REQUEST_LIMIT: u64 = 4 * 1024 * 1024;

/// The server, on a port of the loopback interface.
#[derive(Debug)]
pub(super) struct Ironic {
    port: u16,
    heartbeats: Receiver<Instant>,
}

impl Ironic {
    /// It ends with this program.
    pub(super) fn start() -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("no free port on 127.0.0.1")?;
        let port = listener.local_addr().doing("asking for the port")?.port();
        let (sender, heartbeats) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                // An agent that gives up within a request comes again.
                thread::spawn(move || drop(serve(&stream, &sender)));
            }
        });
        Ok(Self { port, heartbeats })
    }

    /// What an agent is to have as `ipa-api-url`, for this host's address as a guest sees it.
    pub(super) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}", self.port)
    }

    /// When a heartbeat was accepted, if one was within this time.
    pub(super) fn heartbeat(&self, within: Duration) -> Result<Instant, RecvTimeoutError> {
        self.heartbeats.recv_timeout(within)
    }
}

/// One request on a connection.
fn serve(mut stream: &TcpStream, heartbeats: &Sender<Instant>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(REQUEST_LIMIT));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, answer) = answer(&request, &body);
    if status == ACCEPTED {
        // Whoever waited for the first may be gone.
        let _ = heartbeats.send(Instant::now());
    }
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
}

const ACCEPTED: u16 = 202;

/// What Ironic answers, in what agents read of it.
fn answer(request: &str, body: &Value) -> (u16, Value) {
    let mut words = request.split_whitespace();
    let method = words.next().unwrap_or_default();
    let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/" | "") => {
            let version =
                json!({"id": "v1", "links": [], "status": "CURRENT", "min_version": "1.1", "version": "1.102"});
            (200, json!({"name": "OpenStack Ironic API", "default_version": version, "versions": [version]}))
        }
        ("GET", "/v1/lookup") => {
            let node =
                json!({"uuid": NODE, "properties": {}, "instance_info": {}, "driver_internal_info": {}, "links": []});
            let config = json!({
                "metrics": {"backend": "noop", "prepend_host": false, "prepend_uuid": false,
                            "prepend_host_reverse": true, "global_prefix": null},
                "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
                "heartbeat_timeout": 300, "agent_token": TOKEN, "agent_token_required": true,
            });
            (200, json!({"node": node, "config": config}))
        }
        ("POST", path) if path.strip_prefix("/v1/heartbeat/") == Some(NODE) => {
            if body["agent_token"] == TOKEN && body["callback_url"].is_string() {
                (ACCEPTED, Value::Null)
            } else {
                (400, json!({"error_message": "callback_url and the token that lookup gave are needed"}))
            }
        }
        _ => (404, json!({"error_message": format!("{method} {path} is not known here")})),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::http::Connection;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn only_a_heartbeat_with_the_token_of_the_lookup_counts() {
        let ironic = Ironic::start().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ironic.port));
        let connect = || Connection::open(address, LONG).unwrap();
        let lookup = connect().get("/v1/lookup?addresses=52:54:00:00:00:01", LONG).unwrap();
        let lookup: Value = serde_json::from_slice(&lookup.body).unwrap();
        let path = format!("/v1/heartbeat/{}", lookup["node"]["uuid"].as_str().unwrap());
        let beat = |token: &Value| {
            let body = json!({"callback_url": "https://192.0.2.1:9999", "agent_token": token});
            connect().post(&path, &body.to_string(), LONG).unwrap().status
        };
        assert_eq!(beat(&json!("another")), 400);
        assert!(ironic.heartbeat(Duration::ZERO).is_err());
        assert_eq!(beat(&lookup["config"]["agent_token"]), 202);
        assert!(ironic.heartbeat(LONG).is_ok());
        assert_eq!(connect().get("/v1/nodes", LONG).unwrap().status, 404);
    }
}
