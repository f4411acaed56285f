//! The way of a method through the managers, as the Python agent goes it: the first that has the method and does not
//! find it incompatible answers, whatever its answer is.
//!
//! A manager that cannot be asked any more (quarantined) is not simply passed over. What is its own, by its manifest or
//! because it answered it before, fails with the reason of the quarantine: else a step would silently be done by a
//! manager that does it differently, and an erasure could leave data behind or hit a disk that the dead manager
//! protects. Names that it only inherits go on to the next.

use std::fmt;
use std::sync::Arc;

use ipa_plugin_api::error::{ErrorKind, HwError, HwResult};
use serde_json::Value;

use super::host::Host;
use super::manager::Candidate;
use super::scope::Origin;
use super::surface::Presence;
use crate::managers::{Answer, BoxFuture};

/// Why a manager gave no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AskError {
    /// What it said itself, or how its call failed.
    Hardware(HwError),
    /// It cannot be asked at all.
    Unavailable(HwError),
}

impl From<HwError> for AskError {
    fn from(error: HwError) -> Self {
        Self::Hardware(error)
    }
}

impl From<AskError> for HwError {
    fn from(error: AskError) -> Self {
        let (AskError::Hardware(error) | AskError::Unavailable(error)) = error;
        error
    }
}

/// One that may answer a method.
pub(crate) trait Answerer: fmt::Debug + Send + Sync {
    fn class_name(&self) -> &str;
    fn name(&self) -> &str;
    fn support(&self) -> i64;
    /// How it may come to have the method, none if it has not.
    fn presence(&self, method: &str) -> Option<Presence>;
    /// Whether the method must not go to another manager if this one cannot be asked.
    fn owns(&self, method: &str) -> bool;
    fn ask<'a>(&'a self, method: &'a str, args: &'a Value) -> BoxFuture<'a, Result<Value, AskError>>;
}

/// Where the search begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After<'a> {
    /// With the first manager.
    Nobody,
    /// With the one ranked after this one.
    Manager(&'a str),
}

/// Asks the managers until one answers.
pub(crate) fn first<'a>(
    host: &'a Arc<Host>,
    origin: &'a Origin,
    method: &'a str,
    args: Value,
    after: After<'a>,
) -> BoxFuture<'a, HwResult<Value>> {
    Box::pin(async move {
        let mut candidates = candidates(host, origin, method)?;
        if let After::Manager(name) = after {
            let place = candidates.iter().position(|candidate| candidate.name() == name);
            candidates.drain(..place.map_or(0, |place| place + 1));
        }
        first_of(&candidates, method, &args).await
    })
}

/// Asks all managers.
pub(crate) fn all<'a>(
    host: &'a Arc<Host>,
    origin: &'a Origin,
    method: &'a str,
    args: Value,
) -> BoxFuture<'a, HwResult<Vec<Answer>>> {
    Box::pin(async move { all_of(&candidates(host, origin, method)?, method, &args).await })
}

fn candidates<'a>(host: &'a Arc<Host>, origin: &'a Origin, method: &str) -> HwResult<Vec<Candidate<'a>>> {
    let managers = host.ranked().ok_or_else(|| {
        HwError::command_execution(format!("{method} cannot be dispatched yet: the managers are being ranked"))
    })?;
    if managers.is_empty() {
        return Err(no_manager(host));
    }
    Ok(managers.iter().map(|manager| Candidate { manager, host, origin }).collect())
}

fn no_manager(host: &Host) -> HwError {
    HwError::agent(
        "HardwareManagerNotFound",
        500,
        "No valid HardwareManager found",
        format!("no plugin in {} supports this machine; `ipa-host plugins list` tells why", host.places.join(", ")),
    )
}

/// Of the kind "failed", unlike [`HwError::absent`]: if it reaches a manager's method that asked, it must end that
/// method's own search too, as the exception does in the Python agent.
fn method_not_found(method: &str) -> HwError {
    let absent = HwError::absent(method);
    HwError::agent(absent.class().to_owned(), absent.code(), absent.message().to_owned(), absent.details())
}

async fn first_of<A: Answerer>(candidates: &[A], method: &str, args: &Value) -> HwResult<Value> {
    let mut passed_over = None;
    for candidate in candidates {
        let Some(presence) = candidate.presence(method) else { continue };
        match candidate.ask(method, args).await {
            Ok(value) => return Ok(value),
            Err(AskError::Hardware(error)) if goes_on(&error) => {}
            Err(AskError::Hardware(error)) => return Err(error),
            Err(AskError::Unavailable(error)) if candidate.owns(method) => return Err(error),
            Err(AskError::Unavailable(error)) => {
                // It might have been the only one to know this name.
                if presence == Presence::Dynamic {
                    passed_over.get_or_insert(error);
                }
            }
        }
    }
    Err(passed_over.unwrap_or_else(|| method_not_found(method)))
}

async fn all_of<A: Answerer>(candidates: &[A], method: &str, args: &Value) -> HwResult<Vec<Answer>> {
    let mut answers = Vec::new();
    for candidate in candidates {
        if candidate.presence(method).is_none() {
            continue;
        }
        match candidate.ask(method, args).await {
            Ok(value) => answers.push(Answer {
                class_name: candidate.class_name().to_owned(),
                manager_name: candidate.name().to_owned(),
                support: candidate.support(),
                value,
            }),
            Err(AskError::Hardware(error)) if goes_on(&error) => {}
            Err(AskError::Unavailable(_)) if !candidate.owns(method) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if answers.is_empty() { Err(method_not_found(method)) } else { Ok(answers) }
}

fn goes_on(error: &HwError) -> bool {
    matches!(error.kind(), ErrorKind::Absent | ErrorKind::Incompatible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug)]
    struct Fake {
        name: &'static str,
        presence: Option<Presence>,
        owns: bool,
        answer: Result<Value, AskError>,
        asked: AtomicU32,
    }

    fn fake(name: &'static str, answer: Result<Value, AskError>) -> Fake {
        Fake { name, presence: Some(Presence::Base), owns: false, answer, asked: AtomicU32::new(0) }
    }

    fn fails(error: HwError) -> Result<Value, AskError> {
        Err(error.into())
    }

    fn quarantined() -> Result<Value, AskError> {
        Err(AskError::Unavailable(HwError::command_execution("quarantined")))
    }

    impl Answerer for Fake {
        fn class_name(&self) -> &str {
            self.name
        }
        fn name(&self) -> &str {
            self.name
        }
        fn support(&self) -> i64 {
            1
        }
        fn presence(&self, _method: &str) -> Option<Presence> {
            self.presence
        }
        fn owns(&self, _method: &str) -> bool {
            self.owns
        }
        fn ask<'a>(&'a self, _method: &'a str, _args: &'a Value) -> BoxFuture<'a, Result<Value, AskError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { self.answer.clone() })
        }
    }

    async fn ask(managers: &[Fake]) -> HwResult<Value> {
        first_of(managers, "wipe", &json!({})).await
    }

    #[tokio::test]
    async fn absent_and_incompatible_go_on_and_null_is_an_answer() {
        let managers = [
            fake("a", fails(HwError::absent("wipe"))),
            fake("b", fails(HwError::incompatible(""))),
            fake("c", Ok(Value::Null)),
            fake("d", Ok(json!(1))),
        ];
        assert_eq!(ask(&managers).await, Ok(Value::Null));
        assert_eq!(managers[3].asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn every_other_error_ends_the_search() {
        for error in [
            HwError::configuration("section"),
            HwError::cleaning("failed"),
            HwError::panicked("oops"),
            HwError::bad_arguments("node"),
            HwError::cancelled("stop"),
        ] {
            let managers = [fake("a", fails(error.clone())), fake("b", Ok(json!(1)))];
            assert_eq!(ask(&managers).await, Err(error));
        }
    }

    #[tokio::test]
    async fn nobody_left_is_method_not_found_of_a_kind_that_ends_outer_searches() {
        let error = ask(&[fake("a", fails(HwError::incompatible("no")))]).await.expect_err("nobody");
        assert_eq!(error.class(), "HardwareManagerMethodNotFound");
        assert_eq!(error.details(), "Could not find method: wipe");
        assert_eq!(error.kind(), ErrorKind::Failed);
        let absent = Fake { presence: None, ..fake("a", Ok(json!(1))) };
        assert!(ask(&[absent]).await.is_err(), "a manager without the method is not asked");
    }

    #[tokio::test]
    async fn a_quarantined_manager_keeps_what_is_its_own() {
        let owner = Fake { owns: true, ..fake("a", quarantined()) };
        let error = ask(&[owner, fake("b", Ok(json!(1)))]).await.expect_err("not passed over");
        assert_eq!(error.details(), "quarantined");
        assert_eq!(ask(&[fake("a", quarantined()), fake("b", Ok(json!(1)))]).await, Ok(json!(1)));
    }

    #[tokio::test]
    async fn a_name_that_only_the_quarantined_may_have_known_fails_with_its_reason() {
        let dynamic = || Fake { presence: Some(Presence::Dynamic), ..fake("a", quarantined()) };
        assert_eq!(ask(&[dynamic()]).await.expect_err("quarantined").details(), "quarantined");
        assert_eq!(ask(&[dynamic(), fake("b", Ok(json!(2)))]).await, Ok(json!(2)));
        let inherits = ask(&[fake("a", quarantined())]).await.expect_err("not found");
        assert_eq!(inherits.class(), "HardwareManagerMethodNotFound");
    }

    #[tokio::test]
    async fn all_are_asked_in_order_and_the_first_failure_ends_the_round() {
        let managers = [
            fake("a", Ok(json!([]))),
            fake("b", fails(HwError::incompatible(""))),
            fake("c", quarantined()),
            fake("d", Ok(Value::Null)),
        ];
        let answers = all_of(&managers, "get_clean_steps", &json!({})).await.expect("answers");
        let named: Vec<_> = answers.iter().map(|answer| (answer.class_name.as_str(), &answer.value)).collect();
        assert_eq!(named, [("a", &json!([])), ("d", &Value::Null)]);

        let failing = [fake("a", Ok(json!(1))), fake("b", fails(HwError::cleaning("x"))), fake("c", Ok(json!(1)))];
        assert_eq!(all_of(&failing, "m", &json!({})).await, Err(HwError::cleaning("x")));
        assert_eq!(failing[2].asked.load(Ordering::Relaxed), 0);
        for nobody in
            [vec![], vec![fake("a", fails(HwError::absent("m"))), fake("b", fails(HwError::incompatible("")))]]
        {
            let error = all_of(&nobody, "m", &json!({})).await.expect_err("no answer");
            assert_eq!((error.class(), error.details()), ("HardwareManagerMethodNotFound", "Could not find method: m"));
        }
    }
}
