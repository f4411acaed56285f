//! Processes that plugins leave behind.
//!
//! A plugin can put a process out of reach of a signal to its worker's group, and out of the worker's descent too. What
//! no process sheds by accident is a resource limit: each worker gets one of a value of its own that the kernel has not
//! looked at since Linux 2.4 (`RLIMIT_LOCKS`), and all it starts inherit it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, setrlimit};
use serde::{Deserialize, Serialize};
use slog::{Logger, warn};

/// The line of `/proc/PID/limits` that shows the mark.
const LINE: &str = "Max file locks";
/// Bytes enough for that file: 17 lines of at most 79 bytes.
const LIMITS_SIZE: usize = 4096;
/// Far below the limit that means "unlimited".
const HOST_SHIFT: u32 = 32;

/// What marks a worker and all that it starts, directly or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark(u64);

/// Which marks are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marked {
    /// This one.
    By(Mark),
    /// Those of all workers of this process.
    ByThisHost,
}

impl Mark {
    /// A mark that no other worker of this machine has.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self(host_part() | u64::from(COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Marks this process.
    pub(crate) fn put_on_this_process(self) -> io::Result<()> {
        Ok(setrlimit(Resource::Locks, Rlimit { current: Some(self.0), maximum: Some(self.0) })?)
    }
}

impl Marked {
    fn includes(self, mark: u64) -> bool {
        match self {
            Self::By(own) => mark == own.0,
            Self::ByThisHost => mark >> HOST_SHIFT == host_part() >> HOST_SHIFT,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn host_part() -> u64 {
    u64::from(std::process::id()) << HOST_SHIFT
}

/// Kills all marked processes, and says so.
pub(crate) async fn end(logger: &Logger, marked: Marked) {
    if let Ok(count @ 1..) = tokio::task::spawn_blocking(move || kill(marked)).await {
        warn!(logger, "killed processes that a plugin had left behind"; "count" => count);
    }
}

/// Kills all marked processes but this one, until none is left; gives how many there were.
pub(crate) fn kill(marked: Marked) -> usize {
    /// One that forks faster than it is killed is left to the boot service.
    const ROUNDS: usize = 8;
    let mut killed = 0;
    for _ in 0..ROUNDS {
        match kill_once(marked) {
            0 => break,
            count => killed += count,
        }
    }
    killed
}

fn kill_once(marked: Marked) -> usize {
    let own = rustix::process::getpid();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        (pid != own).then_some(pid)
    });
    numbers.filter(|pid| kill_if(*pid, marked).unwrap_or(false)).count()
}

/// Kills a process if it is marked and still runs.
fn kill_if(pid: Pid, marked: Marked) -> io::Result<bool> {
    let directory = format!("/proc/{}", pid.as_raw_nonzero());
    let is_marked = || Ok::<_, io::Error>(mark_in(&limits(&directory)?).is_some_and(|mark| marked.includes(mark)));
    // Nearly all are strangers, of which this look is all that is taken.
    if !is_marked()? {
        return Ok(false);
    }
    // Held before the look that counts, so that the number cannot be another's when the signal is sent.
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    if !is_marked()? {
        return Ok(false);
    }
    let stat = fs::read_to_string(format!("{directory}/stat"))?;
    // The name before it may hold anything, so the last parenthesis counts.
    let ended = stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
    if !ended {
        pidfd_send_signal(&process, Signal::KILL)?;
    }
    Ok(!ended)
}

/// What the kernel shows of a process's limits, in one read: it has no size by which a reader could tell its end.
fn limits(directory: &str) -> io::Result<String> {
    let mut text = vec![0; LIMITS_SIZE];
    let length = File::open(format!("{directory}/limits"))?.read(&mut text)?;
    text.truncate(length);
    String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn mark_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(LINE))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_from_the_limits_as_the_kernel_shows_them() {
        let limits = limits("/proc/self").expect("own limits");
        assert_eq!(limits, fs::read_to_string("/proc/self/limits").expect("own limits"), "all of it in one read");
        assert!(limits.contains(LINE), "{limits}");
        let line = "Max file locks            17179869185          17179869185          locks     \n";
        assert_eq!(mark_in(line), Some(17_179_869_185));
        assert_eq!(mark_in("Max file locks            unlimited            unlimited            locks\n"), None);
    }

    #[test]
    fn marks_of_this_host_are_its_own() {
        let (one, other) = (Mark::new(), Mark::new());
        assert_ne!(one, other);
        assert!(Marked::By(one).includes(one.0) && !Marked::By(one).includes(other.0));
        assert!(Marked::ByThisHost.includes(one.0) && Marked::ByThisHost.includes(other.0));
        assert!(!Marked::ByThisHost.includes(1 << HOST_SHIFT | 5) || std::process::id() == 1);
    }
}
