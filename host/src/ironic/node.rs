//! What a lookup tells: the node, and how Ironic wants its agents.

use std::time::Duration;

use serde_json::{Map, Value};
use slog::{Logger, warn};

use crate::config::boolean::is_true;
use crate::token;

/// What Ironic puts in the place of a token that it has given out already.
const MASKED_TOKEN: &str = "******";
/// Bounds of the heartbeat interval, in seconds: neither a flood nor silence can be ordered.
const HEARTBEAT_TIMEOUT: (f64, f64) = (2.0, 86_400.0);

/// A node that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its UUID.
    pub uuid: String,
    /// The whole record, as hardware managers are given it.
    pub node: Value,
    /// Longest time that may pass between two heartbeats.
    pub heartbeat_timeout: Duration,
    /// The token.
    pub token: TokenAnswer,
    /// Options that Ironic sets, and all else it says beside the node, without the token.
    pub config: Map<String, Value>,
}

/// What a lookup says about the agent token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAnswer {
    /// Here it is.
    Issued(String),
    /// It was given to somebody before, and never is again before the next boot.
    Taken,
    /// Nothing that is a token.
    Absent,
}

impl Found {
    /// Reads the answer of a lookup, of a driver's passthru method too. Values that make no sense are named in the log
    /// and left out.
    ///
    /// # Errors
    /// Half a sentence: what is missing that nothing can replace.
    pub fn read(mut answer: Value, log: &Logger) -> Result<Self, String> {
        let mut node = answer.get_mut("node").map(Value::take).unwrap_or_default();
        let uuid = node.get("uuid").and_then(Value::as_str).filter(|uuid| is_node_ident(uuid));
        let uuid = uuid.ok_or("it has no node with a uuid")?.to_owned();
        let mut config = match answer.get_mut("config").map(Value::take) {
            Some(Value::Object(config)) => config,
            // Until 2016 the interval was all there was.
            _ => answer
                .get("heartbeat_timeout")
                .map(|v| ("heartbeat_timeout".to_owned(), v.clone()))
                .into_iter()
                .collect(),
        };
        let seconds = config.get("heartbeat_timeout").and_then(Value::as_f64).filter(|seconds| seconds.is_finite());
        let seconds = seconds.ok_or("it has no heartbeat_timeout that is a number of seconds")?;
        let bounded = seconds.clamp(HEARTBEAT_TIMEOUT.0, HEARTBEAT_TIMEOUT.1);
        if (bounded - seconds).abs() > f64::EPSILON {
            warn!(log, "Ironic's heartbeat timeout is out of all bounds"; "seconds" => seconds, "used_instead" => bounded);
        }
        if config.get("agent_skip_bmc_detect").is_some_and(is_true) {
            // Hardware managers look for it in the node.
            node["skip_bmc_detect"] = Value::Bool(true);
        }
        let token = token_answer(&config);
        config.shift_remove("agent_token");
        Ok(Self { uuid, node, heartbeat_timeout: Duration::from_secs_f64(bounded), token, config })
    }
}

/// The uuid becomes part of a URL.
pub(crate) fn is_node_ident(uuid: &str) -> bool {
    !uuid.is_empty()
        && uuid.len() <= 255
        && uuid.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && uuid.chars().any(|c| c != '.')
}

fn token_answer(config: &Map<String, Value>) -> TokenAnswer {
    match config.get("agent_token").and_then(Value::as_str) {
        Some(MASKED_TOKEN) => TokenAnswer::Taken,
        Some(token) if token.len() >= token::SHORTEST => TokenAnswer::Issued(token.to_owned()),
        _ => TokenAnswer::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use slog::{Discard, o};

    fn read(answer: Value) -> Result<Found, String> {
        Found::read(answer, &Logger::root(Discard, o!()))
    }

    fn with_config(config: &Value) -> Found {
        read(json!({"node": {"uuid": "5c6b"}, "config": config})).expect("usable")
    }

    #[test]
    fn all_that_ironic_39_sends_is_read() {
        let found = with_config(&json!({
            "heartbeat_timeout": 300, "agent_token": "qkz5m4wQm0Jr7c0mJm4S9y7b3bX0Xl0D6m1wS3X0X9g",
            "agent_token_required": true, "agent_md5_checksum_enable": false, "disable_deep_image_inspection": null,
            "permitted_image_formats": ["raw", "gpt", "qcow2"], "agent_skip_bmc_detect": true,
            "enable_bios_bootloader_install": false, "tls_min_version": "1.3", "tls_cipher_suites": null,
            "agent_containers": {"runner": "podman"}, "metrics": {"backend": "noop"}, "metrics_statsd": {}, "new": [1],
        }));
        assert_eq!(found.heartbeat_timeout.as_secs(), 300);
        assert_eq!(found.token, TokenAnswer::Issued("qkz5m4wQm0Jr7c0mJm4S9y7b3bX0Xl0D6m1wS3X0X9g".into()));
        assert_eq!(found.node, json!({"uuid": "5c6b", "skip_bmc_detect": true}));
        assert_eq!(found.config["tls_min_version"], "1.3");
        assert!(!found.config.contains_key("agent_token"), "it is a secret");
    }

    #[test]
    fn the_form_before_2016_is_read_too() {
        let found = read(json!({"heartbeat_timeout": 120, "node": {"uuid": "5c6b"}})).expect("usable");
        assert_eq!((found.heartbeat_timeout.as_secs(), found.token), (120, TokenAnswer::Absent));
    }

    #[test]
    fn what_nothing_can_replace_is_named() {
        for (answer, part) in [
            (json!({}), "uuid"),
            (json!([]), "uuid"),
            (json!({"node": null, "config": {"heartbeat_timeout": 1}}), "uuid"),
            (json!({"node": {"uuid": 5}, "config": {"heartbeat_timeout": 1}}), "uuid"),
            (json!({"node": {"uuid": "../../x"}, "config": {"heartbeat_timeout": 1}}), "uuid"),
            (json!({"node": {"uuid": "a"}}), "heartbeat_timeout"),
            (json!({"node": {"uuid": "a"}, "config": {"heartbeat_timeout": "soon"}}), "heartbeat_timeout"),
        ] {
            assert!(read(answer.clone()).expect_err("unusable").contains(part), "{answer}");
        }
    }

    #[test]
    fn no_interval_makes_a_flood_or_silence() {
        for (given, used) in [(json!(0), 2), (json!(-5), 2), (json!(1e300), 86_400), (json!(3), 3)] {
            assert_eq!(with_config(&json!({"heartbeat_timeout": given})).heartbeat_timeout.as_secs(), used);
        }
    }

    #[test]
    fn only_a_long_text_is_a_token() {
        for (token, answer) in [
            (json!("******"), TokenAnswer::Taken),
            (json!("short"), TokenAnswer::Absent),
            (json!(null), TokenAnswer::Absent),
            (json!(12), TokenAnswer::Absent),
        ] {
            assert_eq!(with_config(&json!({"heartbeat_timeout": 1, "agent_token": token})).token, answer);
        }
    }
}
