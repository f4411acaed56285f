//! A worker's process: waited for without a thread, killed with all it started.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::signal::unix::{SignalKind, signal};

/// A process that leads a process group of its own.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    /// None once it was reaped; its number may belong to another process then.
    child: Mutex<Option<Child>>,
}

impl Process {
    pub(crate) fn new(child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a process without number"))?;
        Ok(Self { pid, child: Mutex::new(Some(child)) })
    }

    /// Its number.
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Kills it and its group. Does nothing once it was reaped.
    pub(crate) fn kill(&self) {
        if self.lock().is_some() {
            // Gone already is as good.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Waits for its end, kills what is left of its group and reaps it.
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        // Before the first look, so that no end goes unnoticed in between.
        let mut children = signal(SignalKind::child())?;
        let seen = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while let Ok(None) = waitid(WaitId::Pid(self.pid), seen) {
            children.recv().await;
        }
        // Before reaping, so that the group's number cannot be another's yet.
        self.kill();
        self.reap()
    }

    /// Only for a process that has ended.
    fn reap(&self) -> io::Result<ExitStatus> {
        self.lock().take().ok_or_else(|| io::Error::other("it was waited for already"))?.wait()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Spawner;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    async fn start(program: &str, args: &[&str]) -> Process {
        let mut command = Command::new(program);
        command.args(args).process_group(0);
        Process::new(Spawner::start().expect("thread").spawn(command).await.expect("spawn")).expect("process")
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_noticed() {
        let process = start("false", &[]).await;
        assert_eq!(process.wait().await.expect("status").code(), Some(1));
        process.kill();
    }

    #[tokio::test]
    async fn a_process_is_killed() {
        let process = start("sleep", &["1000"]).await;
        process.kill();
        assert_eq!(process.wait().await.expect("status").signal(), Some(9));
    }
}
