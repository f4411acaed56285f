//! A worker process that has no plugin yet.
//!
//! A process takes longer to start than a plugin to be checked. So the first one is started before anything is known of
//! the plugins, while the agent still reads its configuration: whatever a worker needs to know comes over its socket.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

use super::options::WORKER_PROGRAM;
use crate::process::Spawner;

/// A worker on its way. Dropping it ends the process.
#[derive(Debug)]
pub struct Spare {
    /// None once it was taken.
    starting: Option<oneshot::Receiver<io::Result<Child>>>,
    /// The host's end of its socket.
    socket: Option<UnixStream>,
}

impl Spare {
    /// Has a worker of this program started, and does not wait for it. None if that cannot be; it is tried again when
    /// there is a plugin, which then tells why.
    pub fn of_this_program(spawner: &Spawner) -> Option<Self> {
        Self::start(Path::new(WORKER_PROGRAM), spawner).ok()
    }

    /// Has a worker started by a program that knows the argument `worker`, and does not wait for it.
    ///
    /// # Errors
    /// There is no room for another socket, or the thread that starts processes has ended.
    pub(crate) fn start(program: &Path, spawner: &Spawner) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command
            .arg("worker")
            .env_clear()
            .env("PATH", crate::process::PATH)
            .env("LC_ALL", "C.UTF-8")
            // Each arena takes 64 MiB of the address space that the worker's limit counts.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        Ok(Self { starting: Some(spawner.begin(command)?), socket: Some(ours) })
    }

    /// The process and the host's end of its socket.
    ///
    /// # Errors
    /// The process could not be started.
    pub(crate) async fn take(mut self) -> io::Result<(Child, UnixStream)> {
        let gone = || io::Error::other("the thread that starts processes has ended");
        let (Some(starting), Some(socket)) = (self.starting.take(), self.socket.take()) else { return Err(gone()) };
        Ok((starting.await.map_err(|_| gone())??, socket))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // One that is not started yet is ended by the thread that starts it.
        if let Some(Ok(Ok(mut child))) = self.starting.as_mut().map(oneshot::Receiver::try_recv) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, test_kill_process};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_nobody_needs_ends() {
        let spawner = Spawner::start().expect("a thread");
        let mut spare = Spare::start(Path::new("/usr/bin/yes"), &spawner).expect("begun");
        let child = spare.starting.take().expect("there").await.expect("a thread").expect("started");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a number");
        let (sender, started) = oneshot::channel();
        sender.send(Ok(child)).expect("a receiver");
        spare.starting = Some(started);
        test_kill_process(pid).expect("it runs");
        drop(spare);
        assert!(test_kill_process(pid).is_err(), "it was ended and reaped");
    }

    #[tokio::test]
    async fn one_that_cannot_be_started_says_so() {
        let spawner = Spawner::start().expect("a thread");
        let spare = Spare::start(Path::new("/no/such/program"), &spawner).expect("begun");
        assert_eq!(spare.take().await.expect_err("no program").kind(), io::ErrorKind::NotFound);
    }
}
