//! A loaded plugin, wherever it runs.

use std::sync::Arc;
use std::time::Duration;

use ipa_plugin_api::error::{ErrorKind, HwError, HwResult};
use ipa_plugin_api::reply::{BAD_ARGUMENTS, RawReply, VALUE};
use serde_json::Value;

use super::death::Death;
use super::host::Host;
use super::json;
use super::local::Local;
use super::options::Isolation;
use super::remote::Remote;
use super::scope::Scope;
use super::text::shortened;
use super::vet::Vetted;

/// Longest details of an error, in bytes.
const DETAILS_LIMIT: usize = 64 * 1024;

/// A plugin with its manager made, in a worker or in this process.
#[derive(Debug)]
pub(crate) enum Link {
    Remote(Remote),
    Local(Local),
}

/// What is asked of a plugin.
#[derive(Debug)]
pub(crate) enum Request {
    Evaluate,
    /// With arguments as JSON.
    Call(String),
}

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Reply(RawReply),
    /// The plugin died while it worked on the request.
    Died(Arc<Death>),
    /// It was dead before; the request never reached it.
    NotSent(Arc<Death>),
}

/// Why a call has no reply.
#[derive(Debug)]
pub(crate) enum CallError {
    /// It never reached the plugin and can be made again.
    NotSent(Arc<Death>),
    Failed(HwError),
}

impl Link {
    /// Loads a vetted plugin and makes its manager.
    ///
    /// # Errors
    /// One line.
    pub(crate) async fn start(host: &Arc<Host>, plugin: Vetted) -> Result<Self, String> {
        let file = plugin.file.clone();
        let load = async {
            match host.options.isolation {
                Isolation::Worker => Remote::start(host, plugin).await.map(Self::Remote),
                Isolation::InProcess => Local::start(host, plugin).await.map(Self::Local),
            }
        };
        match tokio::time::timeout(host.options.deadlines.load, load).await {
            Ok(result) => result,
            Err(_) => Err(format!("{file} was not loaded within {:?}", host.options.deadlines.load)),
        }
    }

    pub(crate) fn death(&self) -> Option<Arc<Death>> {
        match self {
            Self::Remote(remote) => remote.death(),
            Self::Local(local) => local.death(),
        }
    }

    /// Process id of the worker.
    pub(crate) fn pid(&self) -> Option<i32> {
        match self {
            Self::Remote(remote) => Some(remote.pid()),
            Self::Local(_) => None,
        }
    }

    /// Ends the manager and then its plugin, within the time given.
    ///
    /// # Errors
    /// One line: the manager ended badly, or not by itself. The plugin has ended nevertheless.
    pub(crate) async fn unload(&self, limit: Duration) -> Result<(), String> {
        match self {
            Self::Remote(remote) => remote.unload(limit).await,
            Self::Local(local) => local.unload(limit).await,
        }
    }

    async fn request(&self, scope: &Arc<Scope>, request: Request) -> Outcome {
        match self {
            Self::Remote(remote) => remote.request(scope, request).await,
            Self::Local(local) => local.request(scope, request).await,
        }
    }

    fn tell_cancelled(&self, scope: &Scope) {
        // In this process the scope itself tells.
        if let Self::Remote(remote) = self {
            remote.tell_cancelled(scope);
        }
    }

    fn give_up(&self, why: String, counts: bool) {
        match self {
            Self::Remote(remote) => remote.kill(why, counts),
            Self::Local(local) => local.abandon(why, counts),
        }
    }

    async fn died(&self) -> Option<Arc<Death>> {
        match self {
            Self::Remote(remote) => remote.died().await,
            Self::Local(local) => local.death(),
        }
    }
}

/// Makes a call and waits for its end: its reply, its deadline, or its cancel. It goes on to one of these even if the
/// caller goes away, since a plugin cannot be left alone with a call that nobody will ever end.
pub(crate) async fn perform(
    host: &Arc<Host>,
    link: &Arc<Link>,
    scope: &Arc<Scope>,
    request: Request,
    limit: Duration,
) -> Result<RawReply, CallError> {
    struct CancelOnDrop<'a>(&'a Scope);
    impl Drop for CancelOnDrop<'_> {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let cancel = CancelOnDrop(scope);
    let driven = drive(Arc::clone(host), Arc::clone(link), Arc::clone(scope), request, limit);
    let result = tokio::spawn(driven).await;
    std::mem::forget(cancel);
    result.unwrap_or_else(|error| Err(CallError::Failed(HwError::command_execution(error.to_string()))))
}

async fn drive(
    host: Arc<Host>,
    link: Arc<Link>,
    scope: Arc<Scope>,
    request: Request,
    limit: Duration,
) -> Result<RawReply, CallError> {
    let pending = link.request(&scope, request);
    tokio::pin!(pending);
    let cancelled = tokio::select! {
        biased;
        outcome = &mut pending => return finish(&scope, outcome),
        () = scope.cancelled() => true,
        () = tokio::time::sleep(limit) => false,
    };
    scope.cancel();
    link.tell_cancelled(&scope);
    let deadlines = &host.options.deadlines;
    let grace = if cancelled { deadlines.after_cancel(scope.depth) } else { deadlines.grace };
    let outcome = tokio::time::timeout(grace, &mut pending).await;
    if cancelled && let Ok(outcome) = outcome {
        return finish(&scope, outcome);
    }
    let plugin = format!("plugin {}", scope.manager);
    let what = if cancelled { "did not end after it was cancelled" } else { "took longer than its deadline" };
    let error = match outcome {
        Ok(Outcome::Reply(reply)) => {
            let said = match reply.code {
                VALUE => "it ended too late".to_owned(),
                code => HwError::from_reply(code, &reply.body).to_string(),
            };
            format!("{plugin}: {} {what} of {limit:?}; asked to stop, it said: {said}", scope.method)
        }
        Ok(Outcome::Died(death) | Outcome::NotSent(death)) => format!("{} {what} of {limit:?}; {death}", scope.method),
        Err(_) => {
            let ended =
                format!("was ended by the agent because {} {what} (limit {limit:?}, then {grace:?})", scope.method);
            link.give_up(ended, !cancelled);
            match link.died().await {
                Some(death) => death.error(&scope.method).details().to_owned(),
                None => format!("{plugin}: {} {what} of {limit:?}", scope.method),
            }
        }
    };
    scope.end();
    let error = HwError::command_execution(error);
    Err(CallError::Failed(if cancelled { HwError::cancelled(error.details()) } else { error }))
}

fn finish(scope: &Scope, outcome: Outcome) -> Result<RawReply, CallError> {
    scope.end();
    match outcome {
        Outcome::Reply(reply) => Ok(reply),
        Outcome::Died(death) => Err(CallError::Failed(death.error(&scope.method))),
        Outcome::NotSent(death) => Err(CallError::NotSent(death)),
    }
}

/// The value or error in a reply. A value that is none becomes an error that names plugin and method.
pub(crate) fn open_reply(plugin: &str, method: &str, reply: &RawReply) -> HwResult<Value> {
    if reply.code == VALUE {
        return json::parse(&reply.body).map_err(|why| {
            HwError::command_execution(format!("plugin {plugin} gave an unusable answer to {method}: {why}"))
        });
    }
    let error = HwError::from_reply(reply.code, &reply.body);
    let details = shortened(error.details(), DETAILS_LIMIT).to_owned();
    // What a manager says for Ironic stays as it is. All else is about the plugin, so the operator must learn which.
    let about_plugin = matches!(error.kind(), ErrorKind::Panicked | ErrorKind::BadArguments)
        || !error.is_agent_defined()
        || reply.code > BAD_ARGUMENTS;
    Err(error.with_details(if about_plugin { format!("plugin {plugin}, {method}: {details}") } else { details }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(code: u32, body: &[u8]) -> HwResult<Value> {
        open_reply("acme", "wipe", &RawReply { code, body: body.to_vec() })
    }

    #[test]
    fn null_is_a_value() {
        assert_eq!(opened(VALUE, b"null"), Ok(Value::Null));
    }

    #[test]
    fn an_unusable_value_is_an_error_that_names_plugin_and_method() {
        for body in [&b"\xff"[..], b"{", b"", "[".repeat(100).as_bytes()] {
            let error = opened(VALUE, body).expect_err("unusable");
            assert!(error.details().starts_with("plugin acme gave an unusable answer to wipe: it is "), "{error}");
            assert_eq!(error.kind(), ErrorKind::Failed);
        }
    }

    #[test]
    fn errors_keep_their_class_and_a_bearable_length() {
        let (code, body) = HwError::cleaning("x".repeat(DETAILS_LIMIT * 2)).to_reply();
        let error = opened(code, &body).expect_err("error");
        assert_eq!((error.class(), error.details().len()), ("CleaningError", DETAILS_LIMIT));
        let (code, body) = HwError::panicked("wipe panicked: oops at a.rs:1").to_reply();
        assert!(opened(code, &body).expect_err("error").details().contains("plugin acme"));
        let (code, body) = HwError::other("OSError", "no such controller").to_reply();
        assert_eq!(opened(code, &body).expect_err("error").details(), "plugin acme, wipe: no such controller");
        let unknown = opened(4_000_000_000, b"from the year 2040").expect_err("error");
        assert!(
            unknown.details().starts_with("plugin acme, wipe: the plugin answered with code 4000000000"),
            "{unknown}"
        );
    }
}
