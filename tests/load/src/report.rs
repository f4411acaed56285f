//! What is told in the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ipa_host::ironic::Beat;
use serde::Serialize;

use crate::journal::Entries;
use crate::spread::Spread;

/// What an agent waits after a heartbeat that was accepted, by the time that may pass between two.
const WAITS: (f64, f64) = (0.3, 0.6);
/// Slices of the mean wait, which is how long heartbeats are counted.
const SLICES: u32 = 20;
/// Slices of the range of waits.
const SLICES_OF_WAITS: u32 = 10;

/// How long heartbeats are counted once all agents have settled.
pub(crate) fn window(timeout: Duration) -> Duration {
    timeout.mul_f64((WAITS.0 + WAITS.1) / 2.0)
}

/// The report of a run. All times are in seconds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    agents: usize,
    seconds: f64,
    heartbeat_timeout: f64,
    lookups: Lookups,
    heartbeats: Heartbeats,
    answer_times: Times,
    /// When agents that had settled sent heartbeats; none if the time was over before.
    moments: Option<Spread>,
    /// How long agents waited between an answer and the next heartbeat, by the heartbeat timeout.
    waits: Spread,
    warnings: BTreeMap<String, u64>,
    ended: BTreeMap<String, u64>,
}

/// How long after the common start agents knew their nodes.
#[derive(Debug, Clone, Serialize)]
struct Lookups {
    found: usize,
    times: Times,
}

/// What became of the heartbeats.
#[derive(Debug, Clone, Default, Serialize)]
struct Heartbeats {
    sent: u64,
    accepted: u64,
    locked: u64,
    failed: u64,
    /// Not answered when the agents were ended.
    under_way: u64,
    /// Why some failed.
    failures: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Serialize)]
struct Times {
    median: f64,
    percentile_99: f64,
    longest: f64,
}

impl Report {
    /// What these entries say of a run that ended `end` after its start and whose agents had all settled at `settled`.
    pub(crate) fn new(agents: usize, entries: &Entries, settled: Option<Duration>, end: Duration) -> Self {
        let timeout = entries.timeout.as_secs_f64();
        let moments = settled.filter(|settled| *settled + window(entries.timeout) <= end).map(|settled| {
            let (low, high) = (settled.as_secs_f64(), (settled + window(entries.timeout)).as_secs_f64());
            let moments = entries.sent.iter().map(Duration::as_secs_f64).filter(|at| (low..high).contains(at));
            Spread::of(moments, low, high, SLICES)
        });
        // Of the waits that begin shortly before the end only the short ones are seen.
        let longest = WAITS.1 * timeout + 1.0;
        let whole = |at: Duration, waited: f64| at.as_secs_f64() - waited + longest <= end.as_secs_f64();
        let waits = entries.heartbeats.iter().filter_map(|sent| Some((sent.at, sent.waited?.as_secs_f64())));
        let waits = waits.filter(|(at, waited)| whole(*at, *waited)).map(|(_, waited)| waited / timeout);
        Self {
            agents,
            seconds: end.as_secs_f64(),
            heartbeat_timeout: timeout,
            lookups: Lookups { found: entries.lookups.len(), times: Times::of(entries.lookups.iter().copied()) },
            heartbeats: Heartbeats::of(entries),
            answer_times: Times::of(entries.heartbeats.iter().map(|sent| sent.took)),
            moments,
            waits: Spread::of(waits, WAITS.0, WAITS.1, SLICES_OF_WAITS),
            warnings: entries.warnings.clone(),
            ended: counted(entries.ended.iter().map(String::as_str)),
        }
    }

    /// True if the heartbeats are spread evenly over time, and by the agents' pacing.
    pub(crate) fn is_even(&self) -> bool {
        self.moments_are_even() && self.waits_are_even()
    }

    /// True if no part of the interval has many more heartbeats than another.
    pub(crate) fn moments_are_even(&self) -> bool {
        self.moments.as_ref().is_some_and(Spread::is_even)
    }

    /// True if agents wait as long as chance says.
    pub(crate) fn waits_are_even(&self) -> bool {
        self.waits.is_even()
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Heartbeats {
    fn of(entries: &Entries) -> Self {
        let count = |is: fn(&Beat) -> bool| entries.heartbeats.iter().filter(|sent| is(&sent.answer)).count() as u64;
        let failures = entries.heartbeats.iter().filter_map(|sent| match &sent.answer {
            // Without the address, which names the node.
            Beat::Failed(why) => Some(why.split_once(": ").map_or(why.as_str(), |(_, reason)| reason)),
            _ => None,
        });
        let sent = entries.sent.len() as u64;
        Self {
            sent,
            accepted: count(|beat| *beat == Beat::Accepted),
            locked: count(|beat| matches!(beat, Beat::Locked(_))),
            failed: count(|beat| matches!(beat, Beat::Failed(_))),
            under_way: sent - entries.heartbeats.len() as u64,
            failures: counted(failures),
        }
    }
}

fn counted<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text.to_owned()).or_default() += 1;
    }
    counts
}

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
        let at = |percent| at(percent).copied().unwrap_or_default();
        Self { median: at(50), percentile_99: at(99), longest: at(100) }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, percentile_99, longest } = self;
        write!(f, "median {median:.3} s, 99th percentile {percentile_99:.3} s, longest {longest:.3} s")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Heartbeats { sent, accepted, locked, failed, under_way, failures } = &self.heartbeats;
        writeln!(
            f,
            "{} agents for {:.1} s, which may send heartbeats {} s apart",
            self.agents, self.seconds, self.heartbeat_timeout
        )?;
        writeln!(f, "nodes found: {}, after {}", self.lookups.found, self.lookups.times)?;
        writeln!(
            f,
            "heartbeats: {sent} sent, {accepted} accepted, {locked} refused as locked (409), {failed} failed, \
            {under_way} under way at the end"
        )?;
        writeln!(f, "Ironic's answers to them: {}", self.answer_times)?;
        for (what, counts) in
            [("failed heartbeats", failures), ("agents that ended", &self.ended), ("warnings", &self.warnings)]
        {
            for (text, count) in counts {
                writeln!(f, "{what}: {count} x {text}")?;
            }
        }
        match &self.moments {
            Some(moments) => {
                write!(f, "heartbeats over time, once all agents had settled, by seconds since the start:\n{moments}")?;
            }
            None => writeln!(f, "the time was over before all agents had settled and been watched for long enough")?,
        }
        write!(f, "waits between an answer and the next heartbeat, by the heartbeat timeout:\n{}", self.waits)
    }
}
