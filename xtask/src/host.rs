//! An agent on this machine for as long as a value lives: started, waited for, asked, stopped.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;
use serde_json::Value;

use crate::cargo::cargo;
use crate::http::{Answer, Connection};

/// The port an agent has unless told otherwise.
pub(crate) const USUAL_PORT: u16 = 9999;
/// How often a starting agent is asked; short, because start-up is measured with it.
const POLL: Duration = Duration::from_micros(50);
const ANSWER: Duration = Duration::from_secs(5);
/// An inventory may ask slow firmware.
const COMMAND: Duration = Duration::from_secs(120);
const BUILD: Duration = Duration::from_secs(1800);
/// Where [`Staged::append_to`] puts an agent's token and control socket.
pub(crate) const TOKEN_FILE: &str = "agent-token";
pub(crate) const CONTROL_SOCKET: &str = "control.sock";

/// A running agent. It is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Agent {
    child: Child,
    address: SocketAddr,
    token: Token,
    /// When its program was executed.
    begun: Instant,
}

/// Where the token of an agent is known from.
#[derive(Debug)]
pub(crate) enum Token {
    /// We gave it.
    Given(String),
    /// The agent makes it and keeps it in this file.
    Made(PathBuf),
}

impl Agent {
    /// Starts an agent whose API will listen on this port of 127.0.0.1.
    pub(crate) fn start(command: &mut Command, port: u16, token: Token) -> Outcome<Self> {
        if let Token::Made(path) = &token {
            // An old one must not be taken for the one that is about to be made.
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failure::new(format!("removing {}: {error}", path.display())));
                }
                _ => {}
            }
        }
        // cargo sets this for programs it runs; an agent looks its libraries up as it does elsewhere.
        command.env_remove("LD_LIBRARY_PATH");
        let begun = Instant::now();
        let child = process::spawn(command)?;
        Ok(Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), token, begun })
    }

    /// Waits until `/v1/status` answers, and fails at once if the agent ends instead. Gives the time from exec to that
    /// answer.
    pub(crate) fn wait_until_ready(&mut self, deadline: Duration) -> Outcome<Duration> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().doing("waiting for the agent")? {
                return Err(Failure::new(format!(
                    "the agent ended with {status} before it answered; see its messages"
                )));
            }
            if let Ok(mut connection) = self.connect() {
                let answer = connection.get("/v1/status", ANSWER);
                let time = self.begun.elapsed();
                if answer.is_ok_and(|answer| answer.status == 200 && is_status(&answer.body)) {
                    return Ok(time);
                }
            }
            if Instant::now() >= end {
                return Err(Failure::new(format!(
                    "the agent did not answer http://{}/v1/status within {} s",
                    self.address,
                    deadline.as_secs()
                )));
            }
            thread::sleep(POLL);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connect(&self) -> Outcome<Connection> {
        Connection::open(self.address, ANSWER)
    }

    /// Runs a command, waits for its end and gives its result.
    pub(crate) fn command(&self, connection: &mut Connection, name: &str, params: &Value) -> Outcome<Value> {
        let request = self.request(name, params)?;
        result_of(name, &request.send(connection)?)
    }

    /// A command, ready to be sent.
    pub(crate) fn request(&self, name: &str, params: &Value) -> Outcome<Request> {
        let path = format!("/v1/commands/?wait=true&agent_token={}", self.token.read()?);
        let body = serde_json::json!({ "name": name, "params": params }).to_string();
        Ok(Request { path, body })
    }

    /// Waits until the agent ends by itself, as on Ctrl-C.
    pub(crate) fn wait(&mut self) -> Outcome {
        let status = self.child.wait().doing("waiting for the agent")?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("the agent ended with {status}"))) }
    }
}

/// A command that can be sent again and again, with nothing but the exchange to be waited for.
#[derive(Debug)]
pub(crate) struct Request {
    path: String,
    body: String,
}

impl Request {
    /// The answer, unread.
    pub(crate) fn send(&self, connection: &mut Connection) -> Outcome<Answer> {
        connection.post(&self.path, &self.body, COMMAND)
    }
}

impl Token {
    fn read(&self) -> Outcome<String> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::Made(path) => {
                let token = fs::read_to_string(path).doing(format_args!("reading the token in {}", path.display()))?;
                Ok(token.trim().to_owned())
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        process::stop(&mut self.child);
    }
}

/// Whether this is the agent's status document, and not some other server on the port.
fn is_status(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|status| status.get("version").is_some())
}

/// The result of a command record, or the error in it.
pub(crate) fn result_of(name: &str, answer: &Answer) -> Outcome<Value> {
    let record = serde_json::from_slice(&answer.body);
    let mut record: Value = record.doing(format_args!("{name}: the answer is no JSON"))?;
    if answer.status != 200 {
        let fault = record["faultstring"].as_str().unwrap_or("no fault text");
        return Err(Failure::new(format!("{name}: HTTP {}: {fault}", answer.status)));
    }
    match record["command_status"].as_str() {
        Some("SUCCEEDED") => Ok(record["command_result"].take()),
        other => Err(Failure::new(format!("{name}: {}: {}", other.unwrap_or("no status"), record["command_error"]))),
    }
}

/// The wanted port, which must be free; without one the usual port or, where that is taken, any free one.
pub(crate) fn free_port(wanted: Option<u16>) -> Outcome<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    let address = match wanted {
        Some(port) => bind(port).doing(format_args!("port {port} of 127.0.0.1 cannot be used"))?,
        None => bind(USUAL_PORT).or_else(|_| bind(0)).doing("no free port on 127.0.0.1")?,
    };
    Ok(address.port())
}

/// Builds agent and generic manager and lays the manager into a plugin directory of its own.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) program: PathBuf,
    pub(crate) plugins: PathBuf,
}

impl Staged {
    pub(crate) fn build(release: bool, plugins: &Path) -> Outcome<Self> {
        let mut cargo = cargo(&["build", "--package", "ipa-host", "--package", "ipa-generic"]);
        if release {
            cargo.arg("--release");
        }
        Self::stage(&mut cargo, &crate::repo::target(if release { "release" } else { "debug" }), plugins)
    }

    /// A release build whose programs keep the names of their functions, in a build directory of its own.
    pub(crate) fn build_with_names(target: &Path, plugins: &Path) -> Outcome<Self> {
        let mut cargo = cargo(&["build", "--package", "ipa-host", "--package", "ipa-generic", "--release"]);
        cargo.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_RELEASE_STRIP", "none");
        Self::stage(&mut cargo, &target.join("release"), plugins)
    }

    fn stage(cargo: &mut Command, built: &Path, plugins: &Path) -> Outcome<Self> {
        process::run(cargo, BUILD)?;
        crate::repo::fresh_plugin_directory(plugins)?;
        crate::repo::install(&built.join("libipa_generic.so"), &plugins.join("libipa_generic.so"))?;
        Ok(Self { program: built.join("ipa-host"), plugins: plugins.to_owned() })
    }

    /// Appends the program to a command, and what makes it standalone, read-only and reachable from here alone. Its
    /// token and control socket lie in the directory.
    pub(crate) fn append_to(&self, command: &mut Command, port: u16, directory: &Path) {
        command.arg(&self.program);
        command.args(["--standalone", "--read-only", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()]);
        command.arg("--plugin-dir").arg(&self.plugins);
        command.arg("--agent-token-file").arg(directory.join(TOKEN_FILE));
        command.arg("--control-socket").arg(directory.join(CONTROL_SOCKET));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_status_counts_as_ready() {
        assert!(is_status(br#"{"started_at": 1.5, "version": "13.0.0"}"#));
        assert!(!is_status(br#"{"faultcode": "Client", "faultstring": "no"}"#));
        assert!(!is_status(b"<html>"));
    }

    #[test]
    fn a_record_gives_its_result_or_its_error() {
        let answer = |status, body: &[u8]| Answer { status, body: body.to_vec() };
        let ok = br#"{"command_status": "SUCCEEDED", "command_result": {"cpu": 2}, "command_error": null}"#;
        assert_eq!(result_of("poll.x", &answer(200, ok)).unwrap()["cpu"], 2);
        let failed = br#"{"command_status": "FAILED", "command_result": null, "command_error": {"details": "why"}}"#;
        let failure = result_of("poll.x", &answer(200, failed)).unwrap_err().to_string();
        assert!(failure.starts_with("poll.x: FAILED") && failure.contains("why"), "{failure}");
        let fault = br#"{"faultcode": "Client", "faultstring": "Token invalid."}"#;
        assert_eq!(
            result_of("poll.x", &answer(401, fault)).unwrap_err().to_string(),
            "poll.x: HTTP 401: Token invalid."
        );
    }

    #[test]
    fn a_port_in_use_is_refused_by_name_and_avoided_otherwise() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let failure = free_port(Some(port)).unwrap_err().to_string();
        assert!(failure.contains(&port.to_string()), "{failure}");
        assert_ne!(free_port(None).unwrap(), port);
    }
}
