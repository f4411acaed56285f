//! A real Ironic: the release of PyPI as it is, in one process, on the loopback interface.
//!
//! * [`Ironic`] starts it, once per test program, and ends it with the program.
//! * [`api`] asks its API, as an operator does.
//! * [`node`] enrols nodes and waits for what becomes of them.
//! * [`machine`] is what such a node stands for: an agent on this machine with network interfaces of its own.
//!
//! Ironic offers no events, so its API is asked again and again; every such wait has a deadline.

mod api;
mod config;
mod machine;
mod node;

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{artifacts, processes};

pub use api::Api;
pub use machine::{Machine, interface};
pub use node::Node;

/// Names the Python of an environment with Ironic.
const PYTHON: &str = "IPA_IRONIC_PYTHON";
/// Longest time until it serves: it makes its database first.
const START: Duration = Duration::from_secs(120);
/// Between two looks whether it serves.
const LOOK: Duration = Duration::from_millis(250);
/// What of its log is shown when a test fails.
const LOG_TAIL: usize = 16 * 1024;

/// A running Ironic.
#[derive(Debug)]
pub struct Ironic {
    home: PathBuf,
    api: Api,
    /// The launcher ends Ironic when this is closed, which the end of this process does.
    _life: ChildStdin,
}

impl Ironic {
    /// The one Ironic of this test program; started when first asked for.
    ///
    /// # Panics
    /// There is no environment with Ironic, or it does not come up.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Ironic> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Its API's URL, as the agent gets it.
    pub fn url(&self) -> &str {
        self.api.url()
    }

    /// Its API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The authority of its certificate, in PEM form.
    pub fn authority(&self) -> PathBuf {
        self.home.join("ca.pem")
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        let log = fs::read(self.home.join("ironic.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned()
    }

    /// True if its log has a line with all these parts.
    pub fn has_logged(&self, parts: &[&str]) -> bool {
        let log = fs::read(self.home.join("ironic.log")).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    fn start() -> Self {
        let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
            panic!("{PYTHON} must name the Python of an environment with Ironic; `cargo xtask test` makes one")
        });
        // The launcher removes it: nothing of a static is dropped.
        let home = tempfile::Builder::new().prefix("ipa-ironic-").tempdir().expect("a temporary directory").keep();
        let port = free_port();
        fs::write(home.join("ironic.conf"), config::ironic_conf(&home, port)).expect("our own directory");
        let mut command = Command::new(python);
        command
            .arg(artifacts::workspace().join("tests/src/real_ironic/serve.py"))
            .arg(&home)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(home.join("output")).expect("our own directory"));
        let mut output = File::open(home.join("output")).expect("it was made just now");
        let mut launcher = processes::spawn_untagged(&mut command);
        let life = launcher.stdin.take().expect("piped");
        wait_until_served(&home, port, &mut launcher, &mut output);
        let api = Api::new(&format!("https://127.0.0.1:{port}"), &home.join("ca.pem"));
        Self { home, api, _life: life }
    }
}

/// The port is free now; nothing else here takes ports by number.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback interface");
    listener.local_addr().expect("it is bound").port()
}

/// Its API begins to listen when the conductor has started.
fn wait_until_served(home: &Path, port: u16, launcher: &mut Child, output: &mut File) {
    let end = Instant::now() + START;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = launcher.try_wait().expect("a child can be asked");
        if ended.is_some() || Instant::now() >= end {
            let mut said = String::new();
            // What cannot be read cannot be shown.
            let _ = output.read_to_string(&mut said);
            let log = fs::read_to_string(home.join("ironic.log")).unwrap_or_default();
            panic!("Ironic does not serve within {START:?}; launcher: {ended:?}\n{said}\n{log}");
        }
        std::thread::sleep(LOOK);
    }
}
