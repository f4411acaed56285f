//! Posting the data until somebody takes it.

use std::time::Duration;

use bytes::Bytes;
use slog::{Logger, info, warn};
use tokio::time::sleep;

use super::InspectError;
use crate::ironic::{self, Answer, Client, Endpoint, Unanswered};

/// Waits between the tries; one more try than waits is made.
const WAITS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(5), Duration::from_secs(6), Duration::from_secs(12)];
/// With logs the body has megabytes, so it gets this many times the time of other requests.
const PATIENCE: u32 = 4;

/// Posts the data. Gives the UUID of the node if it is in the answer.
pub(super) async fn send(
    client: &Client,
    urls: &[Endpoint],
    body: Vec<u8>,
    log: &Logger,
) -> Result<Option<String>, InspectError> {
    let body = Bytes::from(body);
    retried(log, || to_first_that_answers(client, urls, body.clone(), log)).await
}

async fn to_first_that_answers(
    client: &Client,
    urls: &[Endpoint],
    body: Bytes,
    log: &Logger,
) -> Result<Answer, Unanswered> {
    let mut last = None;
    for url in urls {
        info!(log, "posting the collected data"; "url" => %url, "bytes" => body.len());
        match client.post_to(url, body.clone(), client.timeout() * PATIENCE).await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                warn!(log, "the data was not taken"; "error" => %error);
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Unanswered { url: "inspection".into(), reason: "there is no address for it".into() }))
}

async fn retried<A>(log: &Logger, mut attempt: impl FnMut() -> A) -> Result<Option<String>, InspectError>
where
    A: Future<Output = Result<Answer, Unanswered>>,
{
    let mut waits = WAITS.iter();
    loop {
        let why = match attempt().await {
            Ok(answer) if answer.status == 409 || answer.status >= 500 => {
                format!("{}: {}", answer.from, ironic::error_text(answer.status, &answer.body))
            }
            Ok(answer) => return judge(&answer, log),
            Err(unanswered) => unanswered.to_string(),
        };
        let Some(wait) = waits.next() else {
            return Err(InspectError::Unreachable(format!("the inspection data could not be posted: {why}")));
        };
        warn!(log, "posting again"; "error" => why, "wait_s" => wait.as_secs());
        sleep(*wait).await;
    }
}

fn judge(answer: &Answer, log: &Logger) -> Result<Option<String>, InspectError> {
    let failed = |why: String| Err(InspectError::Failed(format!("inspection stopped: {}: {why}", answer.from)));
    if !(200..300).contains(&answer.status) {
        let hint = if answer.status == 404 { " (no node in inspection has these MAC or BMC addresses)" } else { "" };
        return failed(format!("{}{hint}", ironic::error_text(answer.status, &answer.body)));
    }
    match ironic::json(&answer.body) {
        Ok(body) => {
            let uuid = body.get("uuid").and_then(|uuid| uuid.as_str()).filter(|uuid| ironic::is_node_ident(uuid));
            info!(log, "inspection finished"; "node" => uuid);
            Ok(uuid.map(str::to_owned))
        }
        Err(why) => failed(format!("it took the data, but its answer cannot be used: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Discard, o};
    use std::cell::RefCell;
    use tokio::time::Instant;

    type Outcome = fn() -> Result<Answer, Unanswered>;

    fn answer(status: u16, body: &'static str) -> Result<Answer, Unanswered> {
        Ok(Answer { status, body: body.into(), from: Endpoint::parse("http://ironic/x").expect("a URL") })
    }

    fn down() -> Result<Answer, Unanswered> {
        Err(Unanswered { url: "http://ironic/x".into(), reason: "connection refused".into() })
    }

    /// Gives the outcome and the whole seconds at which it was tried.
    async fn run(outcomes: &[Outcome]) -> (Result<Option<String>, InspectError>, Vec<u64>) {
        let start = Instant::now();
        let times = RefCell::new(Vec::new());
        let log = Logger::root(Discard, o!());
        let result = retried(&log, || {
            let number = times.borrow().len();
            times.borrow_mut().push(start.elapsed().as_secs());
            std::future::ready(outcomes[number.min(outcomes.len() - 1)]())
        })
        .await;
        (result, times.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn five_tries_are_made_and_then_the_agent_ends() {
        let tries: [Outcome; 3] = [down, || answer(503, ""), || answer(409, r#"{"faultstring": "locked"}"#)];
        for outcome in tries {
            let (result, times) = run(&[outcome]).await;
            assert!(matches!(result, Err(InspectError::Unreachable(_))), "{result:?}");
            assert_eq!(times, [0, 5, 10, 16, 28]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_uuid_of_the_answer_is_found() {
        let (result, times) = run(&[down, || answer(202, r#"{"uuid": "5c6b"}"#)]).await;
        assert_eq!((result, times), (Ok(Some("5c6b".into())), vec![0, 5]));
        assert_eq!(run(&[|| answer(202, "{}")]).await.0, Ok(None));
        assert_eq!(run(&[|| answer(202, r#"{"uuid": "../x"}"#)]).await.0, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_ironic_does_not_want_is_not_sent_again() {
        let tries: [(Outcome, &str); 4] = [
            (|| answer(404, r#"{"faultstring": "no node"}"#), "Error 404: no node (no node in inspection"),
            (|| answer(400, "bad"), "Error 400: bad"),
            (|| answer(302, ""), "Error 302"),
            (|| answer(200, "<html>"), "web page"),
        ];
        for (outcome, part) in tries {
            let (result, times) = run(&[outcome]).await;
            let Err(InspectError::Failed(text)) = result else { panic!("{result:?}") };
            assert!(text.contains(part) && times.len() == 1, "{text}");
        }
    }
}
