//! A guest with a BMC: Ironic's own client of Redfish switches it, and puts virtual media into its drive.
//!
//! The service is the emulator of sushy-tools, with a system behind it that is nothing but a record. This watches the
//! record and does with the guest what a BMC would: on and off, and at each power on the firmware boots the medium.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipa_vm::{Boot, Guest, Machine};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::ramdisk::Turn;
use crate::real_ironic::{Node, free_port};
use crate::{artifacts, processes, tls};

/// Names the Python of an environment with sushy-tools.
const PYTHON: &str = "IPA_REDFISH_PYTHON";
/// The system's UUID.
const SYSTEM: &str = "3f6e0f3c-7a0e-4f3c-9d55-0d2f7c1a9b10";
/// Longest time until the service answers.
const START: Duration = Duration::from_secs(60);
/// Longest time that one request may take.
const ANSWER: Duration = Duration::from_secs(60);
/// Between two looks at the record.
const LOOK: Duration = Duration::from_millis(250);

/// A machine in the hands of its BMC. What its guest last printed is shown if the test fails.
#[derive(Debug)]
pub struct Bmc {
    machine: Machine,
    url: String,
    http: reqwest::Client,
    guest: Option<Guest>,
    /// What the last guest has printed that is off again.
    printed: String,
    boots: u32,
    _turn: Turn,
    _service: Service,
    /// Last, so that whoever writes there is gone before it is.
    home: TempDir,
}

/// The emulator, ended when dropped. It ends too when its standard input does, should this process be killed.
#[derive(Debug)]
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bmc {
    /// The BMC of a machine, which is off and has no medium.
    ///
    /// # Panics
    /// There is no environment with sushy-tools, or the service does not come up.
    pub async fn of(machine: Machine) -> Self {
        let turn = Turn::take();
        let python = std::env::var_os(PYTHON).unwrap_or_else(|| {
            panic!("{PYTHON} must name the Python of an environment with sushy-tools; `cargo xtask test` makes one")
        });
        let home = tempfile::Builder::new().prefix("ipa-bmc-").tempdir().expect("a temporary directory");
        let port = free_port();
        let (config, output) = (home.path().join("emulator.conf"), home.path().join("output"));
        fs::write(&config, configuration(&home, port)).expect("our own directory");
        let mut command = Command::new(python);
        command
            .arg(artifacts::workspace().join("tests/src/bmc/emulate.py"))
            .arg(&config)
            // It copies media there.
            .env("TMPDIR", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&output).expect("our own directory"));
        let mut service = Service(processes::spawn_untagged(&mut command));
        let end = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = service.0.try_wait().expect("a child can be asked");
            let said = || fs::read_to_string(&output).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "the BMC does not serve: {ended:?}\n{}", said());
            sleep(LOOK).await;
        }
        let url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder()
            .timeout(ANSWER)
            .no_proxy()
            // Without any settings of TLS the client would ask for the process's.
            .tls_backend_preconfigured(tls::trusting(b""))
            .build()
            .expect("a plain client");
        Self { machine, url, http, home, guest: None, printed: String::new(), boots: 0, _turn: turn, _service: service }
    }

    /// What Ironic has to know to reach it.
    pub fn driver_info(&self) -> Value {
        json!({
            "redfish_address": self.url, "redfish_system_id": format!("/redfish/v1/Systems/{SYSTEM}"),
            "redfish_username": "nobody", "redfish_password": "asks",
        })
    }

    /// How often the machine was booted so far.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// All that the guest of the last boot has printed.
    pub fn console(&self) -> String {
        self.guest.as_ref().map_or_else(|| self.printed.clone(), |guest| guest.console().text())
    }

    /// Does what Ironic wants until `fits` is true of the node, and gives the node as it is then; `what` says what is
    /// waited for.
    ///
    /// # Panics
    /// That is not so in time, the node ends in a state of failure, or the guest does not start.
    pub async fn until(&mut self, node: &Node, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        tokio::select! {
            reached = node.until(what, fits) => reached,
            () = self.obey() => unreachable!("it never ends"),
        }
    }

    async fn obey(&mut self) {
        loop {
            let is_on = self.get(&format!("Systems/{SYSTEM}")).await["PowerState"] == "On";
            match &self.guest {
                None if is_on => self.boot().await,
                Some(_) if !is_on => {
                    self.printed = self.console();
                    self.guest = None;
                }
                _ => {}
            }
            sleep(LOOK).await;
        }
    }

    async fn boot(&mut self) {
        let medium = self.get(&format!("Systems/{SYSTEM}/VirtualMedia/Cd")).await;
        // Whoever finds no medium boots from disk, and there is nothing on it.
        if medium["Inserted"] != true {
            return;
        }
        let url = medium["Image"].as_str().expect("a URL");
        let image = self.medium(url).await;
        let guest = self.machine.power_on(&Boot::Cd(image)).unwrap_or_else(|failure| panic!("{failure}"));
        self.guest = Some(guest);
        self.boots += 1;
    }

    /// The medium, read from where it was published.
    async fn medium(&self, url: &str) -> PathBuf {
        let answer = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let bytes = answer.bytes().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let file = self.home.path().join("medium.iso");
        fs::write(&file, bytes).expect("our own directory");
        file
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}/redfish/v1/{path}", self.url);
        let answer = self.http.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        let text = answer.text().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
    }
}

/// The emulator's configuration, which it reads as Python.
fn configuration(home: &TempDir, port: u16) -> String {
    let system = json!({"uuid": SYSTEM, "name": "machine", "power_state": "Off", "nics": []});
    format!(
        "\
SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'
SUSHY_EMULATOR_LISTEN_PORT = {port}
SUSHY_EMULATOR_STATE_DIR = {:?}
SUSHY_EMULATOR_FAKE_DRIVER = True
SUSHY_EMULATOR_FAKE_SYSTEMS = [{system}]
",
        home.path()
    )
}

impl Drop for Bmc {
    fn drop(&mut self) {
        if let (true, Some(guest)) = (std::thread::panicking(), &self.guest) {
            eprintln!("{}", guest.failure("it was on when the test failed"));
        }
    }
}
