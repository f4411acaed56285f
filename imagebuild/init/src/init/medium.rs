//! The search for a medium that tells the network, beside everything else.

use std::io::{self, Read};
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Signal, kill_process};

use super::Init;
use super::children::Role;
use crate::medium;
use crate::network::config::Config;
use crate::network::{Event, network_data};
use crate::process::{command, pid};

/// How much longer than it says the search for a medium may take.
const GRACE: Duration = Duration::from_secs(15);

/// The search for a medium with the network.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) output: Option<ChildStdout>,
    pub(super) deadline: Instant,
    pid: u32,
    read: Vec<u8>,
    /// What is wanted if there is none.
    otherwise: Config,
}

impl Init {
    pub(super) fn search_medium(&mut self, otherwise: Config) {
        let publisher = self.line.value("ir_pub_id").unwrap_or_default().to_owned();
        let mut argv = vec!["/proc/self/exe", "medium"];
        if !publisher.is_empty() {
            argv.push(&publisher);
        }
        let mut command = command(&argv);
        let child = command.stdout(Stdio::piped()).spawn();
        let child = child.and_then(|mut child| {
            let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            fcntl_setfl(&output, fcntl_getfl(&output)? | OFlags::NONBLOCK)?;
            Ok((child.id(), output))
        });
        match child {
            Ok((pid, output)) => {
                self.log.say("network: looking for a medium that tells it");
                self.children.insert(pid, Role::Medium);
                let deadline = Instant::now() + medium::WAIT + GRACE;
                self.medium = Some(Search { output: Some(output), deadline, pid, read: Vec::new(), otherwise });
            }
            Err(error) => {
                self.log.say(format_args!("network: the medium cannot be looked for: {error}"));
                self.event(Event::Wanted(otherwise));
            }
        }
    }

    /// Reads what the search found; at its end it is decided what is wanted.
    pub(super) fn take_medium(&mut self) {
        let Some(medium) = &mut self.medium else { return };
        let mut buffer = [0; 4096];
        while let Some(output) = &mut medium.output {
            match output.read(&mut buffer) {
                Ok(0) => medium.output = None,
                Ok(length) if medium.read.len() <= 2 * network_data::LIMIT => medium.read.extend(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => medium.output = None,
            }
        }
        let is_late = Instant::now() >= medium.deadline;
        if medium.output.is_some() && !is_late {
            return;
        }
        let Some(medium) = self.medium.take() else { return };
        if is_late && let Some(pid) = pid(medium.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let config = match medium::outcome(&medium.read) {
            medium::Found::Network { on, json } => {
                network_data::parse(&json).map(|config| (on.clone(), config)).map_err(|why| {
                    format!("network_data.json on {on} is not used: {why}; the network is configured without it")
                })
            }
            medium::Found::Nothing(why) => Err(format!("{why}; the network is configured without a medium")),
        };
        let config = match config {
            Ok((on, config)) => {
                self.log
                    .say(format_args!("network: {} links are told by network_data.json on {on}", config.links.len()));
                config
            }
            Err(why) => {
                self.log.say(format_args!("network: {why}"));
                medium.otherwise
            }
        };
        self.network_deadline = Instant::now() + self.settings.network;
        self.event(Event::Wanted(config));
    }
}
