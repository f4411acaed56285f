//! Short programs that are waited for, and long ones that the main loop watches.
//!
//! Nothing is run by a shell. There is one thread, so whoever is waited for here cannot be reaped by the loop meanwhile.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Where programs are looked for, by us and by everything that we start.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is kept of a program's complaints, in bytes.
const STDERR_LIMIT: u64 = 1024;

/// A program with its arguments and the environment that all of ours get.
pub fn command<S: AsRef<str>>(argv: &[S]) -> Command {
    let mut words = argv.iter().map(AsRef::as_ref);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).env_clear().env("PATH", PATH).env("HOME", "/root").env("LANG", "C.UTF-8").current_dir("/");
    command.stdin(Stdio::null());
    command
}

/// A command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a program to its end, and kills it if that does not come in time.
///
/// # Errors
/// One readable line: the command, how it ended, and the last of what it wrote to its standard error.
pub fn run(mut command: Command, deadline: Duration) -> Result<(), String> {
    let line = line(&command);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| format!("{line}: {error}"))?;
    let ended = wait(child.id(), deadline).map_err(|error| format!("{line}: {error}"))?;
    if !ended {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("{line}: {error}"))?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // A program that went to the background may keep it open for ever.
        let nonblocking = fcntl_getfl(&stderr).and_then(|flags| fcntl_setfl(&stderr, flags | OFlags::NONBLOCK));
        if nonblocking.is_ok() {
            let _ = stderr.take(STDERR_LIMIT).read_to_end(&mut said);
        }
    }
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match (ended, status.success()) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("{line}: {}{said}", describe(status))),
        (false, _) => Err(format!("{line}: killed, it took more than {} s{said}", deadline.as_secs_f32())),
    }
}

/// How a program ended, in words.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// The number of a process as system calls take it.
pub fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Waits until a process ends; false if the time is over before.
fn wait(number: u32, deadline: Duration) -> io::Result<bool> {
    let pid = pid(number).ok_or(io::ErrorKind::InvalidInput)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A time as system calls take it.
pub fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_told_in_one_line() {
        assert_eq!(run(command(&["/bin/true"]), Duration::from_secs(30)), Ok(()));
        let error = run(command(&["/bin/ls", "/no/such/place"]), Duration::from_secs(30)).unwrap_err();
        assert!(
            error.starts_with("/bin/ls /no/such/place: exited with status 2: ") && !error.contains('\n'),
            "{error}"
        );
        let error = run(command(&["/no/such/program", "x"]), Duration::from_secs(30)).unwrap_err();
        assert!(error.starts_with("/no/such/program x: No such file"), "{error}");
    }

    #[test]
    fn what_does_not_end_is_killed() {
        let begun = Instant::now();
        let error = run(command(&["/bin/sleep", "600"]), Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("killed, it took more than 0.05 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
