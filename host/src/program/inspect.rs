//! `ipa-host inspect`: the data of an inspection, for whom the options name or for the person at the terminal.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::time::sleep;

use super::inspection::{Plan, Wishes};
use super::signals::Signals;
use super::start::{Ahead, Media, Told};
use super::{Failure, discovery, session};
use crate::agent::{Agent, Settings};
use crate::cli::{InspectOptions, RunOptions};
use crate::inspect::InspectError;
use crate::ironic::Client;
use crate::plugins::Registry;
use crate::random;

/// The part of the interval that is really waited, by chance between these.
const JITTER: (f64, f64) = (0.7, 1.2);
/// What the interval grows by after a failure.
const BACKOFF: f64 = 2.7;
/// How many times the interval it grows to.
const LONGEST: f64 = 4.0;
/// Shortest interval, in seconds, whatever the option says.
const SHORTEST: f64 = 1.0;

/// Inspects once and posts or prints the data, or again and again.
pub(super) async fn run(options: InspectOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    let Ahead { runner, spare } = Ahead::start()?;
    let flags = options.flags.or(outer.flags);
    let common = options.common.or(outer.common);
    let mut told = Told::read(Path::new("/"), Media::Ignored, &runner, common, flags.all()).await?;
    let logging = told.logging();
    let log = logging.log().clone();
    let mut signals = Signals::catch()?;
    let sources = told.take_plugin_sources();
    let registry = Arc::new(Registry::start(told.plugins(true), sources, runner.clone(), spare, log.clone()).await);
    let settings = Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        standalone: true,
        read_only: true,
        ..Settings::default()
    };
    let agent = Agent::new(settings, registry.clone(), runner, logging);
    let outcome = tokio::select! {
        outcome = inspect(&agent, &told, options.daemon) => outcome,
        name = signals.next() => {
            info!(log, "{name} received, stopping");
            Ok(())
        }
    };
    registry.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn inspect(agent: &Arc<Agent>, told: &Told, daemon: bool) -> Result<(), Failure> {
    let (config, log) = (told.config(), agent.log());
    let callback = config.inspection_callback_url();
    if callback.is_none_or(|url| url.trim().is_empty()) && config.use_mdns() {
        discovery::introspection(config, agent.logging()).await?;
    } else if discovery::is_asked_for(config.api_url().as_deref()) {
        discovery::api(config, agent.logging()).await?;
    }
    let urls = session::endpoints("api_url", config.api_url().as_deref())?;
    let inspection = Plan::new(told, &urls)?.settle(agent.logging()).await?;
    let repeated = daemon || config.introspection_daemon();
    let Some(inspection) = inspection else {
        if repeated {
            return Err(Failure::new(
                "nobody is named who would take the data; give --inspection-callback-url".to_owned(),
            ));
        }
        return print(agent, told).await;
    };
    let client = Client::new(session::settings(config, urls, log), log.clone());
    let once = || async { inspection.run(agent, &client).await };
    if !repeated {
        return once().await.map(drop).map_err(|error| Failure::new(error.to_string()));
    }
    repeat(config.introspection_daemon_post_interval(), log, once)
        .await
        .map_err(|error| Failure::new(error.to_string()))
}

/// For a person, or a program behind a pipe: nobody is to be told.
async fn print(agent: &Arc<Agent>, told: &Told) -> Result<(), Failure> {
    let data = Wishes::of(told).for_nobody().collect(agent).await;
    println!("{}", serde_json::to_string_pretty(&data)?);
    match data.get("error").and_then(|error| error.as_str()) {
        Some(error) => Err(Failure::new(error.to_owned())),
        None => Ok(()),
    }
}

/// Inspects for ever. Only the first failure ends it: later ones may pass.
async fn repeat<I>(interval: Duration, log: &Logger, mut inspect: impl FnMut() -> I) -> Result<(), InspectError>
where
    I: Future<Output = Result<Option<String>, InspectError>>,
{
    inspect().await?;
    let normal = interval.as_secs_f64().max(SHORTEST);
    let (mut interval, mut failed) = (normal, false);
    loop {
        // Each interval is a part of the one before, as upstream has it. That alone would bring it down to nothing.
        interval = (interval * random::within(JITTER.0, JITTER.1)).max(normal * JITTER.0);
        info!(log, "waiting before the next inspection"; "wait_s" => format!("{interval:.1}"));
        sleep(Duration::try_from_secs_f64(interval).unwrap_or(Duration::MAX)).await;
        match inspect().await {
            Ok(_) => {
                if failed {
                    interval = interval.min(normal);
                }
                failed = false;
            }
            Err(error) => {
                warn!(log, "inspection failed, it is repeated"; "error" => %error);
                interval = (interval * BACKOFF).min(normal * LONGEST);
                failed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Discard, o};
    use std::cell::RefCell;
    use tokio::time::{Instant, timeout};

    const INTERVAL: Duration = Duration::from_secs(300);

    /// Gives the waits before the inspections, of which those with the given numbers fail, in seconds.
    async fn waits(interval: Duration, time: Duration, fails: impl Fn(usize) -> bool) -> Vec<f64> {
        let times = RefCell::new(Vec::new());
        let log = Logger::root(Discard, o!());
        let start = Instant::now();
        let ended = timeout(
            time,
            repeat(interval, &log, || {
                let number = times.borrow().len();
                times.borrow_mut().push(start.elapsed().as_secs_f64());
                std::future::ready(if fails(number) { Err(InspectError::Failed("no".into())) } else { Ok(None) })
            }),
        );
        assert!(ended.await.is_err(), "it goes on for ever");
        times.into_inner().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_are_parts_of_each_other_and_never_come_down_to_nothing() {
        let day = Duration::from_secs(86_400);
        let waits = waits(INTERVAL, day * 3, |_| false).await;
        assert!((210.0..=360.01).contains(&waits[0]), "{waits:?}");
        for pair in waits.windows(2) {
            let part = pair[1] / pair[0];
            assert!((0.69..=1.21).contains(&part) || (pair[1] - 210.0).abs() < 0.01, "{pair:?}");
        }
        assert!(waits.len() > 400 && waits.iter().all(|wait| *wait >= 209.99), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_make_them_grow_to_four_intervals_and_a_success_ends_that() {
        let waits = waits(INTERVAL, Duration::from_secs(86_400), |number| (1..8).contains(&number)).await;
        // After the first failure it is 2.7 times as long, then it is at its longest.
        assert!(waits[1] > waits[0] * 1.8, "{waits:?}");
        for wait in &waits[3..8] {
            assert!((839.99..=1440.01).contains(wait), "{waits:?}");
        }
        assert!((209.99..=360.01).contains(&waits[8]), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_of_nothing_is_no_flood() {
        assert!(waits(Duration::ZERO, Duration::from_secs(60), |_| false).await.iter().all(|wait| *wait > 0.69));
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_failure_ends_it() {
        let log = Logger::root(Discard, o!());
        let first = repeat(INTERVAL, &log, || std::future::ready(Err(InspectError::Unreachable("no".into())))).await;
        assert_eq!(first, Err(InspectError::Unreachable("no".into())));
    }
}
