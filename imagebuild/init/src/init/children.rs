//! Programs that run for long, and what follows from their end.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions, kill_process, wait};

use super::{Init, NAMING};
use crate::devices;
use crate::network::{Client, Event};
use crate::process::{line, pid};
use crate::supervise::{Next, RESCUED, after_end};

/// Time between the end of a client, a server or a login and its next start.
const PAUSE: Duration = Duration::from_secs(2);
/// Where udev keeps what it knows of devices.
const UDEV: &str = "/run/udev/data";
/// What stands there until a NIC has its last name.
const RENAMING: &str = "E:ID_RENAMING=1";
/// What modprobe complained of.
const MODPROBE_SAID: &str = "run/ipa-init/modprobe";

/// What a program is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Agent,
    Udev,
    Missed,
    FirstDevices,
    Devices,
    Modules,
    Medium,
    Dhcp { index: u32, client: Client },
    Terminal { name: String, with_login: bool },
    Sshd,
    Clock,
}

/// What is done after a while.
#[derive(Debug)]
pub(super) enum Later {
    Tell(Event),
    Terminal {
        name: String,
        with_login: bool,
    },
    Sshd,
    Consoles,
    Udev,
    UdevIsLate,
    /// Ends a program that should have ended by itself, if it still runs.
    Kill {
        number: u32,
        role: Role,
    },
}

impl Init {
    /// Starts a program that is not waited for, and whose output nobody wants. Returns its number.
    pub(super) fn spawn(&mut self, mut command: Command, role: Role) -> Option<u32> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.spawn_loud(command, role)
    }

    pub(super) fn spawn_loud(&mut self, mut command: Command, role: Role) -> Option<u32> {
        match command.spawn() {
            Ok(child) => {
                self.children.insert(child.id(), role);
                Some(child.id())
            }
            Err(error) => {
                self.log.say(format_args!("{}: {error}", line(&command)));
                None
            }
        }
    }

    pub(super) fn load_modules(&mut self) {
        let modules = devices::modules(&self.line, &self.settings.root);
        if modules.is_empty() {
            return;
        }
        self.log.say(format_args!("modules: loading {}", modules.join(" ")));
        let mut command = devices::load(&modules);
        // In memory, and read when it is done.
        command
            .stdout(Stdio::null())
            .stderr(File::create(self.path(MODPROBE_SAID)).map_or_else(|_| Stdio::null(), Stdio::from));
        self.spawn_loud(command, Role::Modules);
    }

    /// Tells udev of a part of the devices.
    pub(super) fn announce(&mut self, part: &[&str], which: &str) {
        match devices::announce(part) {
            Ok(()) => self.log.say(format_args!("devices: {which} announced to udev")),
            Err(why) => self.log.say(format_args!("devices: {why}")),
        }
    }

    /// Takes every process that ended, ours or an orphan.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((number, status))) = wait(WaitOptions::NOHANG) {
            let how = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("exited with status {code}"),
                (None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
            };
            let is_success = status.exit_status() == Some(0);
            let number = u32::try_from(number.as_raw_nonzero().get()).unwrap_or_default();
            if let Some(role) = self.children.remove(&number) {
                self.ended(role, is_success, &how);
            }
        }
    }

    fn ended(&mut self, role: Role, is_success: bool, how: &str) {
        let later = Instant::now() + PAUSE;
        match role {
            Role::Agent => self.agent_ended(how),
            Role::FirstDevices => {
                self.announce(devices::REST, "all others");
                self.spawn(devices::settle(false), Role::Devices);
            }
            Role::Devices => {
                let what = if is_success { "is done with all" } else { "is no longer waited for" };
                self.log.say(format_args!("devices: udev {what}"));
            }
            Role::Modules if is_success => self.log.say("modules: loaded"),
            Role::Modules => {
                let said = std::fs::read_to_string(self.path(MODPROBE_SAID)).unwrap_or_default();
                let said = said.trim().replace("modprobe: ", "").replace('\n', "; ");
                self.log.say(format_args!("modules: modprobe {how}: {said}"));
            }
            Role::Medium | Role::Missed => {}
            Role::Udev => self.udev_ended(how),
            Role::Clock => self.time_told(is_success, how),
            Role::Dhcp { index, client } => {
                self.log
                    .say(format_args!("network: DHCP client {client:?} of link {index} {how}, it is started again"));
                self.later.push((later, Later::Tell(Event::ClientEnded { index, client })));
            }
            Role::Terminal { name, with_login } => self.later.push((later, Later::Terminal { name, with_login })),
            Role::Sshd => {
                self.log.say(format_args!("login: the SSH server {how}, it is started again"));
                self.sshd = None;
                self.later.push((later, Later::Sshd));
            }
        }
    }

    fn agent_ended(&mut self, how: &str) {
        // What it wrote last is read first.
        self.take_output();
        self.agent.pid = None;
        let is_rescued = self.is_rescued();
        self.check_rescue();
        match after_end(is_rescued, self.stopping.is_some(), self.settings.restart) {
            Next::Restart(pause) => {
                self.log.say(format_args!("agent: {how}, it is started again in {} s", pause.as_secs_f32()));
                self.agent.start_at = Some(Instant::now() + pause);
            }
            Next::Stay if is_rescued => self.log.say(format_args!("agent: {how}, the machine is in rescue mode")),
            Next::Stay => self.log.say(format_args!("agent: {how}")),
        }
    }

    pub(super) fn start_agent(&mut self) {
        if self.is_rescued() {
            self.agent.start_at = None;
            self.log.say(format_args!("agent: not started, /{RESCUED} says that the machine is in rescue mode"));
            return;
        }
        let argv = self.settings.agent.clone();
        match self.agent.start(&argv) {
            Ok(number) => {
                self.children.insert(number, Role::Agent);
                self.log.say(format_args!("agent: started {} as process {number}", argv.join(" ")));
            }
            Err(error) => {
                self.log.say(format_args!("agent: {} cannot be started: {error}", argv.join(" ")));
                self.agent.start_at = Some(Instant::now() + self.settings.restart);
            }
        }
    }

    pub(super) fn do_later(&mut self) {
        let now = Instant::now();
        let due = self.later.extract_if(.., |(time, _)| *time <= now).map(|(_, what)| what);
        for what in due.collect::<Vec<Later>>() {
            match what {
                _ if self.stopping.is_some() => {}
                Later::Tell(event) => self.event(event),
                Later::Terminal { name, with_login } => self.terminal(name, with_login),
                Later::Sshd => self.start_sshd(false),
                Later::Consoles => self.open_consoles(),
                Later::Udev => self.start_udev(),
                Later::UdevIsLate => self.udev_is_late(),
                Later::Kill { number, role } => {
                    if self.children.get(&number) == Some(&role)
                        && let Some(pid) = pid(number)
                    {
                        self.log.say(format_args!("process {number} ({role:?}) does not end, it is killed"));
                        // It may have ended just now.
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
            }
        }
    }

    /// Tells the network which NICs have the name that they keep: those that udev is done with.
    pub(super) fn look_for_names(&mut self) {
        let now = Instant::now();
        let missing: Vec<u32> = self.network.unnamed().collect();
        self.unnamed.retain(|index, _| missing.contains(index));
        let mut named = Vec::new();
        for index in missing {
            let since = *self.unnamed.entry(index).or_insert(now);
            let known = std::fs::read_to_string(Path::new(UDEV).join(format!("n{index}")));
            let is_done = !self.settings.owns_machine || known.is_ok_and(|known| !known.contains(RENAMING));
            if is_done || now >= since + NAMING {
                named.push(index);
            }
        }
        if !named.is_empty() {
            // The kernel told the name before udev was done; it must be known first.
            self.take_network();
        }
        for index in named {
            self.unnamed.remove(&index);
            self.event(Event::Named(index));
        }
    }
}
