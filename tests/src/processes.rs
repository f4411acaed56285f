//! Which processes of a host are left.
//!
//! A process belongs to a host if the host's marker stands in its environment, or the host's directory in its command
//! line, environment or memory map. A plugin can leave its process group and its session, but not these.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Environment variable that marks a host and all it starts.
pub const MARKER: &str = "IPA_TESTS_HOST";

/// The living processes that belong to a host, except this one: number and command line.
pub fn of_host(marker: &str, directory: &Path) -> Vec<(i32, String)> {
    let needles = [format!("{MARKER}={marker}"), directory.display().to_string()];
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(number) = name.parse::<i32>() else { continue };
        if name == me || is_zombie(number) {
            continue;
        }
        // A process that ends meanwhile has no such files.
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let texts = [read("environ"), read("cmdline"), read("maps")];
        if texts.iter().any(|text| needles.iter().any(|needle| contains(text, needle.as_bytes()))) {
            found.push((number, String::from_utf8_lossy(&texts[1]).replace('\0', " ").trim().to_owned()));
        }
    }
    found
}

/// Waits until no process of a host is left; those that are when the time is over.
pub fn left_after(patience: Duration, marker: &str, directory: &Path) -> Vec<(i32, String)> {
    let end = Instant::now() + patience;
    loop {
        let left = of_host(marker, directory);
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
pub(crate) fn wait_for(pid: Pid, end: Instant) -> bool {
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

fn is_zombie(number: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    // The name before it may hold anything, so the last parenthesis counts.
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}
