//! udev: started, and started again if it ends.
//!
//! As with systemd, nothing that the kernel tells meanwhile is lost: the socket to which it tells of devices is this
//! process's, and the next udev finds there what has come. What the last one had taken and was not done with is announced
//! again.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::Init;
use super::children::{Later, Role};
use crate::devices;
use crate::supervise::Endurance;

/// Where udev says that it takes orders.
const READY: &str = "run/ipa-init/udev.ready";
/// How long it is waited for that before devices are announced.
const START: Duration = Duration::from_secs(20);
/// Says that udev is at work, for programs that wait for its end.
const QUEUE: &str = "/run/udev/queue";

/// udev's process, and what outlives it.
#[derive(Debug, Default)]
pub(super) struct Udev {
    events: Option<OwnedFd>,
    socket: Option<UnixDatagram>,
    started: Option<Instant>,
    endurance: Endurance,
    /// True once it was ready, or was no longer waited for.
    is_told: bool,
}

impl Udev {
    /// Where it tells of itself.
    pub(super) fn socket(&self) -> Option<&UnixDatagram> {
        self.socket.as_ref()
    }
}

impl Init {
    pub(super) fn prepare_udev(&mut self) {
        if self.settings.owns_machine {
            match devices::listen() {
                Ok(events) => self.udev.events = Some(events),
                Err(error) => self.log.say(format_args!("devices: the kernel's events cannot be kept: {error}")),
            }
        }
        let socket = UnixDatagram::bind(self.path(READY));
        match socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)) {
            Ok(socket) => self.udev.socket = Some(socket),
            Err(error) => self.log.say(format_args!("devices: udev cannot say when it is ready: {error}")),
        }
        self.start_udev();
        if self.udev.events.is_some() {
            // They wait for udev, which begins meanwhile.
            self.announce_first();
        }
        self.later.push((Instant::now() + START, Later::UdevIsLate));
    }

    pub(super) fn start_udev(&mut self) {
        let Some(program) = self.settings.udevd.clone() else { return };
        self.udev.started = Some(Instant::now());
        let command = devices::udevd(&program, self.udev.events.as_ref(), &self.path(READY));
        let started = command.ok().and_then(|command| self.spawn(command, Role::Udev));
        if started.is_none() {
            self.udev_ended("cannot be started");
        }
    }

    pub(super) fn udev_ended(&mut self, how: &str) {
        let now = Instant::now();
        let ran = self.udev.started.map_or(Duration::ZERO, |started| now - started);
        if self.stopping.is_some() {
            return;
        }
        match self.udev.endurance.after(ran) {
            Some(pause) => {
                let (ran, pause_s) = (ran.as_secs(), pause.as_secs_f32());
                self.log.say(format_args!("devices: udev {how} after {ran} s, it is started again in {pause_s} s"));
                self.later.push((now + pause, Later::Udev));
            }
            None => {
                self.log.say(format_args!(
                    "devices: udev {how}, it ends again and again and is given up: what is plugged in from now on has no \
                     driver but those that are loaded, and no names below /dev/disk"
                ));
                // Nobody takes events any more, and nobody should wait for that.
                self.udev = Udev { is_told: true, ..Udev::default() };
                let _ = fs::remove_file(QUEUE);
            }
        }
    }

    /// Reads what udev tells of itself.
    pub(super) fn take_udev(&mut self) {
        let mut buffer = [0; 4096];
        let mut is_ready = false;
        while let Some(Ok(length)) = self.udev.socket.as_ref().map(|socket| socket.recv(&mut buffer)) {
            is_ready |= buffer[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
        }
        if !is_ready {
            return;
        }
        if !self.udev.is_told {
            self.log.say("devices: udev started");
            return self.wait_for_first();
        }
        self.log.say("devices: udev is there again, it is told of what it missed");
        if self.settings.owns_machine {
            self.spawn(devices::announce_missed(), Role::Missed);
        }
    }

    pub(super) fn udev_is_late(&mut self) {
        if !self.udev.is_told {
            self.log.say(format_args!("devices: udev is not ready after {} s", START.as_secs()));
            self.wait_for_first();
        }
    }

    fn announce_first(&mut self) {
        self.announce(devices::FIRST, "buses, NICs and disks");
    }

    /// Waits for udev to be done with the first devices, beside everything else.
    fn wait_for_first(&mut self) {
        self.udev.is_told = true;
        if !self.settings.owns_machine {
            return;
        }
        if self.udev.events.is_none() {
            self.announce_first();
        }
        self.spawn(devices::settle(true), Role::FirstDevices);
    }
}
