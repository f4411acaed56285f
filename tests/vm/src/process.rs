//! QEMU's process. It never outlives this one.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process::{line, spawn};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::feed::Feed;

/// Longest time until a killed process is gone.
const KILLED: Duration = Duration::from_secs(10);
/// What is shown of its messages, in bytes.
const SHOWN: usize = 2000;

/// A running QEMU, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pidfd: OwnedFd,
    ended: Arc<Feed<ExitStatus>>,
    messages: PathBuf,
}

impl Process {
    /// Starts it. The kernel kills it at the end of the thread that started it, so it gets a thread that lives as long:
    /// one that waits for it. Should this process die before the kernel knows, QEMU finds nobody behind the socket that
    /// it is to connect to, and ends.
    pub(crate) fn start(program: &str, arguments: &[String], messages: &Path) -> Outcome<Self> {
        let stderr = File::create(messages).doing(format_args!("making {}", messages.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let ended = Arc::new(Feed::new());
        let started = Arc::new(Feed::new());
        let (end, start) = (ended.clone(), started.clone());
        thread::Builder::new()
            .name("qemu".to_owned())
            .spawn(move || {
                watch(&mut command, &start, &end);
                start.close();
                end.close();
            })
            .doing("starting a thread for QEMU")?;
        // To start a program takes as long as it takes.
        let never = Instant::now() + Duration::from_secs(3600);
        let pidfd = started.find(0, never, |pidfd: &Outcome<OwnedFd>| Some(duplicate(pidfd)));
        let pidfd = pidfd.map_err(|_| Failure::new("the thread that starts QEMU has ended"))??;
        Ok(Self { pidfd, ended, messages: messages.to_owned() })
    }

    /// How it ended, if it has by then.
    pub(crate) fn ended(&self, end: Instant) -> Option<ExitStatus> {
        self.ended.find(0, end, |status| Some(*status)).ok()
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        // It may have ended by itself.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let _ = self.ended(Instant::now() + KILLED);
    }

    /// The end of what it said.
    pub(crate) fn messages(&self) -> String {
        let text = std::fs::read(&self.messages).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(SHOWN)..]).trim().to_owned()
    }
}

impl AsFd for Process {
    /// Readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn watch(command: &mut Command, started: &Feed<Outcome<OwnedFd>>, ended: &Feed<ExitStatus>) {
    let mut child = match spawn(command) {
        Ok(child) => child,
        Err(failure) => return started.push(Err(failure)),
    };
    // Nobody has waited for the child yet, so its number is its own.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    if pidfd.is_err() {
        // It cannot be watched, so it must not run; it has not ended before `kill`, or it has ended.
        let _ = child.kill();
    }
    started.push(pidfd.doing(format_args!("watching `{}`", line(command))));
    if let Ok(status) = child.wait() {
        ended.push(status);
    }
}

fn duplicate(pidfd: &Outcome<OwnedFd>) -> Outcome<OwnedFd> {
    match pidfd {
        Ok(pidfd) => pidfd.try_clone().doing("duplicating a descriptor"),
        Err(failure) => Err(Failure::new(failure.to_string())),
    }
}
