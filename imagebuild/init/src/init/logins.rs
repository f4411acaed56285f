//! Who may log in, set up.

use std::fs;
use std::path::Path;

use rustix::process::{Signal, kill_process};

use super::children::Role;
use super::{Init, start};
use crate::login;
use crate::process::{command, pid};

impl Init {
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
            match login::set_password(&self.settings.root, "root", "/root", hash) {
                Ok(()) => {
                    self.log.say("login: root, with the password of the kernel line, on all consoles");
                    self.consoles.clone().into_iter().for_each(|name| self.terminal(name, true));
                }
                Err(error) => self.log.say(format_args!("login: root cannot log in: {error}")),
            }
        }
        if !asked.keys.is_empty() {
            match login::set_keys(&self.settings.root, &asked.keys) {
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
        let hash = match login::rescue_hash(&self.settings.root) {
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
        if let Err(error) = login::set_password(&self.settings.root, "rescue", "/home/rescue", &hash) {
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

    /// Lets those in on a console that came later who may log in on all.
    pub(super) fn login_on(&mut self, name: String) {
        if !self.settings.owns_machine {
            return;
        }
        if self.asked.shell.as_ref() == Some(&name) {
            self.terminal(name, false);
        } else if self.asked.root_hash.is_some() || self.rescued_with.is_some() {
            self.terminal(name, true);
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

    /// Starts the SSH server, or has it take passwords from now on as well.
    pub(super) fn start_sshd(&mut self, with_passwords: bool) {
        if !Path::new(login::DROPBEAR).exists() {
            return self.log.say(format_args!("login: not by SSH, this ramdisk was built without {}", login::DROPBEAR));
        }
        self.sshd_takes_passwords |= with_passwords;
        if let Some(running) = self.sshd {
            // It is started again when it has given up its port. Who is logged in stays so.
            if let Some(pid) = pid(running).filter(|_| with_passwords) {
                let _ = kill_process(pid, Signal::TERM);
            }
            return;
        }
        if let Err(error) = fs::create_dir_all("/etc/dropbear") {
            self.log.say(format_args!("login: the SSH server's keys cannot be kept: {error}"));
        }
        let how = if self.sshd_takes_passwords { "keys and passwords" } else { "keys" };
        self.log.say(format_args!("login: by SSH with {how}"));
        self.sshd = self.spawn(command(&login::sshd(self.sshd_takes_passwords)), Role::Sshd);
    }

    pub(super) fn prepare_logins(&mut self) {
        if !self.settings.owns_machine {
            return;
        }
        let directory = self.path(login::RESCUE_PASSWORD);
        match start::watch(directory.parent().unwrap_or(Path::new("/"))) {
            Ok(watch) => self.rescue = Some(watch),
            Err(error) => self.log.say(format_args!("login: {} cannot be watched: {error}", directory.display())),
        }
        self.asked_logins();
        self.check_rescue();
    }
}
