//! What a plugin can ask of the host during a call.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use ipa_plugin_api::error::{HwError, HwResult};
use ipa_plugin_api::reply::{ABSENT, RawReply, VALUE};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use slog::{FnValue, Level, Logger, b, info, record, warn};

use super::dispatch::{self, After};
use super::host::Host;
use super::json;
use super::scope::{Origin, Scope};
use crate::ironic;
use crate::managers::{ATTACHED_LOGS_LIMIT, Answer, BoxFuture};
use crate::tls::self_signed::{self, Wish};

/// Answers one question. Boxed, since an answer may need calls of other plugins, which may ask in turn.
pub(crate) fn serve<'a>(
    host: &'a Arc<Host>,
    scope: &'a Arc<Scope>,
    service: &'a str,
    args: &'a [u8],
) -> BoxFuture<'a, RawReply> {
    Box::pin(async move {
        let args = match json::parse(args) {
            Ok(args) => args,
            Err(why) => return error_reply(&HwError::bad_arguments(format!("arguments of {service}: {why}"))),
        };
        let result = match service {
            "dispatch" | "call_next" | "dispatch_all" => route(host, scope, service, args).await,
            "answers_first" => answers_first(host, scope, &args),
            "config" => Ok(host.options.section(&scope.manager)),
            "kernel_params" => Ok(json!(host.options.kernel_params)),
            "node" => Ok(host.node().unwrap_or_default()),
            "refresh_node" => Ok(refresh_node(host, scope).await),
            "http_get" => http_get(host, scope, args).await,
            "self_signed_certificate" => self_signed_certificate(args).await,
            "attach_log" => attach_log(scope, args).await,
            "command_start" => scope.commands.start(&host.runner, scope, &args),
            "command_read" => scope.commands.read(&args).await,
            "command_stop" => scope.commands.stop(&args),
            other => {
                let body =
                    HwError::absent(other).with_details(format!("this host has no service {other}")).to_reply().1;
                return RawReply { code: ABSENT, body };
            }
        };
        match result {
            Ok(value) => RawReply { code: VALUE, body: value.to_string().into_bytes() },
            Err(error) => error_reply(&error),
        }
    })
}

/// A failure of the host's own.
pub(crate) fn refusal(details: &str) -> RawReply {
    error_reply(&HwError::command_execution(details))
}

fn error_reply(error: &HwError) -> RawReply {
    let (code, body) = error.to_reply();
    RawReply { code, body }
}

async fn route(host: &Arc<Host>, scope: &Arc<Scope>, service: &str, args: Value) -> HwResult<Value> {
    #[derive(Deserialize)]
    struct Routed {
        method: String,
        #[serde(default)]
        args: Map<String, Value>,
    }
    let Routed { method, args } =
        Routed::deserialize(args).map_err(|error| HwError::bad_arguments(format!("{service}: {error}")))?;
    let (origin, args) = (Origin::nested(scope), Value::Object(args));
    match service {
        "dispatch" => dispatch::first(host, &origin, &method, args, After::Nobody).await,
        "call_next" => dispatch::first(host, &origin, &method, args, After::Manager(&scope.manager)).await,
        _ => {
            let answers = dispatch::all(host, &origin, &method, args).await?;
            let listed = answers.into_iter().map(|Answer { class_name, manager_name, value, .. }| {
                json!({"class_name": class_name, "name": manager_name, "value": value})
            });
            Ok(Value::Array(listed.collect()))
        }
    }
}

/// Whether the asking manager is the first that a method would be dispatched to.
fn answers_first(host: &Host, scope: &Scope, args: &Value) -> HwResult<Value> {
    let method = args["method"].as_str().ok_or_else(|| HwError::bad_arguments("answers_first: give a method"))?;
    let first = host.ranked().and_then(|managers| managers.iter().find(|manager| manager.may_have(method)));
    Ok(json!(first.is_some_and(|manager| manager.name() == scope.manager)))
}

/// The node as Ironic has it now, or as it was known before if Ironic does not answer. Only half of the time that the call
/// has left is spent on that, since it has something to do with the answer.
async fn refresh_node(host: &Host, scope: &Scope) -> Value {
    let known = host.node().unwrap_or_default();
    let Some(source) = host.node_source() else { return known };
    let limit = scope.expires.saturating_duration_since(Instant::now()) / 2;
    info!(host.logger, "looking the node up again"; "asked_by" => &scope.manager, "method" => &scope.method);
    let why = tokio::select! {
        answer = source(limit) => match answer {
            Ok(node) if node.get("uuid") == known.get("uuid") => {
                host.set_node(node.clone());
                return node;
            }
            Ok(node) => format!("Ironic says that it is another one now: {}", node["uuid"]),
            Err(why) => why,
        },
        () = tokio::time::sleep(limit) => format!("no answer within {} s", limit.as_secs()),
        () = scope.cancelled() => "the call was cancelled".to_owned(),
    };
    warn!(host.logger, "the node could not be looked up again, what was known of it counts"; "error" => why);
    known
}

/// A page of a server: `{"status": 200, "text": "..."}`.
async fn http_get(host: &Host, scope: &Scope, args: Value) -> HwResult<Value> {
    #[derive(Deserialize)]
    struct Wanted {
        url: String,
        limit: usize,
        deadline_ms: u64,
    }
    let Wanted { url, limit, deadline_ms } =
        Wanted::deserialize(args).map_err(|error| HwError::bad_arguments(format!("http_get: {error}")))?;
    let tls = host.tls().ok_or_else(|| {
        HwError::command_execution("http_get: nothing can be fetched before all managers are initialized")
    })?;
    let left = scope.expires.saturating_duration_since(Instant::now());
    let fetched = ironic::fetch(&url, limit, Duration::from_millis(deadline_ms).min(left), tls);
    tokio::select! {
        page = fetched => match page {
            Ok(ironic::Page { status, text }) => Ok(json!({"status": status, "text": text})),
            Err(why) => Err(HwError::command_execution(format!("http_get: {why}"))),
        },
        () = scope.cancelled() => Err(HwError::cancelled("the call was cancelled")),
    }
}

/// A key and a certificate for the agent's API: `{"certificate": PEM, "key": PEM}`.
async fn self_signed_certificate(args: Value) -> HwResult<Value> {
    let wish =
        Wish::deserialize(args).map_err(|error| HwError::bad_arguments(format!("self_signed_certificate: {error}")))?;
    let failed = |why: String| HwError::command_execution(format!("no certificate could be made: {why}"));
    // The larger curves take their time.
    let made = tokio::task::spawn_blocking(move || self_signed::make(&wish)).await;
    let made = made.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    Ok(serde_json::to_value(made)?)
}

async fn attach_log(scope: &Arc<Scope>, args: Value) -> HwResult<Value> {
    #[derive(Deserialize)]
    struct Attached {
        name: String,
        data_b64: Option<String>,
        text: Option<String>,
        path: Option<String>,
    }
    let wrong = |why: String| HwError::bad_arguments(format!("attach_log: {why}"));
    let attached = Attached::deserialize(args).map_err(|error| wrong(error.to_string()))?;
    let name = attached.name;
    if !is_archive_name(&name) {
        return Err(wrong(format!("{name:?} is no name for a file of an archive")));
    }
    let bytes = match (attached.text, attached.data_b64, attached.path) {
        (Some(text), None, None) => text.into_bytes(),
        (None, Some(data), None) => base64::engine::general_purpose::STANDARD
            .decode(data)
            .map_err(|error| wrong(format!("{name}: data_b64: {error}")))?,
        (None, None, Some(path)) => {
            let read = tokio::task::spawn_blocking(move || read_file(Path::new(&path))).await;
            read.map_err(|error| wrong(error.to_string()))?
                .map_err(|error| HwError::from(error.0).with_details(format!("attach_log: {}: {}", error.1, error.2)))?
        }
        _ => return Err(wrong(format!("{name}: give one of text, data_b64 and path"))),
    };
    if scope.context.attach_log(&name, bytes) {
        Ok(Value::Null)
    } else {
        Err(HwError::command_execution(format!(
            "attach_log: {name} was left out: the logs of this call exceed {ATTACHED_LOGS_LIMIT} bytes"
        )))
    }
}

/// A relative path that stays where it is unpacked.
fn is_archive_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.contains(|character: char| character.is_control())
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Reads a file to attach. Files of /proc have no size, so the end is where reading stops; pipes and devices, which
/// may have none, are refused.
fn read_file(path: &Path) -> Result<Vec<u8>, (std::io::Error, String, String)> {
    let failed = |error: std::io::Error| {
        let text = error.to_string();
        (error, path.display().to_string(), text)
    };
    // O_NONBLOCK: opening a pipe must not wait for its writer.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is no regular file")));
    }
    let mut bytes = Vec::new();
    file.take(ATTACHED_LOGS_LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Takes over a plugin's progress.
pub(crate) fn progress(scope: &Scope, percent: u32, message: &str) {
    scope.context.report(u8::try_from(percent.min(100)).unwrap_or(100), message);
}

/// Writes a plugin's log record, with its pairs.
pub(crate) fn log(logger: &Logger, scope: Option<&Scope>, level: u32, message: &str, pairs: &[u8]) {
    let level = match level {
        0 => Level::Critical,
        1 => Level::Error,
        2 => Level::Warning,
        3 => Level::Info,
        4 => Level::Debug,
        _ => Level::Trace,
    };
    let message = super::text::printable_line(message.as_bytes(), 4096);
    let pairs: Map<String, Value> = serde_json::from_slice(pairs).unwrap_or_default();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            super::text::printable_line(format!("{key}={text}").as_bytes(), 1024)
        })
        .collect();
    let method = scope.map_or("", |scope| scope.method.as_str());
    macro_rules! emit {
        ($level:expr) => {
            logger.log(&record!(
                $level, "", &format_args!("{message}"),
                b!("method" => method, "pairs" => FnValue(|_| pairs.join(" ")))
            ))
        };
    }
    match level {
        Level::Critical => emit!(Level::Critical),
        Level::Error => emit!(Level::Error),
        Level::Warning => emit!(Level::Warning),
        Level::Info => emit!(Level::Info),
        Level::Debug => emit!(Level::Debug),
        Level::Trace => emit!(Level::Trace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_an_archive_are_refused() {
        for name in ["", "/etc/passwd", "../up", "a//b", "a/./b", "a\nb"] {
            assert!(!is_archive_name(name), "{name:?}");
        }
        assert!(is_archive_name("acme/controller 0.txt"));
    }

    #[test]
    fn only_regular_files_are_attached() {
        assert!(!read_file(Path::new("/proc/self/status")).expect("a file without size").is_empty());
        let (_, path, why) = read_file(Path::new("/dev/zero")).expect_err("a device");
        assert_eq!((path.as_str(), why.as_str()), ("/dev/zero", "it is no regular file"));
    }

    #[tokio::test]
    async fn a_certificate_is_made_or_refused_with_a_reason() {
        let wish = json!({"ip_address": "192.0.2.1", "host_name": "h", "curve": "p256", "clock_skew_s": 3600});
        let made = self_signed_certificate(wish).await.expect("made");
        assert!(made["certificate"].as_str().expect("text").starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(made["key"].as_str().expect("text").starts_with("-----BEGIN PRIVATE KEY-----"));
        for (key, value) in [("ip_address", json!("h")), ("curve", json!("p1")), ("clock_skew_s", json!(-1))] {
            let mut wish = json!({"ip_address": "::1", "host_name": "h", "curve": "p256", "clock_skew_s": 0});
            wish[key] = value;
            let error = self_signed_certificate(wish).await.expect_err("no such certificate");
            assert!(error.details().starts_with("self_signed_certificate: "), "{error}");
        }
    }
}
