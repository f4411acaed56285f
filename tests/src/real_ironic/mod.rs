//! A real Ironic: the release of PyPI as it is, in one process, on the loopback interface.
//!
//! * [`Ironic`] starts it, once per test program, and ends it with the program.
//! * [`api`] asks its API, as an operator does.
//! * [`node`] enrols nodes and waits for what becomes of them.
//! * [`machine`] is what such a node stands for: an agent on this machine, where it can do no harm, with network
//!   interfaces of its own.
//!
//! Ironic offers no events, so its API is asked again and again; every such wait has a deadline.

mod api;
mod config;
mod machine;
mod node;

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{artifacts, processes};

pub use api::{AgentApi, Api};
pub use config::Setup;
pub use machine::{Asked, Machine, interface};
pub use node::Node;
pub use reqwest::Method;

/// Names the Python of an environment with Ironic.
const PYTHON: &str = "IPA_IRONIC_PYTHON";
/// Longest time until it serves: it makes its database first.
const START: Duration = Duration::from_secs(90);
/// Between two looks whether it serves.
const LOOK: Duration = Duration::from_millis(250);
/// What of its log is shown when a test fails, in bytes.
const TAIL: usize = 16 * 1024;

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
        static SHARED: OnceLock<Result<Ironic, String>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Setup::default())).as_ref().unwrap_or_else(|why| panic!("{why}"))
    }

    /// One for a single test, ended when dropped.
    ///
    /// # Panics
    /// As [`shared`](Self::shared).
    pub fn of_its_own(setup: Setup) -> Self {
        Self::start(setup).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Enrols nodes that wait for agents, straight in its database, and gives the file with the MAC address and the
    /// agent token of each, one node a line.
    ///
    /// # Panics
    /// It refuses one.
    pub fn enrol_many(&self, count: u16) -> PathBuf {
        let nodes = self.home.join("nodes");
        let mut command = Command::new(python().expect("the one it was started with"));
        command
            .arg(script("enrol.py"))
            .arg(&self.home)
            .arg(count.to_string())
            .stdin(Stdio::null())
            .stdout(File::create(&nodes).expect("our own directory"))
            .stderr(File::create(self.home.join("enrol.output")).expect("our own directory"));
        let status = processes::spawn_untagged(&mut command).wait().expect("a child can be waited for");
        assert!(status.success(), "enrolling {count} nodes: {status}\n{}", tail(&self.home.join("enrol.output")));
        nodes
    }

    /// Its API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The authority of its certificate, in PEM form.
    pub fn authority(&self) -> PathBuf {
        self.home.join("ca.pem")
    }

    /// The address of a file of the ramdisk. Nothing boots it, so there is next to nothing in it.
    fn ramdisk_file(&self, name: &str) -> String {
        format!("file://{}", self.home.join("ramdisk").join(name).display())
    }

    /// Lets it take a copy of a file for what machines boot, and gives the address that it knows the copy by.
    pub fn offer(&self, file: &Path) -> String {
        let name = file.file_name().unwrap_or_else(|| panic!("{} is no file", file.display())).to_string_lossy();
        let to = self.home.join("ramdisk").join(&*name);
        fs::copy(file, &to).unwrap_or_else(|error| panic!("{} to {}: {error}", file.display(), to.display()));
        self.ramdisk_file(&name)
    }

    /// The names of the archives with a node's logs, which Ironic asked its agent for.
    fn logs_of(&self, uuid: &str) -> Vec<String> {
        let entries = fs::read_dir(self.home.join("logs")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(uuid)).collect()
    }

    /// The certificate that Ironic trusts a node's agent by, in PEM form.
    fn certificate_of(&self, uuid: &str) -> PathBuf {
        self.home.join("certificates").join(format!("{uuid}.crt"))
    }

    /// The iPXE script of a node; empty if there is none.
    fn ipxe_script(&self, uuid: &str) -> String {
        fs::read_to_string(self.home.join("http").join(uuid).join("config")).unwrap_or_default()
    }

    /// The end of its log.
    fn log_tail(&self) -> String {
        tail(&self.home.join("ironic.log"))
    }

    fn start(setup: Setup) -> Result<Self, String> {
        let python = python()?;
        // The launcher removes it: nothing of a static is dropped.
        let home = tempfile::Builder::new().prefix("ipa-ironic-").tempdir().expect("a temporary directory").keep();
        let (port, media) = (free_port(), free_port());
        let config = config::ironic_conf(&home, port, media, setup);
        fs::write(home.join("ironic.conf"), config).expect("our own directory");
        for name in ["http", "ramdisk"] {
            fs::create_dir(home.join(name)).expect("our own directory");
        }
        for name in ["kernel", "initrd"] {
            fs::write(home.join("ramdisk").join(name), name).expect("our own directory");
        }
        let mut command = Command::new(python);
        command
            .arg(script("serve.py"))
            .arg(&home)
            .arg(media.to_string())
            // It cleans up, so a signal from the terminal must not end it first.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(home.join("output")).expect("our own directory"));
        let mut launcher = processes::spawn_untagged(&mut command);
        let life = launcher.stdin.take().expect("piped");
        wait_until_served(&home, port, &mut launcher)?;
        let api = Api::new(&format!("https://127.0.0.1:{port}"), &home.join("ca.pem"));
        Ok(Self { home, api, _life: life })
    }
}

fn python() -> Result<OsString, String> {
    std::env::var_os(PYTHON).ok_or_else(|| {
        format!("{PYTHON} must name the Python of an environment with Ironic; `cargo xtask test` makes one")
    })
}

/// A program of ours for that Python.
fn script(name: &str) -> PathBuf {
    artifacts::workspace().join("tests/src/real_ironic").join(name)
}

/// A port of the loopback interface that nothing listens on now. Nothing else here takes ports by number.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback interface");
    listener.local_addr().expect("it is bound").port()
}

/// Its API begins to listen when the conductor has started.
fn wait_until_served(home: &Path, port: u16, launcher: &mut Child) -> Result<(), String> {
    let end = Instant::now() + START;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = launcher.try_wait().expect("a child can be asked");
        if ended.is_some() || Instant::now() >= end {
            let (output, log) = (tail(&home.join("output")), tail(&home.join("ironic.log")));
            return Err(format!("Ironic does not serve within {START:?}; its launcher: {ended:?}\n{output}\n{log}"));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The end of a file that may not be there.
fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned()
}
