//! All the agents at once.

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, o};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::agent::{self, Node, Target};
use crate::journal::{Journal, Life};
use crate::report::{Report, window};

/// How many agents may be before the answer to their first heartbeat. Ironic's own server has room for five connections
/// that wait; it forgets others, and TCP asks again after a second, then two, then four.
const BEGINNING: usize = 4;

/// Lets an agent live for each of these nodes until enough of them was seen, but no longer than `limit`.
pub(crate) async fn run(target: &Target, nodes: Vec<Node>, limit: Duration) -> Report {
    let agents = nodes.len();
    let places = Arc::new(Semaphore::new(BEGINNING));
    let journal = Arc::new(Journal::new());
    let log = Logger::root(journal.clone(), o!());
    let local = LocalSet::new();
    let settled = local.run_until(watch(&journal, limit, |all, settling| {
        for node in nodes {
            let (settling, places) = (settling.clone(), places.clone());
            let (target, journal, log) = (target.clone(), journal.clone(), log.clone());
            all.spawn_local(async move {
                let place = places.acquire_owned().await.map_err(|error| error.to_string())?;
                agent::live(target, node, Life::new(journal, place, settling), log).await
            });
        }
    }));
    let settled = settled.await;
    Report::new(agents, &journal.entries(), settled, journal.now())
}

/// Starts agents and waits for the end of the window that is judged. Gives the moment when all had settled.
pub(crate) async fn watch<E: std::fmt::Display + 'static>(
    journal: &Journal,
    limit: Duration,
    start: impl FnOnce(&mut JoinSet<Result<std::convert::Infallible, E>>, &mpsc::Sender<()>),
) -> Option<Duration> {
    let (sender, mut settling) = mpsc::channel(1);
    let mut all = JoinSet::new();
    start(&mut all, &sender);
    drop(sender);
    let ends = async {
        while let Some(ended) = all.join_next().await {
            journal.ended(match ended {
                Ok(Ok(never)) => match never {},
                Ok(Err(why)) => why.to_string(),
                Err(error) => error.to_string(),
            });
        }
        std::future::pending::<()>().await;
    };
    let mut settled = None;
    let seen = async {
        // Nothing is ever sent: it ends when the last sender is gone.
        settling.recv().await;
        settled = Some(journal.now());
        sleep(window(journal.entries().timeout)).await;
    };
    let enough = async {
        tokio::select! {
            () = seen => {}
            () = ends => {}
        }
    };
    // Whether enough was seen is in the journal.
    let _ = timeout(limit, enough).await;
    settled
}
