//! A server on a loopback port and a client that sends bytes as they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::agent::{Agent, Settings};
use crate::api::{Limits, Server, Transport, bind};
use crate::testing::{FakeManagers, TOKEN, agent_and_managers};

/// An agent that serves.
pub(super) struct Fixture {
    pub(super) agent: Arc<Agent>,
    pub(super) managers: Arc<FakeManagers>,
    pub(super) server: Server,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn fault(&self) -> String {
        self.json()["faultstring"].as_str().unwrap().to_owned()
    }
}

pub(super) fn settings() -> Settings {
    Settings { version: "13.0.0".into(), agent_token: Some(TOKEN.into()), ..Settings::default() }
}

pub(super) fn serve(settings: Settings, limits: Limits, transport: Transport) -> Fixture {
    let (agent, managers) = agent_and_managers(settings);
    let server = Server::start(agent.clone(), bind("127.0.0.1", 0).unwrap(), transport, limits).unwrap();
    Fixture { agent, managers, server }
}

pub(super) fn fixture() -> Fixture {
    serve(settings(), Limits::default(), Transport::Plain)
}

impl Fixture {
    pub(super) fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(super) async fn connect(&self) -> Connection {
        Connection { stream: TcpStream::connect(self.address()).await.unwrap(), rest: Vec::new() }
    }

    /// One request on a connection of its own.
    pub(super) async fn send(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let mut connection = self.connect().await;
        connection.send(method, target, &[("Connection", "close")], body).await;
        connection.receive(method).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", &format!("{path}?agent_token={TOKEN}"), b"").await
    }

    pub(super) async fn post(&self, body: &Value, wait: bool) -> Answer {
        let target = format!("/v1/commands/?wait={wait}&agent_token={TOKEN}");
        self.send("POST", &target, body.to_string().as_bytes()).await
    }
}

/// A connection that keeps what it has read too much.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    rest: Vec<u8>,
}

impl Connection {
    pub(super) async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str("Host: agent.example:9999\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.raw(&[head.as_bytes(), body].concat()).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads one answer.
    pub(super) async fn receive(&mut self, method: &str) -> Answer {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "the connection ended within a header");
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: BTreeMap<String, String> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let length = if method == "HEAD" { 0 } else { length };
        while self.rest.len() < length {
            assert!(self.more().await, "the connection ended within a body");
        }
        Answer { status, headers, body: self.rest.drain(..length).collect() }
    }

    /// True if there was more to read, false if the server closed the connection.
    pub(super) async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(Duration::from_secs(30), self.stream.read_buf(&mut self.rest));
        matches!(read.await.expect("the server is silent"), Ok(1..))
    }

    /// Waits until the server has closed the connection and gives what it still sent.
    pub(super) async fn rest(mut self) -> Vec<u8> {
        while self.more().await {}
        self.rest
    }
}
