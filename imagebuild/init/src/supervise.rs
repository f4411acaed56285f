//! The agent: started, watched, and started again as upstream's unit has it (`Restart=always`, `RestartSec=30s`,
//! `ConditionPathExists=!/etc/.rescued`).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::command;

/// Upstream's time between the agent's end and its next start.
pub const RESTART: Duration = Duration::from_secs(30);
/// Below the root: says that the machine is in rescue mode, and the agent must not be started again.
pub const RESCUED: &str = "etc/.rescued";
/// The longest line that is passed on in one piece, in bytes.
const LINE: usize = 16 * 1024;

/// What follows from the agent's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is started again after this time.
    Restart(Duration),
    /// It stays down: the machine belongs to its user now, or is going down.
    Stay,
}

/// The rule: however it ended, it is started again, unless there is nothing left to do for it.
pub fn after_end(is_rescued: bool, is_going_down: bool, pause: Duration) -> Next {
    if is_rescued || is_going_down { Next::Stay } else { Next::Restart(pause) }
}

/// Pauses before what others need is started again, one longer than the other. After the last one it is given up.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// What runs that long has not ended at once.
const STAYED: Duration = Duration::from_secs(60);

/// How often what others need ended at once.
#[derive(Debug, Default)]
pub struct Endurance(usize);

impl Endurance {
    /// The pause until it is started again after it ran so long; none if it is given up.
    pub fn after(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= STAYED {
            self.0 = 0;
        }
        let pause = PAUSES.get(self.0).copied();
        self.0 += 1;
        pause
    }
}

/// The agent's process.
#[derive(Debug, Default)]
pub struct Agent {
    /// Its number while it runs; also that of its session.
    pub pid: Option<u32>,
    /// When it is to be started.
    pub start_at: Option<Instant>,
    output: Option<UnixStream>,
    lines: Lines,
}

impl Agent {
    /// Starts it in a session of its own, with its output to us. Both streams of it come in the order in which they
    /// were written.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self, argv: &[String]) -> io::Result<u32> {
        self.start_at = None;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let errors: File = std::os::fd::OwnedFd::from(theirs.try_clone()?).into();
        // This program again, which opens the session: only the process itself can, and before it is the agent.
        let argv: Vec<&str> =
            ["/proc/self/exe", "session"].into_iter().chain(argv.iter().map(String::as_str)).collect();
        let mut command = command(&argv);
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stderr(Stdio::from(errors));
        let pid = command.spawn()?.id();
        (self.pid, self.output) = (Some(pid), Some(ours));
        Ok(pid)
    }

    /// Where its output comes from, as long as somebody has it open.
    pub fn output(&self) -> Option<&UnixStream> {
        self.output.as_ref()
    }

    /// The lines that came, with their line feeds.
    pub fn read(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 4096];
        let mut lines = Vec::new();
        // Bounded, so that an agent that writes without end does not keep us from everything else.
        for _ in 0..64 {
            let Some(output) = &mut self.output else { break };
            match output.read(&mut buffer) {
                Ok(0) => {
                    self.output = None;
                    lines.extend(self.lines.rest());
                }
                Ok(length) => lines.extend(self.lines.add(&buffer[..length])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        lines
    }
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn add(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while !bytes.is_empty() {
            let feed = bytes.iter().position(|byte| *byte == b'\n');
            let length = feed.map_or(bytes.len(), |at| at + 1).min(LINE - self.0.len());
            self.0.extend(&bytes[..length]);
            bytes = &bytes[length..];
            if self.0.ends_with(b"\n") || self.0.len() == LINE {
                lines.extend(self.rest());
            }
        }
        lines
    }

    fn rest(&mut self) -> Option<Vec<u8>> {
        let mut line = std::mem::take(&mut self.0);
        if line.last().is_some_and(|byte| *byte != b'\n') {
            line.push(b'\n');
        }
        Some(line).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_upstreams_unit() {
        assert_eq!(after_end(false, false, RESTART), Next::Restart(Duration::from_secs(30)));
        assert_eq!(after_end(true, false, RESTART), Next::Stay);
        assert_eq!(after_end(false, true, RESTART), Next::Stay);
    }

    #[test]
    fn what_does_not_stay_is_given_up() {
        let mut endurance = Endurance::default();
        let at_once = Duration::from_secs(1);
        for pause in PAUSES {
            assert_eq!(endurance.after(at_once), Some(pause));
        }
        assert_eq!(endurance.after(at_once), None);
        // One that stayed for a while counts from the beginning.
        let mut endurance = Endurance::default();
        for _ in 0..100 {
            assert_eq!(endurance.after(STAYED), Some(PAUSES[0]));
            assert_eq!(endurance.after(at_once), Some(PAUSES[1]));
        }
    }

    #[test]
    fn lines_whole_and_too_long() {
        let mut lines = Lines::default();
        assert_eq!(lines.add(b"one\ntw"), [b"one\n"]);
        assert_eq!(lines.add(b"o\n\nthree"), [&b"two\n"[..], b"\n"]);
        assert_eq!(lines.rest(), Some(b"three\n".to_vec()));
        assert_eq!(lines.rest(), None);
        let long = lines.add(&vec![b'x'; 3 * LINE + 5]);
        assert_eq!(long.len(), 3);
        assert!(long.iter().all(|line| line.len() == LINE + 1));
        assert_eq!(lines.add(b"\n"), [b"xxxxx\n"]);
    }
}
