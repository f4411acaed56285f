//! Starting programs: the command line in every error, a deadline for every wait.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Doing, Failure, Outcome};

/// How often a child is asked whether it has ended. The standard library has no wait with a deadline.
const POLL: Duration = Duration::from_millis(5);
/// Time between the polite and the final signal.
const GRACE: Duration = Duration::from_secs(10);
/// After this long without a line it is asked whether the program has ended.
const SILENCE: Duration = Duration::from_millis(500);
/// Most output that is kept of one program.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = if program.ends_with("/cargo") { "cargo" } else { &program };
    let mut line = program.to_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        line.push(' ');
        if argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || "\"'$*;&|<>(){}".contains(c)) {
            line.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        } else {
            line.push_str(&argument);
        }
    }
    line
}

/// Runs a program with our own output and fails unless it succeeds.
pub fn run(command: &mut Command, deadline: Duration) -> Outcome {
    let mut child = spawn(command.stdin(Stdio::null()))?;
    let status = wait(&mut child, command, deadline)?;
    success(status, command, "")
}

/// Runs a program and gives its standard output; its last error lines go into the failure.
pub fn output(command: &mut Command, deadline: Duration) -> Outcome<String> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, command, deadline)?;
    // A grandchild may hold the pipes open, so this too has an end.
    let received = |pipe: mpsc::Receiver<Vec<u8>>| pipe.recv_timeout(GRACE).unwrap_or_default();
    let (stdout, stderr) = (received(stdout), received(stderr));
    success(status, command, &tail(&String::from_utf8_lossy(&stderr)))?;
    String::from_utf8(stdout).doing(format_args!("`{}` printed no text", line(command)))
}

/// Runs a program and hands each line of its standard output to `each`.
pub fn run_lines(command: &mut Command, deadline: Duration, mut each: impl FnMut(&str)) -> Outcome {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let (sender, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
    }
    let end = Instant::now() + deadline;
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            // A grandchild that outlives the program may hold its output open; do not wait for that one.
            Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(Some(_))) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= end {
            break;
        }
    }
    let status = wait(&mut child, command, end.saturating_duration_since(Instant::now()))?;
    success(status, command, "")
}

/// Waits for the end of a child and kills it at the deadline.
fn wait(child: &mut Child, command: &Command, deadline: Duration) -> Outcome<ExitStatus> {
    let waiting = || format!("waiting for `{}`", line(command));
    if let Some(status) = wait_for(child, deadline).doing(waiting())? {
        return Ok(status);
    }
    child.kill().doing(format_args!("killing `{}`", line(command)))?;
    child.wait().doing(waiting())?;
    Err(Failure::new(format!("`{}` did not end within {} s and was killed", line(command), deadline.as_secs())))
}

/// The exit status, or `None` if the child still runs at the deadline.
pub fn wait_for(child: &mut Child, deadline: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Starts a program.
pub fn spawn(command: &mut Command) -> Outcome<Child> {
    command.spawn().map_err(|error| Failure::new(format!("cannot start `{}`: {error}", line(command))))
}

/// Asks a child to end, and kills it if it does not.
pub fn stop(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        // Its number may belong to another process by now.
        return;
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended since: then there is nothing to signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    if !matches!(wait_for(child, GRACE), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.take(OUTPUT_LIMIT).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

fn success(status: ExitStatus, command: &Command, detail: &str) -> Outcome {
    if status.success() {
        return Ok(());
    }
    let separator = if detail.is_empty() { "" } else { ": " };
    Err(Failure::new(format!("`{}` ended with {status}{separator}{detail}", line(command))))
}

/// The last lines, joined to one.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_failure_shows_command_status_and_last_words() {
        let failure = output(Command::new("ls").arg("/no such place"), LONG).unwrap_err().to_string();
        assert!(failure.starts_with("`ls '/no such place'` ended with exit status: 2"), "{failure}");
        assert!(failure.contains("No such file"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_at_the_deadline() {
        let start = Instant::now();
        let failure = run(Command::new("sleep").arg("60"), Duration::from_millis(20)).unwrap_err().to_string();
        assert!(failure.contains("did not end"), "{failure}");
        assert!(start.elapsed() < LONG);
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&mut Command::new("no-such-program"), LONG).unwrap_err().to_string();
        assert!(failure.starts_with("cannot start `no-such-program`"), "{failure}");
    }

    #[test]
    fn lines_arrive_in_order() {
        let mut seen = Vec::new();
        run_lines(Command::new("printf").arg("a\\nb\\n"), LONG, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["a", "b"]);
    }

    #[test]
    fn a_grandchild_that_keeps_the_output_open_is_not_waited_for() {
        let start = Instant::now();
        let mut lines = 0;
        run_lines(Command::new("sh").args(["-c", "sleep 60 & echo done"]), LONG, |_| lines += 1).unwrap();
        assert_eq!(lines, 1);
        assert!(start.elapsed() < LONG);
    }
}
