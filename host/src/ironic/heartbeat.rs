//! Telling Ironic that the agent lives and where it is, for as long as it serves.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use slog::{Logger, debug, info, warn};
use tokio::time::{Instant, sleep_until};

use super::client::Client;
use super::transport::{Answer, Unanswered};
use super::{ApiVersion, answer, pacing};

/// What a heartbeat tells. It must not change as long as Ironic has it on record.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The node.
    pub uuid: String,
    /// Where Ironic reaches the agent, without a slash at the end.
    pub callback_url: String,
    /// Version of the agent.
    pub agent_version: String,
    /// PEM text of the certificate that the agent made for itself.
    pub certificate: Option<String>,
}

/// How a heartbeat ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// Ironic has it.
    Accepted,
    /// Somebody else works on the node.
    Locked(String),
    /// Anything else; the text says what.
    Failed(String),
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Locked(text) => write!(f, "the node is locked: {text}"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

/// Sends one in the form of today.
pub(super) async fn beat(client: &Client, announcement: &Announcement, token: Option<&str>) -> Beat {
    let version = client.version().await.version;
    let body = body(version, announcement, token);
    let path = format!("/v1/heartbeat/{}", announcement.uuid);
    judge(client.post(&path, &body, Some(version.min(ApiVersion::AGENT_VERIFY_CA))).await)
}

/// What the answer to a heartbeat of either form means.
pub(super) fn judge(outcome: Result<Answer, Unanswered>) -> Beat {
    match outcome {
        Ok(answer) if answer.status == 202 => Beat::Accepted,
        Ok(answer) => {
            let text = answer::error_text(answer.status, &answer.body);
            match answer.status {
                409 => Beat::Locked(text),
                status => Beat::Failed(match cure(status, &text) {
                    Some(cure) => format!("{text} ({cure})"),
                    None => text,
                }),
            }
        }
        Err(unanswered) => Beat::Failed(unanswered.to_string()),
    }
}

/// The members that this version of Ironic knows. A token that is not known is null, which Ironic refuses with a clear
/// text.
fn body(version: ApiVersion, announcement: &Announcement, token: Option<&str>) -> Value {
    let mut body = json!({ "callback_url": announcement.callback_url });
    if version >= ApiVersion::AGENT_TOKEN {
        body["agent_token"] = json!(token);
    }
    if version >= ApiVersion::AGENT_VERSION {
        body["agent_version"] = json!(announcement.agent_version);
    }
    if let Some(certificate) = announcement.certificate.as_ref().filter(|_| version >= ApiVersion::AGENT_VERIFY_CA) {
        body["agent_verify_ca"] = json!(certificate);
    }
    body
}

/// What the operator can do about a refusal.
fn cure(status: u16, text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    match status {
        400 if has("callback_url") => {
            Some("Ironic has another address of this node's agent on record; reboot the node through Ironic")
        }
        400 if has("tls") => Some("Ironic takes only https; see enable_auto_tls here and [agent]require_tls there"),
        400 if has("agent_verify_ca") || has("certificate") => {
            Some("Ironic has another certificate on record; reboot the node through Ironic")
        }
        400 if has("token") => {
            Some("Ironic has another token on record, or the agent none; reboot the node through Ironic")
        }
        404 => Some("Ironic does not know the node any more"),
        403 => Some("Ironic has its endpoints for agents disabled"),
        _ => None,
    }
}

/// Beats until dropped: at once, then at random moments well within `timeout`, and soon after each time `forced`
/// returns. Whatever is answered, five seconds pass before a forced one or one after a failure.
pub async fn run<F, B>(
    timeout: Duration,
    log: &Logger,
    mut forced: impl FnMut() -> F,
    mut beat: impl FnMut() -> B,
) -> std::convert::Infallible
where
    F: Future<Output = ()>,
    B: Future<Output = Beat>,
{
    let mut owed = false;
    let mut failures = 0_u32;
    let mut first = true;
    loop {
        // What was asked for until now is granted by this one; what comes while it is under way is not.
        owed |= forced().now_or_never().is_some();
        let outcome = beat().await;
        let wait = match outcome {
            Beat::Accepted => {
                if first || failures > 0 {
                    info!(log, "heartbeat accepted"; "failed_before" => failures);
                } else {
                    debug!(log, "heartbeat accepted");
                }
                (owed, failures, first) = (false, 0, false);
                pacing::after_success(timeout)
            }
            Beat::Locked(why) | Beat::Failed(why) => {
                failures = failures.saturating_add(1);
                let wait = pacing::after_failure();
                warn!(log, "heartbeat failed, trying again";
                    "error" => why, "failures" => failures, "wait_s" => format!("{:.1}", wait.as_secs_f64()));
                wait
            }
        };
        let now = Instant::now();
        let due = now + wait;
        let early = due.min(now + pacing::BETWEEN_HEARTBEATS);
        if !owed {
            tokio::select! {
                () = sleep_until(due) => continue,
                () = forced() => owed = true,
            }
        }
        sleep_until(early).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Settings;
    use crate::testing::agent_with;
    use slog::{Discard, o};
    use std::cell::RefCell;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn announcement() -> Announcement {
        Announcement {
            uuid: "u".into(),
            callback_url: "https://[fd00::5]:9999".into(),
            agent_version: "1.2.3".into(),
            certificate: Some("PEM".into()),
        }
    }

    #[test]
    fn each_version_gets_the_members_it_knows() {
        let members = |version: ApiVersion, announcement: &Announcement| {
            let body = body(version, announcement, None);
            body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let full = announcement();
        assert_eq!(members(ApiVersion(1, 31), &full), "callback_url");
        assert_eq!(members(ApiVersion(1, 36), &full), "callback_url agent_version");
        assert_eq!(members(ApiVersion(1, 62), &full), "callback_url agent_token agent_version");
        assert_eq!(members(ApiVersion(1, 68), &full), "callback_url agent_token agent_version agent_verify_ca");
        let plain = Announcement { certificate: None, ..full };
        assert_eq!(members(ApiVersion(1, 102), &plain), "callback_url agent_token agent_version");
        assert_eq!(body(ApiVersion(1, 68), &plain, None)["agent_token"], Value::Null);
        assert_eq!(body(ApiVersion(1, 68), &plain, Some("t"))["agent_token"], "t");
    }

    #[test]
    fn refusals_come_with_a_cure() {
        for (status, text, part) in [
            (400, "Detected change in ramdisk provided \"callback_url\"", "reboot the node through Ironic"),
            (400, "TLS is required by configuration", "enable_auto_tls"),
            (400, "Agent token is required for heartbeat processing.", "token"),
            (404, "Node u could not be found.", "does not know the node"),
        ] {
            assert!(cure(status, text).expect(text).contains(part), "{text}");
        }
        assert_eq!(cure(500, "token"), None);
    }

    /// Runs the loop until `beats` beats were sent; forces one at each of `forces`. Gives the times in seconds.
    async fn times(beats: usize, forces: &[u64], outcome: impl Fn(usize) -> Beat) -> Vec<f64> {
        let agent = agent_with(Settings::default());
        let log = Logger::root(Discard, o!());
        let start = Instant::now();
        let times = RefCell::new(Vec::new());
        let forcing = async {
            for at in forces {
                sleep_until(start + Duration::from_secs(*at)).await;
                agent.force_heartbeat();
            }
            std::future::pending::<()>().await;
        };
        let enough = tokio::sync::Notify::new();
        let beating = run(
            TIMEOUT,
            &log,
            || agent.heartbeat_forced(),
            || {
                let number = times.borrow().len();
                times.borrow_mut().push(start.elapsed().as_secs_f64());
                if number + 1 == beats {
                    enough.notify_one();
                }
                std::future::ready(outcome(number))
            },
        );
        tokio::select! {
            _ = beating => {}
            () = forcing => {}
            () = enough.notified() => {}
        }
        times.into_inner()
    }

    fn gaps(times: &[f64]) -> Vec<f64> {
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_sent_at_once_and_the_others_well_within_the_timeout() {
        let times = times(200, &[], |_| Beat::Accepted).await;
        assert!(times[0] < 0.01);
        assert!(gaps(&times).iter().all(|gap| (90.0..=180.01).contains(gap)), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_repeated_every_5_to_10_seconds_for_ever() {
        for failed in [Beat::Locked(String::new()), Beat::Failed(String::new())] {
            let times = times(500, &[], |_| failed.clone()).await;
            assert!(gaps(&times).iter().all(|gap| (5.0..=10.01).contains(gap)), "{failed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_forced_one_comes_soon_but_5_seconds_after_the_last() {
        // One right after the first beat, one in the quiet after the second.
        let times = times(3, &[1, 30], |_| Beat::Accepted).await;
        assert!((times[1] - 5.0).abs() < 0.02, "{times:?}");
        assert!((times[2] - 30.0).abs() < 0.02, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_forced_ones_make_one_beat_and_no_flood() {
        let forces: Vec<u64> = (1..5).chain(6..10).collect();
        let times = times(4, &forces, |_| Beat::Accepted).await;
        assert!((times[1] - 5.0).abs() < 0.02 && (times[2] - 10.0).abs() < 0.02, "{times:?}");
        assert!(times[3] - times[2] >= 90.0, "nothing is owed any more: {times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_forced_one_that_fails_is_still_owed() {
        let outcome = |number: usize| if number == 1 { Beat::Failed(String::new()) } else { Beat::Accepted };
        let times = times(4, &[20], outcome).await;
        assert!((times[1] - 20.0).abs() < 0.02 && (times[2] - 25.0).abs() < 0.02, "{times:?}");
        assert!(times[3] - times[2] >= 90.0, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_forced_during_a_beat_gets_one_of_its_own() {
        let agent = agent_with(Settings::default());
        let log = Logger::root(Discard, o!());
        let start = Instant::now();
        let times = RefCell::new(Vec::new());
        let beating = run(
            TIMEOUT,
            &log,
            || agent.heartbeat_forced(),
            || {
                times.borrow_mut().push(start.elapsed().as_secs_f64());
                async {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    if times.borrow().len() == 1 {
                        agent.force_heartbeat();
                    }
                    Beat::Accepted
                }
            },
        );
        let _ = tokio::time::timeout(Duration::from_secs(60), beating).await;
        let times = times.into_inner();
        assert_eq!(times.len(), 2, "{times:?}");
        assert!((times[1] - 7.0).abs() < 0.02, "{times:?}");
    }
}
