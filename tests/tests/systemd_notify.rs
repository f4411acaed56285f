//! What an init system hears of the agent by its notification socket.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use ipa_tests::fake_ironic::{Api, Fault, NODE};
use ipa_tests::{FakeIronic, Host, machine};
use rustix::process::Signal;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// The socket of an init system.
struct Init {
    socket: UnixDatagram,
    heard: Vec<String>,
    directory: TempDir,
}

impl Init {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("a new socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can have one");
        Self { socket, heard: Vec::new(), directory }
    }

    fn path(&self) -> String {
        self.directory.path().join("notify").display().to_string()
    }

    /// Waits for a message that has this part, which may have come before.
    fn hears(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.heard.iter().find(|message| message.contains(part)) {
                return message.clone();
            }
            assert!(Instant::now() < end, "no {part:?} among {:#?}", self.heard);
            let mut bytes = [0; 4096];
            match self.socket.recv(&mut bytes) {
                Ok(length) => self.heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the socket is broken: {error}"),
            }
        }
    }
}

/// Ready comes before Ironic has answered anything, then the node is named, and its heartbeats.
#[test]
fn readiness_node_heartbeat_and_end_are_told() {
    let mut init = Init::new();
    let ironic = FakeIronic::start();
    ironic.lies(Api::Lookup, [Fault::Hangup]);
    let mut host = Host::with(machine::plain())
        .with_ironic(&ironic.url())
        .variable("NOTIFY_SOCKET", &init.path())
        .variable("WATCHDOG_USEC", "200000")
        .launch();
    init.hears("READY=1");
    assert!(!init.heard.iter().any(|message| message.contains(NODE)), "{:#?}", init.heard);
    let looking = init.hears("STATUS=looking");
    assert_eq!(looking, format!("STATUS=looking the node up at {}", ironic.url()));
    host.listens();
    let beat = init.hears("heartbeat of");
    assert!(beat.starts_with(&format!("STATUS=node {NODE}: waiting for commands; heartbeat of ")), "{beat}");
    assert!(beat.ends_with(" UTC: accepted"), "{beat}");
    init.heard.clear();
    init.hears("WATCHDOG=1");
    host.signal(Signal::TERM);
    init.hears("STOPPING=1");
    init.hears("STATUS=ended: as asked to");
    assert_eq!(host.ended(PATIENCE).code(), Some(0));
}

/// A lookup in vain ends the agent, and the reason is the last status.
#[test]
fn the_reason_of_a_failure_is_the_last_status() {
    let mut init = Init::new();
    let mut host = Host::with(machine::plain())
        .with_ironic("http://127.0.0.1:9")
        .flag("--lookup-timeout=1")
        .variable("NOTIFY_SOCKET", &init.path())
        .launch();
    let reason = init.hears("STATUS=ended: ");
    assert!(reason.contains("127.0.0.1:9") || reason.contains("lookup"), "{reason}");
    assert_eq!(host.ended(PATIENCE).code(), Some(70));
}

/// A socket that cannot be reached is warned about, and costs nothing else.
#[test]
fn an_agent_that_cannot_tell_runs_all_the_same() {
    let host = Host::with(machine::plain()).variable("NOTIFY_SOCKET", "/nowhere/notify").start();
    host.log_line(&["systemd cannot be told", "/nowhere/notify"]);
    assert_eq!(host.terminate(), 0);
}
