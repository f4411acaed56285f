//! A running host.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::plugin_dir::PluginDir;
use crate::processes::Tag;
use crate::{artifacts, processes};

/// The token of every host here, as long as Ironic's.
pub const TOKEN: &str = "tests-only-0123456789abcdef0123456789";
/// Longest time until a host listens, with many plugins on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Longest time until all that a host has written has been read.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Longest time until a killed host's last process is gone.
const AFTERMATH: Duration = Duration::from_secs(15);

/// What a host is started with.
#[derive(Debug)]
pub struct Builder {
    plugins: PluginDir,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    token: Token,
    standalone: bool,
    own_network: bool,
    port: u16,
    everywhere: bool,
    inside: Vec<OsString>,
}

/// Where a host's token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// It is [`TOKEN`], by its flag.
    Given,
    /// The host makes one.
    Made,
    /// Ironic gives it, and gives [`TOKEN`].
    Ironic,
}

/// A host that listens. Dropping it kills it and fails the test if a process of it is left.
#[derive(Debug)]
pub struct Host {
    child: Child,
    client: Client,
    address: String,
    log: Arc<Log>,
    tag: Tag,
    plugins: PluginDir,
    token: Token,
    finished: bool,
}

/// What a host wrote to standard error, line by line.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Host {
    /// A host with a plugin directory, standalone, on a free port of the loopback interface.
    pub fn with(plugins: PluginDir) -> Builder {
        Builder {
            plugins,
            flags: Vec::new(),
            variables: Vec::new(),
            token: Token::Given,
            standalone: true,
            own_network: false,
            port: 0,
            everywhere: false,
            inside: Vec::new(),
        }
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until it listens.
    pub fn listens(&mut self) {
        let listening = self.log.wait(START, |line| line.contains("listening on http"));
        let address = listening.as_deref().and_then(|line| {
            let start = line.find("http")?;
            Some(line[start..].split([' ', '"']).next().unwrap_or_default().trim_end_matches('/').to_owned())
        });
        let Some(address) = address else { panic!("the host does not listen:\n{}", self.log()) };
        let made = std::fs::read_to_string(token_file(&self.plugins)).unwrap_or_default();
        self.client = Client::new(&address, if self.token == Token::Made { made.trim() } else { TOKEN });
        self.address = address;
    }

    /// Where it listens, for example `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        self.address.trim_start_matches("http://").trim_start_matches("https://")
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What marks its processes.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Its control socket.
    pub fn control_socket(&self) -> PathBuf {
        control_socket(&self.plugins)
    }

    /// Runs a program in the network namespace of a host that was started [`in_own_network`](Builder::in_own_network),
    /// and gives what it writes to standard output, or, if it fails, to standard error.
    pub fn in_its_network(&self, argv: &[&str]) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target", &self.id().to_string(), "--"]).args(argv);
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Its plugin directory.
    pub fn plugin_dir(&self) -> &PluginDir {
        &self.plugins
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().expect("the reader does not panic").lines.join("\n")
    }

    /// All that it has written to standard output so far.
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(stdout_file(&self.plugins)).expect("the host was started with it")
    }

    /// The file with the token, if the host made one.
    pub fn token_file(&self) -> PathBuf {
        token_file(&self.plugins)
    }

    /// True if it has logged a line that has all these parts.
    pub fn has_logged(&self, parts: &[&str]) -> bool {
        self.log().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    /// Waits for a log line that has all these parts and gives it.
    pub fn log_line(&self, parts: &[&str]) -> String {
        self.log
            .wait(START, |line| parts.iter().all(|part| line.contains(part)))
            .unwrap_or_else(|| panic!("no line with {parts:?} in the log:\n{}", self.log()))
    }

    /// Panics unless the host still answers, and still performs a step of the well-behaved plugin.
    pub async fn assert_well(&self) {
        let status = self.client.get("/v1/status").await;
        assert_eq!(status.status, 200, "{}", status.body);
        let result = self.client.clean_step("acme_erase_cache").await;
        assert_eq!(result["command_status"], "SUCCEEDED", "{result}\n{}", self.log());
    }

    /// Sends a signal to the host's process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the host runs");
    }

    /// Waits until the host has ended. Panics after `patience`.
    pub fn ended(&mut self, patience: Duration) -> ExitStatus {
        let end = Instant::now() + patience;
        let left = processes::wait_for(self.pid(), end);
        assert!(left, "the host did not end within {patience:?}:\n{}", self.log());
        // Its last words may still be on their way: the reader of standard error comes to its end with the last process
        // that holds it.
        self.log.wait(LAST_WORDS, |_| false);
        self.child.wait().expect("a child can be waited for")
    }

    /// Ends the host by SIGTERM and gives its exit code. Panics if it does not end or leaves a process behind.
    pub fn terminate(self) -> i32 {
        self.terminate_with_log().0
    }

    /// As [`terminate`](Self::terminate), with all that it has logged.
    pub fn terminate_with_log(mut self) -> (i32, String) {
        self.signal(Signal::TERM);
        let status = self.ended(START);
        self.finish();
        let code = status.code().unwrap_or_else(|| panic!("killed by signal {:?}:\n{}", status.signal(), self.log()));
        (code, self.log())
    }

    /// Kills the host and checks that nothing of it is left.
    fn finish(&mut self) {
        self.finished = true;
        // Neither fails for a child that has ended but for one that was waited for, which is fine too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let left = processes::left_after(AFTERMATH, self.tag);
        processes::kill_left(&left);
        if !left.is_empty() && !std::thread::panicking() {
            panic!("the host left processes behind: {left:#?}\n{}", self.log());
        }
    }

    fn pid(&self) -> Pid {
        let number = i32::try_from(self.child.id()).expect("a process number is positive");
        Pid::from_raw(number).expect("a process number is positive")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !self.finished {
            self.finish();
        }
    }
}

impl Builder {
    /// Adds a flag.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Sets a deadline in seconds: of `load`, `evaluate`, `initialize`, `call`, `list`, `step` or `grace`.
    #[must_use]
    pub fn deadline(self, name: &str, seconds: f64) -> Self {
        self.flag("--deadline").flag(&format!("{name}={seconds}"))
    }

    /// Gives it a network namespace of its own, in which there is only a loopback interface, and that is down. The
    /// [`Client`] cannot reach it there.
    #[must_use]
    pub fn in_own_network(self) -> Self {
        Self { own_network: true, ..self }
    }

    /// Has it listen on this port instead of any free one.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Gives it an `/etc` and a `/run` of its own below `directory`, and takes from it whatever could harm this machine;
    /// `tests/src/real_ironic/own-files` says how. The kernel line is the text of `cmdline` in there.
    #[must_use]
    pub fn with_own_files(self, directory: &Path) -> Self {
        let own_files = artifacts::workspace().join("tests/src/real_ironic/own-files");
        self.inside(&[own_files.as_os_str(), directory.as_os_str()])
    }

    /// Has it listen where it does by default. Only in a network of its own that is nobody else's place.
    #[must_use]
    pub fn listens_by_default(self) -> Self {
        Self { everywhere: true, ..self }
    }

    /// Moves its wall clock by as many seconds as the file says, at any time.
    #[must_use]
    pub fn with_wall_clock(self, seconds: &Path) -> Self {
        let library = artifacts::misbehaving("wall_clock").display().to_string();
        self.variable("LD_PRELOAD", &library).variable("WALL_CLOCK", &seconds.display().to_string())
    }

    /// Starts it by a program that becomes what its further arguments say.
    #[must_use]
    pub fn inside<S: AsRef<OsStr>>(mut self, program: &[S]) -> Self {
        self.inside.extend(program.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Gives it no token, so that it makes one.
    #[must_use]
    pub fn makes_token(self) -> Self {
        Self { token: Token::Made, ..self }
    }

    /// Gives it an Ironic to look its node up at, and no token.
    #[must_use]
    pub fn with_ironic(self, urls: &str) -> Self {
        self.for_ironic().flag("--api-url").flag(urls)
    }

    /// Lets it deal with Ironic as its other flags say, and gives it no token.
    #[must_use]
    pub fn for_ironic(self) -> Self {
        Self { token: Token::Ironic, standalone: false, ..self }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the host and returns once it listens.
    pub fn start(self) -> Host {
        let mut host = self.launch();
        host.listens();
        host
    }

    /// Starts the host and returns at once. Its client works after [`Host::listens`].
    pub fn launch(self) -> Host {
        // Each becomes the next, so the process number stays.
        let own_network = ["unshare", "--net", "--mount", "--"].map(OsString::from);
        let mut words = if self.own_network { own_network.to_vec() } else { Vec::new() };
        words.extend(self.inside);
        words.push(artifacts::host_binary().into_os_string());
        let mut command = Command::new(words.remove(0));
        command.args(words);
        command.arg("run");
        if !self.everywhere {
            command.args(["--listen-host", "127.0.0.1", "--listen-port", &self.port.to_string()]);
        }
        command
            .arg("--plugin-dir")
            .arg(self.plugins.path())
            .arg("--config-file")
            .arg(self.plugins.config_file())
            .arg("--control-socket")
            .arg(control_socket(&self.plugins))
            .args(&self.flags)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(stdout_file(&self.plugins)).expect("our own directory"))
            .stderr(Stdio::piped());
        if self.standalone {
            command.arg("--standalone");
        }
        match self.token {
            Token::Given => command.args(["--agent-token", TOKEN]),
            Token::Made => command.arg("--agent-token-file").arg(token_file(&self.plugins)),
            Token::Ironic => &mut command,
        };
        let (mut child, tag) = processes::spawn_tagged(&mut command);
        let log = Arc::<Log>::default();
        let stderr = child.stderr.take().expect("piped");
        let reader = log.clone();
        std::thread::spawn(move || reader.read(BufReader::new(stderr)));
        let (client, address) = (Client::new("", ""), String::new());
        Host { child, client, address, log, tag, plugins: self.plugins, token: self.token, finished: false }
    }
}

impl Log {
    fn read(&self, mut stderr: impl BufRead) {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let ended = !matches!(stderr.read_until(b'\n', &mut bytes), Ok(1..));
            let mut lines = self.lines.lock().expect("no holder panics");
            if ended {
                lines.ended = true;
            } else {
                lines.lines.push(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned());
            }
            self.more.notify_all();
            if ended {
                return;
            }
        }
    }

    /// The first line, of those so far or to come, for which `fits` is true.
    fn wait(&self, patience: Duration, fits: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + patience;
        let mut seen = 0;
        let mut lines = self.lines.lock().expect("no holder panics");
        loop {
            if let Some(line) = lines.lines[seen..].iter().find(|line| fits(line)) {
                return Some(line.clone());
            }
            seen = lines.lines.len();
            let rest = end.checked_duration_since(Instant::now())?;
            if lines.ended {
                return None;
            }
            lines = self.more.wait_timeout(lines, rest).expect("no holder panics").0;
        }
    }
}

fn control_socket(plugins: &PluginDir) -> PathBuf {
    plugins.home().join("control.sock")
}

fn stdout_file(plugins: &PluginDir) -> PathBuf {
    plugins.home().join("stdout")
}

fn token_file(plugins: &PluginDir) -> PathBuf {
    plugins.home().join("agent-token")
}
