//! The configuration as a person reads it.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::inventory_table::printable;
use crate::config::options::OPTIONS;
use crate::config::spec::Spec;
use crate::config::{HIDDEN, OptionValue, Origin, Setting};

/// Longest value that the last column is kept in line for.
const WIDEST: usize = 40;

/// Every option with its value and source. Secrets are stars.
pub fn render(settings: &[(&'static Spec, Setting)]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|(spec, setting)| {
            [spec.title(), text(&shown(spec, &setting.value)), printable(&setting.origin.to_string())]
        })
        .collect();
    let widest = |column: usize, most: usize| {
        rows.iter().map(|row| row[column].chars().count()).filter(|&width| width <= most).max().unwrap_or(0)
    };
    let (name, value) = (widest(0, usize::MAX), widest(1, WIDEST));
    let mut out = String::new();
    for row in &rows {
        let _ = writeln!(out, "{:<name$}  {:<value$}  {}", row[0], row[1], row[2]);
    }
    out
}

/// The same for programs: `{"DEFAULT": {"listen_port": {"value": 9999, "source": "default"}}}`.
pub fn json(settings: &[(&'static Spec, Setting)]) -> Value {
    let mut groups = Map::new();
    for (spec, setting) in settings {
        let group = groups.entry(spec.group).or_insert_with(|| json!({}));
        group[spec.name] = json!({"value": shown(spec, &setting.value).json(), "source": setting.origin.to_string()});
    }
    Value::Object(groups)
}

/// The options that someone has set, each with its value and source, for the log.
pub fn set(settings: &[(&'static Spec, Setting)]) -> impl Iterator<Item = [String; 3]> {
    let set = settings.iter().filter(|(_, setting)| setting.origin != Origin::Default);
    set.map(|(spec, setting)| [spec.title(), text(&shown(spec, &setting.value)), setting.origin.to_string()])
}

/// What can be set, what it accepts, and every way to set it.
pub fn reference() -> String {
    let mut out = String::new();
    for spec in OPTIONS {
        let _ = writeln!(out, "{}\n    {}", spec.title(), spec.help);
        let default = text(&spec.default.into());
        let _ = writeln!(out, "    {}; default: {default}", spec.kind.allowed());
        let flag = if spec.has_flag() { format!("--{}, ", spec.flag()) } else { String::new() };
        let kernel = spec.kernel.map(|word| format!(", {word} on the kernel line")).unwrap_or_default();
        let _ = writeln!(out, "    {flag}{}{kernel}", spec.variable());
    }
    out
}

/// The same for programs.
pub fn reference_json() -> Value {
    let row = |spec: &Spec| {
        json!({
            "group": spec.group,
            "name": spec.name,
            "help": spec.help,
            "allowed": spec.kind.allowed(),
            "default": OptionValue::from(spec.default).json(),
            "flag": spec.has_flag().then(|| format!("--{}", spec.flag())),
            "variable": spec.variable(),
            "kernel": spec.kernel,
            "secret": spec.secret,
        })
    };
    OPTIONS.iter().map(row).collect()
}

fn shown(spec: &Spec, value: &OptionValue) -> OptionValue {
    match value {
        OptionValue::Unset => OptionValue::Unset,
        _ if spec.secret => OptionValue::Text(HIDDEN.to_owned()),
        OptionValue::Text(text) => OptionValue::Text(without_user(text)),
        OptionValue::List(items) => OptionValue::List(items.iter().map(|item| without_user(item)).collect()),
        other => other.clone(),
    }
}

/// A text with stars for user and password of each URL in it.
fn without_user(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', '?', '#', ',']).unwrap_or(part.len());
        let hidden = part[..end].rfind('@').map(|at| format!("{HIDDEN}{}", &part[at..]));
        out.push_str("://");
        out.push_str(hidden.as_deref().unwrap_or(part));
    }
    out
}

fn text(value: &OptionValue) -> String {
    match value {
        OptionValue::Unset => "-".to_owned(),
        OptionValue::Text(text) if text.is_empty() => "\"\"".to_owned(),
        OptionValue::Text(text) => printable(text),
        OptionValue::List(items) if items.is_empty() => "(none)".to_owned(),
        OptionValue::List(items) => printable(&items.join(",")),
        OptionValue::Integer(number) => number.to_string(),
        OptionValue::Float(number) => number.to_string(),
        OptionValue::Boolean(truth) => truth.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn secrets_are_stars_and_controls_are_harmless() {
        let config = Config::default();
        config.set("DEFAULT", "agent_token", &json!("s3cret"), "lookup").expect("a text");
        config.set("DEFAULT", "ntp_server", &json!("a\u{1b}[2J"), "mdns").expect("a text");
        let (table, json) = (render(&config.settings()), json(&config.settings()));
        let line = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).expect(name);
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("agent_token"), ["agent_token", "***", "lookup"]);
        assert_eq!(line("ntp_server"), ["ntp_server", "a?[2J", "mdns"]);
        assert_eq!(line("image_server_password"), ["image_server_password", "-", "default"]);
        assert_eq!(json["DEFAULT"]["agent_token"], json!({"value": "***", "source": "lookup"}));
        assert_eq!(json["DEFAULT"]["image_server_password"]["value"], Value::Null);
        let urls = json!("https://a:s3cret@b/c.so#1.2.0,https://s3cret@d/e.so,https://f/@g.so");
        config.set("DEFAULT", "plugin_urls", &urls, "lookup").expect("a list");
        let shown = format!("{}{}", render(&config.settings()), super::json(&config.settings()));
        assert!(shown.contains("https://***@b/c.so#1.2.0,https://***@d/e.so,https://f/@g.so"), "{shown}");
        assert!(!format!("{table}{json}{shown}").contains("s3cret"));
        let set: Vec<_> = set(&config.settings()).collect();
        assert_eq!(set[..2], [["ntp_server", "a?[2J", "mdns"], ["agent_token", "***", "lookup"]]);
    }

    #[test]
    fn the_reference_has_every_way_to_set_an_option() {
        let text = reference();
        let port = "listen_port\n    Port, 0 for any free one\n    a whole number from 0 to 65535; \
                    default: 9999\n    --listen-port, OS_DEFAULT__LISTEN_PORT, ipa-listen-port on the kernel line\n";
        assert!(text.contains(port), "{text}");
        assert_eq!(reference_json().as_array().map(Vec::len), Some(OPTIONS.len()));
    }
}
