//! What follows from events of the network, carried out.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::children::{Later, Role};
use super::{Init, RUN};
use crate::network::address::Mac;
use crate::network::{Action, Client, Event, lease, lease6};
use crate::process::{command, pid, run};

const BUSYBOX: &str = "/usr/bin/busybox";
/// The client of DHCPv6, of Debian's package dhcpcd-base.
const DHCPCD: &str = "/usr/sbin/dhcpcd";
/// Time for one `ip`; it only asks the kernel.
const IP: Duration = Duration::from_secs(10);
/// Time for a client to end.
const END: Duration = Duration::from_secs(10);
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
            Action::Start { index, name, client: Client::V4, .. } => self.start_udhcpc(index, &name),
            Action::Start { index, name, mac, client } => self.start_dhcpcd(client, index, &name, mac),
            Action::Stop { index, only } => self.stop_clients(index, Signal::TERM, only),
            // A machine in rescue mode is moved to its user's network.
            Action::Renew(index) if self.is_rescued() => self.stop_clients(index, Signal::TERM, None),
            Action::Renew(index) => self.stop_clients(index, Signal::USR1, Some(Client::V4)),
        }
    }

    fn start_udhcpc(&mut self, index: u32, name: &str) {
        let handler = self.path(RUN).join(lease::HANDLER).display().to_string();
        let mut argv = vec![BUSYBOX, "udhcpc", "-f", "-i", name, "-s", &handler, "-t", "4", "-T", "3", "-A", "5"];
        argv.extend(["-O", "staticroutes", "-O", "mtu", "-O", "search", "-O", "hostname", "-O", "ntpsrv"]);
        self.log.say(format_args!("network: {name} asks for an address (udhcpc)"));
        self.spawn(command(&argv), Role::Dhcp { index, client: Client::V4 });
    }

    fn start_dhcpcd(&mut self, client: Client, index: u32, name: &str, mac: Option<Mac>) {
        if !Path::new(DHCPCD).exists() {
            let without = format!("this ramdisk was built without {DHCPCD} (package dhcpcd-base)");
            return self.log.say(format_args!("network: {name} should ask a DHCPv6 server, but {without}"));
        }
        let handler = self.path(RUN).join(lease::HANDLER).display().to_string();
        let duid = lease6::duid(mac);
        let mut argv = vec![DHCPCD];
        argv.extend(lease6::arguments(client, name, &handler, &duid));
        let what = if client == Client::Information { "what is known besides addresses" } else { "an IPv6 address" };
        self.log.say(format_args!("network: {name} asks for {what} (dhcpcd)"));
        self.spawn(command(&argv), Role::Dhcp { index, client });
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
                if signal == Signal::TERM {
                    self.later.push((Instant::now() + END, Later::Kill { number: *number, role: role.clone() }));
                }
            }
        }
    }
}
