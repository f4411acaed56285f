//! A machine that is on.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tempfile::TempDir;

use crate::arguments::{Arguments, listed_path};
use crate::console::{Console, NoLine};
use crate::feed::Missed;
use crate::process::Process;
use crate::qmp::Qmp;

/// Longest time until QEMU has connected its sockets.
const CONNECTED: Duration = Duration::from_secs(30);
/// After an event says that the machine is off, QEMU has this long to end.
const ENDED: Duration = Duration::from_secs(30);

/// A machine that is on; off when dropped.
#[derive(Debug)]
pub struct Guest {
    name: String,
    port: u16,
    console: Console,
    qmp: Qmp,
    process: Process,
    /// Holds the files that QEMU has open. Last, so that QEMU is gone before they are.
    _home: Arc<TempDir>,
}

impl Guest {
    pub(crate) fn start(
        name: &str,
        qemu: &str,
        mut arguments: Arguments,
        home: Arc<TempDir>,
        port: u16,
    ) -> Outcome<Self> {
        let console = Socket::new(home.path(), "console")?;
        let control = Socket::new(home.path(), "control")?;
        console.add_to(&mut arguments);
        control.add_to(&mut arguments);
        arguments.option("-serial", "chardev:console");
        arguments.option("-mon", "chardev=control,mode=control");
        // It starts programs for nobody.
        arguments.option("-sandbox", "on,spawn=deny,elevateprivileges=deny");
        let process = Process::start(qemu, &arguments.0, &home.path().join("qemu-messages"))?;
        let end = Instant::now() + CONNECTED;
        // In the order in which they stand on the command line: QEMU makes one connection after the other.
        let console = console.accept(&process, end).doing(format_args!("starting the guest `{name}`"))?;
        let control = control.accept(&process, end).doing(format_args!("starting the guest `{name}`"))?;
        let console = Console::read(console, &home.path().join("console.log"))?;
        // QEMU opens disks after it has connected its sockets, so this is where it gives up on one.
        let qmp = Qmp::new(control).map_err(|failure| {
            process.kill();
            Failure::new(format!("starting the guest `{name}`: {failure}: {}", process.messages()))
        })?;
        Ok(Self { name: name.to_owned(), port, console, qmp, process, _home: home })
    }

    /// What it has printed.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The address of its agent for one of the schemes, for example `https://127.0.0.1:40123`.
    pub fn agent(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Waits for a line of the console that has all these words, and gives it. It may have been printed already.
    ///
    /// # Errors
    /// It is not printed in time, the kernel panics, or the machine goes off first.
    pub fn line(&self, words: &[&str], within: Duration) -> Outcome<String> {
        let awaited = || format!("a line with {words:?}");
        self.console.line(words, Instant::now() + within).map_err(|why| match why {
            NoLine::Panic(line) => self.failure(&format!("waited for {}, but: {line}", awaited())),
            NoLine::Missed(missed) => self.missed(&awaited(), missed, within),
        })
    }

    /// Waits until what is in it has switched it off.
    ///
    /// # Errors
    /// It does not in time.
    pub fn off(&self, within: Duration) -> Outcome {
        let is_off = |event: &Value| (event["event"] == "SHUTDOWN" && event["data"]["guest"] == true).then_some(());
        let found = self.qmp.events().find(0, Instant::now() + within, is_off);
        found.map_err(|missed| self.missed("the machine's power off", missed, within))?;
        match self.process.ended(Instant::now() + ENDED) {
            Some(_) => Ok(()),
            None => Err(self.failure(&format!("the machine is off, but QEMU still there after {} s", ENDED.as_secs()))),
        }
    }

    /// Waits until what is in it has reset it, be it long ago. Firmware with variables may do so at its first start.
    ///
    /// # Errors
    /// It does not in time.
    pub fn reset(&self, within: Duration) -> Outcome {
        let is_reset = |event: &Value| (event["event"] == "RESET" && event["data"]["guest"] == true).then_some(());
        let found = self.qmp.events().find(0, Instant::now() + within, is_reset);
        found.map_err(|missed| self.missed("a reset", missed, within))
    }

    /// Whether it is still on.
    pub fn is_on(&self) -> bool {
        self.process.ended(Instant::now()).is_none()
    }

    pub(crate) fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// Waits for an event from number `from` on that fits.
    pub(crate) fn event(&self, what: &str, from: u64, within: Duration, fits: impl Fn(&Value) -> bool) -> Outcome {
        let found = self.qmp.events().find(from, Instant::now() + within, |event| fits(event).then_some(()));
        found.map_err(|missed| self.missed(what, missed, within))
    }

    fn missed(&self, awaited: &str, missed: Missed, within: Duration) -> Failure {
        match missed {
            Missed::Deadline => self.failure(&format!("waited {} s for {awaited}, in vain", within.as_secs())),
            Missed::Closed => {
                let status = self.process.ended(Instant::now() + ENDED);
                let status = status.map_or_else(|| "without a status".to_owned(), |status| status.to_string());
                let messages = self.process.messages();
                self.failure(&format!("waited for {awaited}, but QEMU ended ({status}) {messages}"))
            }
        }
    }

    /// An error about this guest, with what is needed to understand it.
    pub fn failure(&self, what: &str) -> Failure {
        Failure::new(format!("guest `{}`: {what}\nthe last lines of its console:\n{}", self.name, self.console.tail()))
    }
}

/// A socket that QEMU is to connect to.
#[derive(Debug)]
struct Socket<'a> {
    listener: UnixListener,
    home: &'a Path,
    name: &'static str,
}

impl<'a> Socket<'a> {
    fn new(home: &'a Path, name: &'static str) -> Outcome<Self> {
        let path = home.join(name);
        // Left by the boot before, if there was one.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).doing(format_args!("listening on {}", path.display()))?;
        Ok(Self { listener, home, name })
    }

    fn add_to(&self, arguments: &mut Arguments) {
        let path = listed_path(&self.home.join(self.name));
        arguments.option("-chardev", format!("socket,id={},path={path},server=off", self.name));
    }

    /// Waits for the connection, or for the end of QEMU.
    fn accept(&self, process: &Process, end: Instant) -> Outcome<UnixStream> {
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(rest).doing("counting time")?;
            let mut fds =
                [PollFd::from_borrowed_fd(self.listener.as_fd(), PollFlags::IN), PollFd::new(process, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => {
                    let seconds = CONNECTED.as_secs();
                    return Err(Failure::new(format!("QEMU has not connected its {} within {seconds} s", self.name)));
                }
                Ok(_) => {}
                // Interrupted by a signal.
                Err(_) => continue,
            }
            let [connected, ended] = fds.map(|fd| !fd.revents().is_empty());
            if connected {
                return Ok(self.listener.accept().doing(format_args!("accepting QEMU's {}", self.name))?.0);
            }
            if ended {
                return Err(Failure::new(format!("QEMU ended at once: {}", process.messages())));
            }
        }
    }
}
