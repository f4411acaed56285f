//! Asking Ironic, again and again, which node this machine is.

use std::time::Duration;

use serde_json::Value;
use slog::{Logger, debug, error, info, warn};
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::node::{Found, TokenAnswer};
use super::{ApiVersion, Negotiated};
use super::{answer, pacing};

/// How often a lookup is repeated that gave no token, perhaps because Ironic's version was not known.
const TRIES_FOR_VERSION: u32 = 3;

/// How long and how often Ironic is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After this time no new try is made.
    pub timeout: Duration,
    /// Shortest wait between two tries.
    pub interval: Duration,
}

/// Who is looked up.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// MAC addresses of the machine, as its inventory has them.
    pub addresses: Vec<String>,
    /// The node's UUID if an inspection told it.
    pub node_uuid: Option<String>,
}

impl Subject {
    /// The machine with this inventory.
    pub fn of_inventory(inventory: &Value, node_uuid: Option<String>) -> Self {
        let interfaces = inventory.get("interfaces").and_then(Value::as_array).into_iter().flatten();
        let mac = |interface: &Value| interface.get("mac_address")?.as_str().map(str::to_owned);
        let addresses = interfaces.filter_map(mac).filter(|mac| !mac.is_empty()).collect();
        Self { addresses, node_uuid }
    }
}

/// What came of one try.
#[derive(Debug)]
pub enum Attempt {
    /// The node, and whether the question was put in a version that Ironic is known to speak.
    Found(Box<Found>, Negotiated),
    /// Somebody else works on the node.
    Locked(String),
    /// Anything else; the text says what.
    NotYet(String),
}

/// Asks once.
pub(super) async fn attempt(client: &Client, subject: &Subject, log: &Logger) -> (Attempt, Option<u16>) {
    let negotiated = client.version().await;
    let addresses = subject.addresses.join(",");
    let mut query = vec![("addresses", addresses.as_str())];
    query.extend(subject.node_uuid.as_deref().map(|uuid| ("node_uuid", uuid)));
    let version = negotiated.version.min(ApiVersion::AGENT_TOKEN);
    debug!(log, "looking up the node"; "addresses" => &addresses, "version" => %version);
    match client.get("/v1/lookup", &query, Some(version)).await {
        Err(unanswered) => (Attempt::NotYet(unanswered.to_string()), None),
        Ok(answer) => (judge(answer.status, &answer.body, negotiated, log), Some(answer.status)),
    }
}

/// What an answer means.
pub(super) fn judge(status: u16, body: &[u8], negotiated: Negotiated, log: &Logger) -> Attempt {
    match status {
        200 => match answer::json(body).and_then(|body| Found::read(body, log)) {
            Ok(found) => Attempt::Found(Box::new(found), negotiated),
            Err(why) => Attempt::NotYet(format!("Ironic's answer cannot be used: {why}")),
        },
        409 => Attempt::Locked(answer::error_text(status, body)),
        404 => Attempt::NotYet(format!(
            "{}. Ironic has no node with one of these MAC addresses, or the node's state does not allow a lookup",
            answer::error_text(status, body)
        )),
        _ => Attempt::NotYet(answer::error_text(status, body)),
    }
}

/// Asks until the node is found and the agent has a token if Ironic gives any.
///
/// # Errors
/// The time is over; a sentence with the last reason.
pub async fn until_found<A>(
    pace: Pace,
    token_held: bool,
    log: &Logger,
    mut attempt: impl FnMut() -> A,
) -> Result<Found, String>
where
    A: Future<Output = Attempt>,
{
    let start = Instant::now();
    let (mut tries, mut conflicts, mut without_token) = (0_u32, 0_u32, 0_u32);
    loop {
        tries = tries.saturating_add(1);
        let why = match attempt().await {
            Attempt::Found(found, negotiated) => match found.token {
                TokenAnswer::Taken if !token_held => {
                    if without_token == 0 {
                        explain_taken_token(log, &found.uuid);
                    }
                    without_token += 1;
                    "Ironic has given this node's agent token to somebody else".to_owned()
                }
                TokenAnswer::Absent if !token_held && negotiated.assumed && without_token < TRIES_FOR_VERSION => {
                    without_token += 1;
                    "there was no agent token, perhaps because Ironic's API version is not known".to_owned()
                }
                _ => return Ok(*found),
            },
            Attempt::Locked(why) => {
                conflicts = conflicts.saturating_add(1);
                let pause = pacing::for_locked_node(conflicts);
                warn!(log, "the node is locked, waiting before the next lookup"; "seconds" => pause.as_secs(), "error" => &why);
                sleep(pause).await;
                why
            }
            Attempt::NotYet(why) => why,
        };
        let elapsed = start.elapsed();
        if elapsed >= pace.timeout {
            return Err(format!("the node could not be looked up within {} s; last: {why}", pace.timeout.as_secs()));
        }
        let wait = pacing::between_lookups(tries, pace.interval);
        warn!(log, "lookup failed, trying again"; "error" => why, "try" => tries, "wait_s" => format!("{:.1}", wait.as_secs_f64()));
        sleep(wait).await;
    }
}

/// The person at the console sees a machine that does nothing, and is to learn why.
fn explain_taken_token(log: &Logger, uuid: &str) {
    error!(log, "Ironic says that the agent token of this node has been given out already, and this agent has none. \
        Either the agent was restarted without a reboot, or another machine uses one of this node's MAC addresses. \
        Without the token Ironic refuses this agent. Reboot the node through Ironic (not by hand), so that Ironic makes \
        a new token; the lookup is repeated meanwhile"; "node" => uuid);
}

/// What the agent keeps of the token that a lookup told.
pub fn token_to_keep<'a>(found: &'a Found, held: bool, log: &Logger) -> Option<&'a str> {
    match &found.token {
        TokenAnswer::Issued(token) => return Some(token),
        TokenAnswer::Taken => info!(log, "the token that the agent was started with stays in use"),
        TokenAnswer::Absent if held => info!(log, "Ironic sent no valid token; the one from the start stays in use"),
        TokenAnswer::Absent => warn!(
            log,
            "Ironic sent no valid agent token, and there is none from the start, so that \
            the agent accepts no commands"
        ),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Logging;
    use serde_json::json;
    use std::cell::RefCell;

    const PACE: Pace = Pace { timeout: Duration::from_secs(600), interval: Duration::from_secs(1) };

    fn known(assumed: bool) -> Negotiated {
        Negotiated { version: ApiVersion::AGENT_TOKEN, assumed }
    }

    fn answer(token: &Value, assumed: bool) -> Attempt {
        let body = json!({"node": {"uuid": "a"}, "config": {"heartbeat_timeout": 300, "agent_token": token}});
        judge(200, body.to_string().as_bytes(), known(assumed), Logging::to(std::io::sink, false).log())
    }

    fn issued() -> Attempt {
        answer(&json!("0123456789abcdef0123456789abcdef"), false)
    }

    /// Runs a lookup against these answers, the last one for ever. Gives the outcome, the times of the tries in
    /// seconds, and the log.
    async fn run(answers: &[fn() -> Attempt], held: bool) -> (Result<Found, String>, Vec<f64>, String) {
        let logging = Logging::to(std::io::sink, true);
        let start = Instant::now();
        let times = RefCell::new(Vec::new());
        let outcome = until_found(PACE, held, logging.log(), || {
            let number = times.borrow().len();
            times.borrow_mut().push(start.elapsed().as_secs_f64());
            std::future::ready(answers[number.min(answers.len() - 1)]())
        })
        .await;
        (outcome, times.into_inner(), logging.ring().text())
    }

    #[tokio::test(start_paused = true)]
    async fn any_failure_is_retried_with_growing_waits_until_the_time_is_over() {
        let (outcome, times, _) = run(&[|| Attempt::NotYet("Error 404: no".into())], false).await;
        let error = outcome.expect_err("never found");
        assert!(error.contains("within 600 s") && error.contains("Error 404: no"), "{error}");
        let last = *times.last().expect("tried");
        assert!((600.0..=661.0).contains(&last), "{last}");
        for (index, pair) in times.windows(2).enumerate() {
            let (wait, cap) = (pair[1] - pair[0], f64::from(1_u32 << index.min(6)).min(60.0));
            assert!(wait >= 0.99 && wait <= cap + 0.01, "wait {index} was {wait} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_locked_node_is_left_alone_for_longer_and_longer() {
        let locked: fn() -> Attempt = || judge(409, b"{}", known(false), Logging::to(std::io::sink, false).log());
        let (outcome, times, _) = run(&[locked, locked, locked, locked, issued], false).await;
        assert!(outcome.is_ok());
        for (pair, pause) in times.windows(2).zip([5.0, 10.0, 30.0, 30.0]) {
            let wait = pair[1] - pair[0];
            assert!(wait > pause && wait <= pause + 8.1, "{wait} after {pause}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_given_to_somebody_else_is_explained_once_and_asked_for_again() {
        let (outcome, times, log) = run(&[|| answer(&json!("******"), false)], false).await;
        assert!(outcome.expect_err("no token").contains("somebody else"));
        assert!(times.len() > 10 && *times.last().expect("tried") <= 661.0);
        assert_eq!(log.matches("Reboot the node through Ironic").count(), 1, "{log}");
        let (outcome, _, _) = run(&[|| answer(&json!("******"), false), issued], false).await;
        assert!(matches!(outcome.expect("found").token, TokenAnswer::Issued(_)), "a token made meanwhile is taken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_from_the_start_makes_a_masked_one_harmless() {
        let (outcome, times, _) = run(&[|| answer(&json!("******"), false)], true).await;
        let logging = Logging::to(std::io::sink, true);
        let found = outcome.expect("found");
        assert_eq!((times.len(), token_to_keep(&found, true, logging.log())), (1, None));
        let newer = run(&[issued], true).await.0.expect("found");
        assert!(token_to_keep(&newer, true, logging.log()).is_some(), "Ironic's own token wins");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_version_is_given_a_few_more_tries_for_a_token() {
        let without: fn() -> Attempt = || answer(&json!(null), true);
        let (outcome, times, _) = run(&[without], false).await;
        assert!(outcome.is_ok() && times.len() == 4, "{times:?}");
        assert_eq!(run(&[without, issued], false).await.1.len(), 2);
        assert_eq!(run(&[|| answer(&json!(null), false)], false).await.1.len(), 1, "an Ironic without tokens");
    }

    #[test]
    fn macs_come_from_the_inventory_as_they_are() {
        let inventory = json!({"interfaces": [
            {"mac_address": "AA:bb:cc:00:00:01"}, {"mac_address": null}, {"name": "lo"}, {"mac_address": ""},
            {"mac_address": "aa:bb:cc:00:00:02"},
        ]});
        assert_eq!(Subject::of_inventory(&inventory, None).addresses, ["AA:bb:cc:00:00:01", "aa:bb:cc:00:00:02"]);
        assert!(Subject::of_inventory(&json!([]), None).addresses.is_empty());
    }
}
