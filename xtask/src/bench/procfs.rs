//! Memory and processor time of a process and all its descendants, read from /proc.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};

/// How long a process must use no processor time to count as idle.
const QUIET: Duration = Duration::from_millis(300);
const SETTLE: Duration = Duration::from_secs(20);

/// The numbers of `/proc/PID/stat` that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// Clock ticks, its own and those of children it has waited for.
    ticks: u64,
}

/// Proportional set size of the whole tree, in bytes.
pub(crate) fn memory(root: u32) -> Outcome<f64> {
    let mut kib = 0;
    for stat in tree(root)? {
        let path = format!("/proc/{}/smaps_rollup", stat.pid);
        match fs::read_to_string(&path) {
            Ok(text) => kib += parse_pss(&text).ok_or_else(|| Failure::new(format!("{path} has no Pss line")))?,
            // A child may end between the listing and the reading.
            Err(error) if stat.pid != root && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::new(format!("reading {path}: {error}"))),
        }
    }
    Ok(kib as f64 * 1024.0)
}

/// Processor time of the whole tree so far, in seconds.
pub(crate) fn cpu(root: u32) -> Outcome<f64> {
    let ticks: u64 = tree(root)?.iter().map(|stat| stat.ticks).sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Waits until the tree uses no more processor time, so that start-up work is not measured as idle.
pub(crate) fn settle(root: u32) -> Outcome {
    let end = Instant::now() + SETTLE;
    let mut before = cpu(root)?;
    while Instant::now() < end {
        thread::sleep(QUIET);
        let now = cpu(root)?;
        if now <= before {
            return Ok(());
        }
        before = now;
    }
    Err(Failure::new(format!("process {root} was still busy after {} s", SETTLE.as_secs())))
}

/// The process and its descendants.
fn tree(root: u32) -> Outcome<Vec<Stat>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").doing("listing /proc")? {
        let name = entry.doing("listing /proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Processes end at any time; only the root must be there.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        all.extend(parse_stat(&text));
    }
    let found = descendants(root, &all);
    if found.is_empty() { Err(Failure::new(format!("process {root} is gone"))) } else { Ok(found) }
}

fn descendants(root: u32, all: &[Stat]) -> Vec<Stat> {
    let mut found: Vec<Stat> = all.iter().filter(|stat| stat.pid == root).copied().collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|stat| stat.pid) {
        found.extend(all.iter().filter(|stat| stat.parent == parent && stat.pid != root));
        next += 1;
    }
    found
}

/// The command name may hold blanks and parentheses, so fields are counted after its last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    // utime, stime, cutime and cstime are fields 14 to 17 of the line.
    let times = fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok());
    Some(Stat { pid, parent, ticks: times.sum::<Option<u64>>()? })
}

/// The `Pss:` line of smaps_rollup, in KiB.
fn parse_pss(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Pss:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded on Debian 12, kernel 6.18: bash copied to a file named `a) b`, after it had run children.
    const STAT: &str = "25571 (a) b) R 25568 25568 5149 0 -1 4194304 28749 22114 0 1 33 5 32 7 20 0 1 0 332815 62046208 \
                        14837 18446744073709551615 94675044253696 94675045043101 140724096338032 0 0 0 0 4 65536 0";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(parse_stat(STAT), Some(Stat { pid: 25571, parent: 25568, ticks: 33 + 5 + 32 + 7 }));
        assert_eq!(parse_stat("1 (x) S 0"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_proportional_size_is_found_among_its_neighbours() {
        // Recorded on Debian 12, kernel 6.18, of a sleeping program.
        let rollup = "\
562b1108e000-7ffede64c000 ---p 00000000 00:00 0                          [rollup]
Rss:                1776 kB
Pss:                 270 kB
Pss_Dirty:           144 kB
";
        assert_eq!(parse_pss(rollup), Some(270));
        assert_eq!(parse_pss("Rss: 1 kB\n"), None);
    }

    #[test]
    fn descendants_are_followed_to_the_leaves() {
        let stat = |pid, parent| Stat { pid, parent, ticks: 0 };
        let all = [stat(1, 0), stat(2, 1), stat(3, 2), stat(4, 1), stat(5, 3)];
        let pids: Vec<u32> = descendants(2, &all).iter().map(|stat| stat.pid).collect();
        assert_eq!(pids, [2, 3, 5]);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        assert!(memory(std::process::id()).unwrap() > 0.0);
        assert!(cpu(std::process::id()).unwrap() >= 0.0);
    }
}
