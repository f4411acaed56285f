//! What follows from events, carried out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::children::Role;
use super::{Init, RUN};
use crate::login;
use crate::network::{Action, Client, Event, lease};
use crate::process::{command, pid, run};
use crate::supervise::RESCUED;

const BUSYBOX: &str = "/usr/bin/busybox";
/// Time for one `ip`; it only asks the kernel.
const IP: Duration = Duration::from_secs(10);
const RESOLV_CONF: &str = "/etc/resolv.conf";

impl Init {
    /// Tells the network what happened, and does what follows.
    pub(super) fn event(&mut self, event: Event) {
        for action in self.network.event(event) {
            self.act(action);
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Say(text) => self.log.say(format_args!("network: {text}")),
            Action::Hostname(name) => self.set_hostname(&name),
            Action::ResolvConf(text) => {
                let path = if self.settings.owns_machine {
                    Path::new(RESOLV_CONF)
                } else {
                    Path::new("/run/ipa-init/resolv.conf")
                };
                let shown = text.trim().replace('\n', ", ");
                match fs::write(path, text) {
                    Ok(()) => self.log.say(format_args!("network: {}: {shown}", path.display())),
                    Err(error) => self.log.say(format_args!("network: {}: {error}", path.display())),
                }
            }
            Action::Write { path, value } => {
                if let Err(error) = fs::write(&path, &value) {
                    self.log.say(format_args!("network: {value} cannot be written to {path}: {error}"));
                }
            }
            Action::Ip(words) => {
                let argv: Vec<&str> = [BUSYBOX, "ip"].into_iter().chain(words.iter().map(String::as_str)).collect();
                if let Err(why) = run(command(&argv), IP) {
                    self.log.say(format_args!("network: {why}"));
                }
            }
            Action::Start { index, name, client } => self.start_client(index, &name, client),
            Action::Stop(index) => self.stop_clients(index, Signal::TERM, None),
            // A machine in rescue mode is moved to its user's network.
            Action::Renew(index) if Path::new(RESCUED).exists() => self.stop_clients(index, Signal::TERM, None),
            Action::Renew(index) => self.stop_clients(index, Signal::USR1, Some(Client::V4)),
        }
    }

    fn start_client(&mut self, index: u32, name: &str, client: Client) {
        let program = match client {
            Client::V4 => "udhcpc",
            Client::V6 => "udhcpc6",
        };
        if client == Client::V6 && !self.has_applet(program) {
            self.log.say(format_args!("network: {name} should ask a DHCPv6 server, but busybox has no {program}"));
            return;
        }
        let handler = format!("{RUN}/{}", lease::HANDLER);
        let mut argv = vec![BUSYBOX, program, "-f", "-i", name, "-s", &handler, "-t", "4", "-T", "3", "-A", "5"];
        if client == Client::V4 {
            argv.extend(["-O", "staticroutes", "-O", "mtu", "-O", "search", "-O", "hostname"]);
        }
        self.log.say(format_args!("network: {name} asks for an address ({program})"));
        self.spawn(command(&argv), Role::Dhcp { index, client });
    }

    fn has_applet(&self, name: &str) -> bool {
        let listed = command(&[BUSYBOX, "--list"]).output();
        listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).lines().any(|applet| applet == name))
    }

    fn stop_clients(&mut self, link: u32, signal: Signal, only: Option<Client>) {
        for (number, role) in &self.children {
            if let Role::Dhcp { index, client } = role
                && *index == link
                && only.is_none_or(|only| only == *client)
                && let Some(pid) = pid(*number)
            {
                // It may have ended just now.
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Sets up who was asked for on the kernel line and in the ramdisk.
    pub(super) fn asked_logins(&mut self) {
        let asked = self.asked.clone();
        asked.complaints.iter().for_each(|why| self.log.say(format_args!("login: {why}")));
        if asked.keys.is_empty() && asked.root_hash.is_none() && asked.shell.is_none() {
            return;
        }
        if let Err(why) = login::install_applets() {
            self.log.say(format_args!("login: {why}"));
        }
        if let Some(hash) = &asked.root_hash {
            match login::set_password(Path::new("/"), "root", "/root", hash) {
                Ok(()) => {
                    self.log.say("login: root, with the password of the kernel line, on all consoles");
                    self.consoles.clone().into_iter().for_each(|name| self.terminal(name, true));
                }
                Err(error) => self.log.say(format_args!("login: root cannot log in: {error}")),
            }
        }
        if !asked.keys.is_empty() {
            match login::set_keys(Path::new("/"), &asked.keys) {
                Ok(()) => self.start_sshd(false),
                Err(error) => self.log.say(format_args!("login: root cannot log in by SSH: {error}")),
            }
        }
        if let Some(terminal) = asked.shell {
            let name = if terminal.is_empty() { self.consoles.last().cloned().unwrap_or_default() } else { terminal };
            self.log.say(format_args!("login: a shell without login on {name}, systemd.debug_shell asks for it"));
            self.terminal(name, false);
        }
    }

    /// Lets the rescue user in, as soon as the agent wrote the password.
    pub(super) fn check_rescue(&mut self) {
        if !self.settings.owns_machine {
            return;
        }
        let hash = match login::rescue_hash(Path::new("/")) {
            None => return,
            Some(Err(why)) => return self.log.say(format_args!("login: {why}")),
            Some(Ok(hash)) => hash,
        };
        if self.rescued_with.as_ref() == Some(&hash) {
            return;
        }
        if let Err(why) = login::install_applets() {
            self.log.say(format_args!("login: {why}"));
        }
        if let Err(error) = login::set_password(Path::new("/"), "rescue", "/home/rescue", &hash) {
            return self.log.say(format_args!("login: the rescue user cannot be made: {error}"));
        }
        let is_first = self.rescued_with.replace(hash).is_none();
        self.log
            .say("login: rescue, with the password that Ironic set, on all consoles and by SSH if there is a server");
        if is_first {
            self.consoles.clone().into_iter().for_each(|name| self.terminal(name, true));
            self.start_sshd(true);
        }
    }

    pub(super) fn terminal(&mut self, name: String, with_login: bool) {
        let is_there = |role: &Role| matches!(role, Role::Terminal { name: taken, .. } if *taken == name);
        if self.children.values().any(is_there) || !Path::new("/dev").join(&name).exists() {
            return;
        }
        let argv = if with_login { login::getty(&name) } else { login::shell(&name) };
        self.spawn(command(&argv), Role::Terminal { name, with_login });
    }

    pub(super) fn start_sshd(&mut self, with_passwords: bool) {
        if !Path::new(login::DROPBEAR).exists() {
            return self.log.say(format_args!("login: not by SSH, this ramdisk was built without {}", login::DROPBEAR));
        }
        if let Some(pid) = self.sshd.take().and_then(pid) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Err(error) = fs::create_dir_all("/etc/dropbear") {
            self.log.say(format_args!("login: the SSH server's keys cannot be kept: {error}"));
        }
        let how = if with_passwords { "keys and passwords" } else { "keys" };
        self.log.say(format_args!("login: by SSH with {how}"));
        self.sshd = self.spawn(command(&login::sshd(with_passwords)), Role::Sshd { with_passwords });
    }
}
