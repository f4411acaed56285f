//! The main loop: everything that happens, one thing after the other, and never a wait without an end.

mod children;
mod consoles;
mod effects;
mod logins;
mod medium;
mod start;
mod stop;
mod time;
mod udev;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use self::children::{Later, Role};
use crate::console::Log;
use crate::devices;
use crate::kernel_line::KernelLine;
use crate::log_file::LogFile;
use crate::login::Asked;
use crate::network::netlink::Netlink;
use crate::network::{Event, Network, lease};
use crate::power::Action;
use crate::process::timespec;
use crate::signals::Signals;
use crate::supervise::{self, Agent};

/// Longest time from the start until the agent runs without a network.
const NETWORK: Duration = Duration::from_secs(60);
/// Time between looks for what nobody tells.
const TICK: Duration = Duration::from_millis(50);
/// The longest wait for anything to happen.
const IDLE: Duration = Duration::from_secs(3600);
/// How long udev may take to name a NIC.
const NAMING: Duration = Duration::from_secs(15);
/// Where PID 1 has its own things, below the root.
const RUN: &str = "run/ipa-init";

/// How it runs: on a machine, or on trial in a container.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The agent and its arguments.
    agent: Vec<String>,
    /// Time between its end and its next start.
    restart: Duration,
    /// The kernel line.
    line: PathBuf,
    /// Consoles that are written to, besides those that the kernel line and the kernel say.
    consoles: Vec<PathBuf>,
    /// The kernel's list of consoles.
    active: PathBuf,
    /// Where device nodes are; if that is nowhere, no console is looked for.
    nodes: PathBuf,
    /// False on trial: there are devices, file systems and clocks already, and they are somebody else's.
    owns_machine: bool,
    /// Longest time until the agent runs without a network.
    network: Duration,
    /// True if the clock is not believed, whatever it says.
    doubts_clock: bool,
    /// What makes device nodes; none on trial, unless a word says so.
    udevd: Option<String>,
    /// Where `etc`, `run` and `var` are.
    root: PathBuf,
}

impl Settings {
    /// For the ramdisk.
    pub fn machine() -> Self {
        Self {
            agent: ["/usr/bin/ipa-host", "--config-dir", "/etc/ironic-python-agent.d/"].map(str::to_owned).to_vec(),
            restart: supervise::RESTART,
            line: "/proc/cmdline".into(),
            consoles: Vec::new(),
            active: "/sys/class/tty/console/active".into(),
            nodes: "/dev".into(),
            owns_machine: true,
            network: NETWORK,
            doubts_clock: false,
            udevd: Some(devices::UDEVD.to_owned()),
            root: "/".into(),
        }
    }

    /// For a container, from words `KEY=VALUE`: `agent` (one word of its command line each), `restart-ms`,
    /// `network-ms`, `line`, `console`, `active`, `dev`, `udevd`, `root`, and `clock=wrong`. What is not said is as on a machine.
    pub fn trial(words: &[&str]) -> Self {
        let mut settings = Self { owns_machine: false, udevd: None, nodes: PathBuf::new(), ..Self::machine() };
        let agent: Vec<String> =
            words.iter().filter_map(|word| word.strip_prefix("agent=")).map(str::to_owned).collect();
        if !agent.is_empty() {
            settings.agent = agent;
        }
        for (key, value) in words.iter().filter_map(|word| word.split_once('=')) {
            let time = value.parse().map(Duration::from_millis);
            match (key, time) {
                ("restart-ms", Ok(time)) => settings.restart = time,
                ("network-ms", Ok(time)) => settings.network = time,
                ("line", _) => settings.line = value.into(),
                ("console", _) => settings.consoles.push(value.into()),
                ("active", _) => settings.active = value.into(),
                ("dev", _) => settings.nodes = value.into(),
                ("clock", _) => settings.doubts_clock = value == "wrong",
                ("udevd", _) => settings.udevd = Some(value.to_owned()),
                ("root", _) => settings.root = value.into(),
                _ => {}
            }
        }
        settings
    }
}

/// Everything that PID 1 knows.
struct Init {
    settings: Settings,
    line: KernelLine,
    log: Log,
    agent_log: LogFile,
    consoles: Vec<String>,
    watch: consoles::Watch,
    signals: Signals,
    netlink: Option<Netlink>,
    dhcp: Option<UnixDatagram>,
    rescue: Option<OwnedFd>,
    network: Network,
    /// When each NIC without its last name was seen first.
    unnamed: BTreeMap<u32, Instant>,
    children: BTreeMap<u32, Role>,
    later: Vec<(Instant, Later)>,
    agent: Agent,
    agent_started: bool,
    network_deadline: Instant,
    half_ready: Option<Instant>,
    medium: Option<medium::Search>,
    asked: Asked,
    clock: time::Clock,
    udev: udev::Udev,
    sshd: Option<u32>,
    sshd_takes_passwords: bool,
    rescued_with: Option<String>,
    stopping: Option<stop::Stopping>,
}

/// Runs until the machine is to go down. Everything is stopped then.
pub fn run(settings: Settings) -> Action {
    // It never fails with signals that exist; without them nobody could be reaped.
    let signals = Signals::catch().expect("signals can be caught");
    let mut init = Init::start(settings, signals);
    loop {
        init.wait();
        if let Some(action) = init.turn() {
            return action;
        }
    }
}

/// What a DHCP client's handler does, which was run by this path: tells PID 1. One client has the event as its argument,
/// the other one in the environment.
///
/// # Errors
/// PID 1 does not listen.
pub fn tell(path: &str, event: Option<&str>) -> Result<(), String> {
    let variable = |name: &str| std::env::var(name).ok();
    let event = match event {
        Some(event) => event.to_owned(),
        None if variable("protocol").as_deref() == Some("dhcp6") => variable("reason").unwrap_or_default(),
        // What becomes of the link the kernel tells.
        None => return Ok(()),
    };
    let datagram = lease::encode(&event, variable);
    let socket = Path::new(path).with_file_name(lease::SOCKET);
    let sent = UnixDatagram::unbound().and_then(|own| own.send_to(&datagram, &socket));
    sent.map(drop).map_err(|error| format!("{}: {error}", socket.display()))
}

impl Init {
    /// A path below the root.
    fn path(&self, below: &str) -> PathBuf {
        self.settings.root.join(below)
    }

    fn is_rescued(&self) -> bool {
        self.path(supervise::RESCUED).exists()
    }

    /// One round: takes what came, and does what is due.
    fn turn(&mut self) -> Option<Action> {
        self.log.flush();
        self.take_output();
        self.take_consoles();
        if let Some(action) = self.signals.take().into_iter().find_map(Action::of_signal) {
            self.stop(action);
        }
        self.reap();
        self.take_udev();
        self.take_network();
        self.look_for_names();
        self.do_later();
        if self.rescue.as_ref().is_some_and(start::drain) {
            self.check_rescue();
        }
        if self.stopping.is_some() {
            return self.stopped();
        }
        self.ask_for_time();
        self.start_agent_if_due();
        None
    }

    /// Waits until something happens or is due.
    fn wait(&self) {
        let now = Instant::now();
        let mut due = now + IDLE;
        let mut no_later_than = |time: Instant| due = due.min(time);
        self.later.iter().for_each(|(time, _)| no_later_than(*time));
        self.agent.start_at.into_iter().for_each(&mut no_later_than);
        if !self.agent_started {
            no_later_than(self.network_deadline);
            self.half_ready.into_iter().for_each(|since| no_later_than(since + self.network.patience()));
            self.clock.agent_waits_until.into_iter().for_each(&mut no_later_than);
        }
        if !self.unnamed.is_empty() || self.stopping.is_some() {
            no_later_than(now + TICK);
        }
        self.medium.iter().for_each(|medium| no_later_than(medium.deadline));
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.netlink.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.dhcp.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.watch.nodes.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        // As sysfs tells of changes.
        fds.extend(self.watch.list.iter().map(|fd| PollFd::new(fd, PollFlags::PRI)));
        fds.extend(self.udev.socket().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.rescue.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(self.agent.output().map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.extend(
            self.medium.iter().filter_map(|medium| medium.output.as_ref()).map(|fd| PollFd::new(fd, PollFlags::IN)),
        );
        let waiting: Vec<_> = self.log.waiting().collect();
        fds.extend(waiting.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)));
        // An interruption is a round without news.
        let _ = poll(&mut fds, Some(&timespec(due.saturating_duration_since(now))));
    }

    /// Passes on what the agent wrote, and collects what the search for a medium found.
    fn take_output(&mut self) {
        for line in self.agent.read() {
            self.log.show(&line);
            self.agent_log.write(&line);
        }
        self.take_medium();
    }

    fn take_network(&mut self) {
        let told = self.netlink.as_ref().map(Netlink::read);
        match told {
            Some(Ok(events)) => events.into_iter().for_each(|event| self.event(event)),
            Some(Err(error)) => {
                self.log.say(format_args!("network: the kernel tells nothing of links any more: {error}"));
                self.netlink = None;
            }
            None => {}
        }
        let mut buffer = [0; lease::LIMIT];
        while let Some(Ok(length)) = self.dhcp.as_ref().map(|socket| socket.recv(&mut buffer)) {
            match lease::decode(&buffer[..length]) {
                Ok(told) => self.event(Event::Dhcp(told)),
                Err(why) => self.log.say(format_args!("network: {why}")),
            }
        }
    }

    fn start_agent_if_due(&mut self) {
        let now = Instant::now();
        if self.agent.start_at.is_some_and(|time| time <= now) {
            self.start_agent();
        }
        if self.agent_started || self.medium.is_some() {
            return;
        }
        if self.half_ready.is_none() && self.network.is_half_ready() {
            self.half_ready = Some(now);
        }
        let enough = self.network.is_ready() || self.network.is_off();
        let second_choice = self.half_ready.is_some_and(|since| now >= since + self.network.patience());
        if enough || (second_choice && self.network.is_half_ready()) || now >= self.network_deadline {
            if self.clock.holds_agent(now) {
                return;
            }
            let summary = self.network.summary();
            let late = if now >= self.network_deadline { "no network in time, the agent starts without: " } else { "" };
            self.log.say(format_args!("network: {late}{summary}"));
            self.agent_started = true;
            self.start_agent();
        }
    }
}
