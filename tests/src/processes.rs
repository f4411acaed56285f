//! Which processes of a host are left.
//!
//! A host starts its workers with an empty environment and from a file without a path, and a plugin can leave its
//! process group and its session. What no process here can shed is a resource limit, so each host gets one that says
//! whose it is: an odd value for the size of POSIX message queues, which nothing here uses.

use std::fs;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, setrlimit};

/// Below the limit that every system starts with (819200).
const TAGS: u64 = 4000;
const TAGS_OF_A_TEST: u64 = 200;

/// What marks a host and all that it starts, directly or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed) % TAGS_OF_A_TEST;
        Self(1 + u64::from(std::process::id()) % TAGS * TAGS_OF_A_TEST + count)
    }
}

/// Starts a program with a tag of its own.
pub fn spawn_tagged(command: &mut Command) -> (Child, Tag) {
    let tag = Tag::new();
    let child = with_own_limit(Some(tag), || command.spawn());
    (child.unwrap_or_else(|error| panic!("{command:?}: {error}")), tag)
}

/// Starts a program without a tag, also while another thread starts one with a tag.
pub fn spawn_untagged(command: &mut Command) -> Child {
    with_own_limit(None, || command.spawn()).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Children inherit the limits that this process has at that moment, so it changes its own for as long as it takes.
fn with_own_limit<T>(tag: Option<Tag>, work: impl FnOnce() -> T) -> T {
    static LIMIT: Mutex<()> = Mutex::new(());
    let _held = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Tag(tag)) = tag else { return work() };
    let before = getrlimit(Resource::Msgqueue);
    let tagged = Rlimit { current: Some(tag), ..before };
    setrlimit(Resource::Msgqueue, tagged).expect("a limit can be lowered");
    let result = work();
    setrlimit(Resource::Msgqueue, before).expect("a limit can be raised to where it was");
    result
}

/// The living processes with a tag: number and command line.
pub fn tagged(tag: Tag) -> Vec<(i32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process that ends meanwhile has no such files.
        let read =
            |file: &str| String::from_utf8_lossy(&fs::read(entry.path().join(file)).unwrap_or_default()).into_owned();
        if tag_in(&read("limits")) == Some(tag.0) && !is_zombie(&read("stat")) {
            found.push((number, read("cmdline").replace('\0', " ").trim().to_owned()));
        }
    }
    found
}

fn tag_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max msgqueue size"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Waits until no process of a host is left; those that are when the time is over.
pub fn left_after(patience: Duration, tag: Tag) -> Vec<(i32, String)> {
    let end = Instant::now() + patience;
    loop {
        let left = tagged(tag);
        let Some(pid) = left.first().and_then(|(number, _)| Pid::from_raw(*number)) else { return left };
        if !wait_for(pid, end) {
            return left;
        }
    }
}

/// Kills processes of a host that are left, so that a failed test leaves no trace.
pub fn kill_left(left: &[(i32, String)]) {
    for (number, _) in left {
        if let Some(pid) = Pid::from_raw(*number) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The most resident memory that a process has had, in KiB; none if it is gone.
pub fn peak_resident_kib(number: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{number}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until a process has ended, be it waited for or not; false if it has not by then.
pub fn wait_for(pid: Pid, end: Instant) -> bool {
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    loop {
        let rest = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(rest).expect("a short time");
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            // Interrupted by a signal.
            Err(_) => {}
        }
    }
}

fn is_zombie(stat: &str) -> bool {
    // The name before it may hold anything, so the last parenthesis counts.
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_reaches_children_and_vanishes_with_them() {
        let mut command = Command::new("sleep");
        let (mut child, tag) = spawn_tagged(command.arg("1000").env_clear());
        let found = tagged(tag);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0.unsigned_abs(), child.id());
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
        assert_eq!(left_after(Duration::from_secs(10), tag), []);
    }
}
