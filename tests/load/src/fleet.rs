//! All the agents at once.

use std::convert::Infallible;
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

/// Lets an agent live for each of these nodes until enough of them was seen, but no longer than `limit`. Each is
/// to have sent `settled` heartbeats before they are judged.
pub(crate) async fn run(target: &Target, nodes: Vec<Node>, settled: u32, limit: Duration) -> Report {
    let journal = Arc::new(Journal::new(settled));
    let log = Logger::root(journal.clone(), o!());
    let live = |node, life| agent::live(target.clone(), node, life, log.clone());
    watch(&journal, nodes, BEGINNING, limit, live).await
}

/// Lets an agent live for each of these and reports once enough was seen, or the time is over.
async fn watch<T: 'static, F>(
    journal: &Arc<Journal>,
    agents: Vec<T>,
    beginning: usize,
    limit: Duration,
    live: impl Fn(T, Life) -> F,
) -> Report
where
    F: Future<Output = Result<Infallible, String>> + 'static,
{
    let count = agents.len();
    let places = Arc::new(Semaphore::new(beginning));
    let (sender, mut settling) = mpsc::channel(1);
    let local = LocalSet::new();
    let mut all = JoinSet::new();
    for agent in agents {
        let life = Life::new(journal.clone(), sender.clone());
        let (places, begins) = (places.clone(), life.begins());
        let living = live(agent, life);
        all.spawn_local_on(
            async move {
                begins.set(places.acquire_owned().await.ok());
                living.await
            },
            &local,
        );
    }
    drop(sender);
    let ends = async {
        while let Some(ended) = all.join_next().await {
            journal.ended(match ended {
                Ok(Ok(never)) => match never {},
                Ok(Err(why)) => why,
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
    // Whether enough was seen is in the report.
    let _ = timeout(limit, local.run_until(enough)).await;
    Report::new(count, &journal.entries(), settled, journal.now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipa_host::ironic::{Beat, keep_beating};
    use slog::Discard;

    const TIMEOUT: Duration = Duration::from_secs(60);
    const LIMIT: Duration = Duration::from_secs(3600);
    const ANSWER: Duration = Duration::from_millis(30);

    async fn accepted() -> Beat {
        sleep(ANSWER).await;
        Beat::Accepted
    }

    /// As the product does it.
    async fn with_jitter(begin: Duration, life: Life) -> Result<Infallible, String> {
        sleep(begin).await;
        life.finds(TIMEOUT);
        let log = Logger::root(Discard, o!());
        Ok(keep_beating(TIMEOUT, &log, std::future::pending, || life.sends(accepted())).await)
    }

    /// As many agents elsewhere do it.
    async fn without_jitter(begin: Duration, life: Life) -> Result<Infallible, String> {
        sleep(begin).await;
        life.finds(TIMEOUT);
        loop {
            life.sends(accepted()).await;
            sleep(TIMEOUT.mul_f64(0.45)).await;
        }
    }

    /// A thousand agents that begin one after the other within so many seconds, on a clock of their own.
    async fn report<F>(within: u64, settled: u32, live: impl Fn(Duration, Life) -> F) -> Report
    where
        F: Future<Output = Result<Infallible, String>> + 'static,
    {
        let journal = Arc::new(Journal::new(settled));
        let begins = (0..1000).map(|number| Duration::from_secs(within).mul_f64(f64::from(number) / 1000.0)).collect();
        watch(&journal, begins, 1000, LIMIT, live).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_products_pacing_spreads_what_began_together_in_a_few_heartbeats() {
        for (within, settled) in [(0, 5), (14, 3), (27, 2)] {
            let report = report(within, settled, with_jitter).await;
            assert!(report.is_even(), "{within}: {report}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn agents_without_jitter_stay_in_step() {
        for (within, settled) in [(0, 5), (14, 3)] {
            let report = report(within, settled, without_jitter).await;
            assert_eq!((report.moments_are_even(), report.waits_are_even()), (false, false), "{within}: {report}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn agents_without_jitter_that_happen_to_begin_evenly_are_told_by_their_waits() {
        let report = report(27, 2, without_jitter).await;
        assert_eq!((report.moments_are_even(), report.waits_are_even()), (true, false), "{report}");
    }

    #[tokio::test(start_paused = true)]
    async fn agents_that_end_are_told_and_do_not_hold_up_the_others() {
        let live = |begin: Duration, life| async move {
            if begin.is_zero() { Err("no such node".to_owned()) } else { with_jitter(begin, life).await }
        };
        let text = report(27, 2, live).await.to_string();
        assert!(text.contains("nodes found: 999") && text.contains("agents that ended: 1 x no such node"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_ends_what_never_settles() {
        let journal = Arc::new(Journal::new(2));
        let report = watch(&journal, vec![LIMIT * 2], 1, LIMIT, with_jitter).await;
        assert!(!report.is_even(), "{report}");
        assert!(report.to_string().contains("the time was over before"), "{report}");
    }
}
