//! Signals, as something that can be waited for beside everything else.
//!
//! They are caught by handlers and not blocked: what is blocked stays so in every program that we start, and the agent
//! could not be ended. A handler ends with our own program.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level::pipe};

/// The signals that mean something to PID 1. One that is not caught does nothing to it.
const CAUGHT: &[i32] = &[SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP];

/// The signals that came.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    came: Vec<(i32, Arc<AtomicBool>)>,
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// The system refuses, which it does for no signal of these.
    pub fn catch() -> io::Result<Self> {
        let (wake, send) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let mut came = Vec::new();
        for signal in CAUGHT {
            let this = Arc::new(AtomicBool::new(false));
            // In this order: whoever is woken finds it.
            flag::register(*signal, Arc::clone(&this))?;
            pipe::register(*signal, send.try_clone()?)?;
            came.push((*signal, this));
        }
        Ok(Self { wake, came })
    }

    /// Those that came since the last call, each once.
    pub fn take(&mut self) -> Vec<i32> {
        let mut buffer = [0; 256];
        while self.wake.read(&mut buffer).is_ok_and(|length| length > 0) {}
        let came = self.came.iter().filter(|(_, came)| came.swap(false, Ordering::AcqRel));
        came.map(|(signal, _)| *signal).collect()
    }
}
