//! Options that Ironic sets with its answer to a lookup.

use serde_json::{Map, Value};

use super::boolean::is_true;
use super::effective::{BadValue, Config};
use super::spec::DEFAULT_GROUP;

/// Who sets them.
const WHO: &str = "lookup";

/// Members of the answer's `config` that are options of group `DEFAULT`, by member and option.
const OPTIONS: &[(&str, &str)] = &[
    ("disable_deep_image_inspection", "disable_deep_image_inspection"),
    ("permitted_image_formats", "permitted_image_formats"),
    ("agent_md5_checksum_enable", "md5_enabled"),
    ("tls_min_version", "tls_min_version"),
    ("tls_cipher_suites", "tls_cipher_suites"),
];

/// Members that hold the options of a section, by member and section.
const SECTIONS: &[(&str, &str)] =
    &[("agent_containers", "container"), ("metrics", "metrics"), ("metrics_statsd", "metrics_statsd")];

impl Config {
    /// Takes over the `config` of Ironic's answer to a lookup. What an option does not accept changes nothing; a newer
    /// Ironic may know more than this agent.
    ///
    /// Gives what was not taken.
    pub fn take_lookup(&self, config: &Map<String, Value>) -> Vec<BadValue> {
        let mut refused = Vec::new();
        let mut take = |group, name: &str, value| refused.extend(self.set(group, name, value, WHO).err());
        for (member, name) in OPTIONS {
            match config.get(*member) {
                None | Some(Value::Null) => {}
                Some(Value::String(empty)) if empty.is_empty() => {}
                Some(value) => take(DEFAULT_GROUP, name, value),
            }
        }
        // Ironic can only allow it.
        if config.get("enable_bios_bootloader_install").is_some_and(is_true) {
            take(DEFAULT_GROUP, "enable_bios_bootloader_install", &Value::Bool(true));
        }
        for (member, group) in SECTIONS {
            for (name, value) in config.get(*member).and_then(Value::as_object).into_iter().flatten() {
                take(group, name, value);
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Origin;

    fn take(config: &Config, answer: &Value) -> Vec<String> {
        let refused = config.take_lookup(answer.as_object().expect("an object"));
        refused.iter().map(BadValue::to_string).collect()
    }

    #[test]
    fn what_ironic_39_sends_is_taken_over() {
        let config = Config::default();
        let refused = take(
            &config,
            &json!({
                "heartbeat_timeout": 300, "agent_token": "t", "agent_token_required": true,
                "metrics": {"backend": "statsd", "prepend_host": true, "prepend_uuid": false, "prepend_host_reverse": true,
                    "global_prefix": null},
                "metrics_statsd": {"statsd_host": "stats", "statsd_port": 9125},
                "agent_containers": {"allowed_containers": ["a/b", "c"], "runner": "docker"},
                "disable_deep_image_inspection": true, "permitted_image_formats": ["raw", "iso"],
                "agent_md5_checksum_enable": true, "enable_bios_bootloader_install": false,
                "tls_min_version": "1.3", "tls_cipher_suites": null,
            }),
        );
        assert_eq!(refused, Vec::<String>::new());
        assert!(config.disable_deep_image_inspection() && config.md5_enabled());
        assert!(!config.enable_bios_bootloader_install());
        assert_eq!(config.permitted_image_formats(), ["raw", "iso"]);
        assert_eq!((config.tls_min_version().as_str(), config.tls_cipher_suites()), ("1.3", None));
        assert_eq!((config.metrics_backend().as_str(), config.statsd_port()), ("statsd", 9125));
        assert_eq!(config.allowed_containers(), ["a/b", "c"]);
        assert_eq!(config.origin("tls_min_version"), Origin::Runtime("lookup"));
    }

    #[test]
    fn what_does_not_fit_changes_nothing_and_is_reported() {
        let config = Config::default();
        let refused = take(
            &config,
            &json!({
                "tls_min_version": "1.1", "permitted_image_formats": [1], "agent_containers": {"new": "text", "newer": 1},
                "metrics": "text", "enable_bios_bootloader_install": "yes",
            }),
        );
        assert_eq!(
            refused,
            [
                "lookup: permitted_image_formats is \"[1]\"; allowed is texts between commas",
                "lookup: tls_min_version is \"1.1\"; allowed is one of 1.2, 1.3",
                "lookup: [container]new is \"***\"; allowed is an option that this agent has",
                "lookup: [container]newer is \"1\"; allowed is an option that this agent has",
            ]
        );
        assert_eq!(config.tls_min_version(), "1.2");
        assert!(config.enable_bios_bootloader_install(), "a text that is not empty is true");
    }
}
