//! The one thread that starts processes.
//!
//! A child that asks for a signal at its parent's death gets it when the *thread* that started it ends, and threads of
//! a pool come and go. So all children are started by one thread that lives as long as the agent.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Job = (Command, oneshot::Sender<io::Result<Child>>);

/// Starts processes from one long-lived thread. The thread ends, and its children are told so, when the last clone is
/// dropped.
#[derive(Debug, Clone)]
pub struct Spawner(mpsc::Sender<Job>);

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no room for another thread.
    pub fn start() -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for (mut command, answer) in jobs {
                let child = command.spawn();
                // Nobody waits any more: a child without an owner must not run on.
                if let Err(Ok(mut orphan)) = answer.send(child) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Starts a process.
    ///
    /// # Errors
    /// The program cannot be executed, or the system has no room for another process.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        self.begin(command)?.await.map_err(|_| gone())?
    }

    /// Has a process started, and does not wait for it. One that nobody waits for when it has started is killed.
    ///
    /// # Errors
    /// The thread has ended.
    pub(crate) fn begin(&self, command: Command) -> io::Result<oneshot::Receiver<io::Result<Child>>> {
        let (answer, child) = oneshot::channel();
        self.0.send((command, answer)).map_err(|_| gone())?;
        Ok(child)
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_children_come_from_one_thread() {
        let spawner = Spawner::start().unwrap();
        for _ in 0..3 {
            let mut child = spawner.clone().spawn(Command::new("true")).await.unwrap();
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(spawner.spawn(Command::new("/no/such/program")).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
