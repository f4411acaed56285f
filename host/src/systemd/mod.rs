//! What systemd hears of the agent: that it is ready, what it is about, that it lives, that it ends.
//!
//! *Ready* is an agent that has done all that depends on this machine alone: its configuration is sound, its managers are
//! loaded, and it can be asked by `plugins list`. Without an Ironic it serves its API by then as well. Whether an Ironic
//! answers, which may take as long as it likes, makes no difference: what waits for the unit would wait with it, and
//! systemd would end the agent that is looking.
//!
//! The watchdog is kept by a task, so it proves that timers fire and tasks run. It is not kept, and systemd starts the
//! agent again, if the [`Vitals`] say that nobody can reach the agent any more. A plugin that hangs is no such reason:
//! plugins have processes and deadlines of their own.
//!
//! Without `NOTIFY_SOCKET` there is no socket, no task, and nothing is composed. What the variables say is for this
//! process alone: workers and tools get an environment of their own.

mod environment;
mod socket;
mod status;
mod vitals;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use slog::{Logger, debug, error, warn};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::environment::Environment;
use self::socket::NotifySocket;
pub use self::vitals::Vitals;
use crate::agent::Agent;

/// How often the status is renewed, and more time is asked for at the start, where no watchdog sets the pace.
const PACE: Duration = Duration::from_secs(10);
/// How many paces more time is asked for, while the agent starts.
const MORE: u32 = 3;

/// Tells systemd. Clones tell the same one.
#[derive(Clone, Default)]
pub struct Systemd(Option<Arc<Inner>>);

struct Inner {
    socket: NotifySocket,
    pace: Duration,
    has_watchdog: bool,
    ready: AtomicBool,
    told: Mutex<String>,
    phase: Mutex<Option<String>>,
    agent: OnceLock<Weak<Agent>>,
    vitals: Vitals,
    log: Logger,
}

impl Systemd {
    /// The one that started this process, if it wants to be told.
    pub fn of_this_process(log: &Logger) -> Self {
        Self::of(&Environment::of_this_process(), log)
    }

    fn of(environment: &Environment, log: &Logger) -> Self {
        let Some(name) = &environment.socket else { return Self(None) };
        let socket = match NotifySocket::connect(name) {
            Ok(socket) => socket,
            Err(error) => {
                warn!(log, "systemd cannot be told how the agent is"; "NOTIFY_SOCKET" => %name.display(),
                    "error" => %error);
                return Self(None);
            }
        };
        let inner = Inner {
            socket,
            pace: environment.watchdog.map_or(PACE, |watchdog| watchdog / 2),
            has_watchdog: environment.watchdog.is_some(),
            ready: AtomicBool::new(false),
            told: Mutex::default(),
            phase: Mutex::default(),
            agent: OnceLock::new(),
            vitals: Vitals::default(),
            log: log.clone(),
        };
        debug!(log, "systemd is told how the agent is"; "socket" => %name.display(),
            "watchdog_s" => environment.watchdog.map(|time| time.as_secs_f64()));
        Self(Some(Arc::new(inner)))
    }

    /// Keeps the watchdog and the status until the handle is aborted. None if nobody wants to know.
    pub fn begin(&self) -> Option<AbortHandle> {
        let inner = self.0.clone()?;
        Some(tokio::spawn(async move { inner.pulse().await }).abort_handle())
    }

    /// What the agent is about while it does not serve.
    pub async fn phase(&self, text: &str) {
        if let Some(inner) = &self.0 {
            *lock(&inner.phase) = Some(text.to_owned());
            inner.tell_status().await;
        }
    }

    /// The status is that of this agent from now on.
    pub async fn serves(&self, agent: &Arc<Agent>) {
        if let Some(inner) = &self.0 {
            // A second agent in one process does not happen.
            let _ = inner.agent.set(Arc::downgrade(agent));
            *lock(&inner.phase) = None;
            inner.tell_status().await;
        }
    }

    /// Something has changed that the status may be about.
    pub async fn refresh(&self) {
        if let Some(inner) = &self.0 {
            inner.tell_status().await;
        }
    }

    /// The agent is ready. Only the first call counts.
    pub async fn ready(&self) {
        if let Some(inner) = &self.0
            && !inner.ready.swap(true, Ordering::SeqCst)
        {
            inner.send("READY=1").await;
        }
    }

    /// The agent ends, for this reason. It is what `systemctl status` shows afterwards.
    pub async fn stopping(&self, why: &str) {
        if let Some(inner) = &self.0 {
            *lock(&inner.phase) = Some(format!("ended: {why}"));
            inner.vitals.expect_nothing();
            inner.send("STOPPING=1").await;
            inner.tell_status().await;
        }
    }

    /// Changes what is taken as a sign of life.
    pub fn vitals(&self) -> Option<&Vitals> {
        self.0.as_deref().map(|inner| &inner.vitals)
    }
}

impl Inner {
    async fn pulse(&self) {
        let mut ticks = interval(self.pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(trouble) = self.vitals.trouble(Instant::now()) {
                error!(self.log, "the watchdog is not kept, so that systemd starts the agent again"; "why" => &trouble);
                self.send(&format!("STATUS=not well, to be started again: {trouble}")).await;
                continue;
            }
            if !self.ready.load(Ordering::SeqCst) {
                let more = (self.pace * MORE).as_micros();
                self.send(&format!("EXTEND_TIMEOUT_USEC={more}")).await;
            } else if self.has_watchdog {
                self.send("WATCHDOG=1").await;
            }
            self.tell_status().await;
        }
    }

    /// Tells the status unless it is the one that was told last.
    async fn tell_status(&self) {
        let phase = lock(&self.phase).clone();
        let Some(line) = phase.or_else(|| self.agent.get()?.upgrade().map(|agent| status::line(&agent))) else {
            return;
        };
        let line = status::one_line(&line);
        if std::mem::replace(&mut *lock(&self.told), line.clone()) != line {
            self.send(&format!("STATUS={line}")).await;
        }
    }

    async fn send(&self, message: &str) {
        if let Err(error) = self.socket.send(message).await {
            let what = message.split('=').next().unwrap_or_default();
            warn!(self.log, "systemd was not told"; "what" => what, "error" => %error);
        }
    }
}

impl fmt::Debug for Systemd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Systemd").field("is_told", &self.0.is_some()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
