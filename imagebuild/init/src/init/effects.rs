//! What follows from events of the network, carried out.

use std::fs;
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::children::Role;
use super::{Init, RUN};
use crate::network::{Action, Client, Event, lease};
use crate::process::{command, pid, run};

const BUSYBOX: &str = "/usr/bin/busybox";
/// Time for one `ip`; it only asks the kernel.
const IP: Duration = Duration::from_secs(10);
const RESOLV_CONF: &str = "etc/resolv.conf";

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
                let path = self.path(RESOLV_CONF);
                let shown = text.trim().replace('\n', ", ");
                match fs::write(&path, text) {
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
            Action::Renew(index) if self.is_rescued() => self.stop_clients(index, Signal::TERM, None),
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
        let handler = self.path(RUN).join(lease::HANDLER).display().to_string();
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
}
