//! How often the API was asked for what, and how long the answers took.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Statsd;

/// The requests that are timed, under the names that the Python agent times them with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Whether the agent runs.
    GetStatus,
    /// All commands.
    ListCommands,
    /// One command.
    GetCommand,
    /// A command to run.
    RunCommand,
}

impl Request {
    const ALL: [Self; 4] = [Self::GetStatus, Self::ListCommands, Self::GetCommand, Self::RunCommand];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetStatus => "get_status",
            Self::ListCommands => "list_commands",
            Self::GetCommand => "get_command",
            Self::RunCommand => "run_command",
        }
    }
}

/// What is known of all requests of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Answers.
    pub answered: u64,
    /// Answers with an error.
    pub refused: u64,
    /// The time to all answers together.
    pub time: Duration,
}

/// The requests so far.
#[derive(Debug, Default)]
pub struct Requests {
    cells: [Cell; 4],
    statsd: OnceLock<Statsd>,
}

#[derive(Debug, Default)]
struct Cell {
    answered: AtomicU64,
    refused: AtomicU64,
    micros: AtomicU64,
}

impl Requests {
    /// Sends the time of each answer from now on, to the first that is given.
    pub fn send_to(&self, statsd: Statsd) {
        let _ = self.statsd.set(statsd);
    }

    /// Notes an answer.
    pub fn note(&self, request: Request, took: Duration, refused: bool) {
        let cell = &self.cells[request as usize];
        cell.answered.fetch_add(1, Ordering::Relaxed);
        cell.refused.fetch_add(u64::from(refused), Ordering::Relaxed);
        cell.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(statsd) = self.statsd.get() {
            statsd.time(request, took);
        }
    }

    /// The numbers of each kind.
    pub fn counts(&self) -> [(Request, Count); 4] {
        Request::ALL.map(|request| {
            let Cell { answered, refused, micros } = &self.cells[request as usize];
            let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
            let count =
                Count { answered: load(answered), refused: load(refused), time: Duration::from_micros(load(micros)) };
            (request, count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_numbers() {
        let requests = Requests::default();
        requests.note(Request::RunCommand, Duration::from_millis(5), false);
        requests.note(Request::RunCommand, Duration::from_millis(7), true);
        let [.., (request, count)] = requests.counts();
        assert_eq!(request, Request::RunCommand);
        assert_eq!(count, Count { answered: 2, refused: 1, time: Duration::from_millis(12) });
        assert_eq!(requests.counts()[0], (Request::GetStatus, Count::default()));
    }
}
