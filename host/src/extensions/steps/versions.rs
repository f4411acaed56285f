//! Whether the managers are still those that Ironic planned with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ipa_plugin_api::error::HwResult;
use serde_json::{Map, Value};

use crate::errors;

/// Compares the versions that Ironic holds with the current ones. Null means that it holds none yet.
///
/// # Errors
/// `VersionMismatch` if a manager was added, removed or changed.
pub(super) fn check(current: &BTreeMap<String, String>, provided: &Value) -> HwResult<()> {
    if provided.is_null() {
        return Ok(());
    }
    let current: Map<String, Value> =
        current.iter().map(|(name, version)| (name.clone(), version.clone().into())).collect();
    let current = Value::Object(current);
    if *provided == current {
        return Ok(());
    }
    Err(errors::version_mismatch(&python_text(&current), &python_text(provided)))
}

/// A JSON value as Python prints it, which is what operators of the Python agent know these texts as.
fn python_text(value: &Value) -> String {
    let mut text = String::new();
    write_python(&mut text, value);
    text
}

fn write_python(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("None"),
        Value::Bool(true) => text.push_str("True"),
        Value::Bool(false) => text.push_str("False"),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => write_python_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_python(text, item);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_python_string(text, key);
                text.push_str(": ");
                write_python(text, member);
            }
            text.push('}');
        }
    }
}

fn write_python_string(text: &mut String, string: &str) {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    text.push(quote);
    for character in string.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ if character == quote => text.extend(['\\', quote]),
            _ if character.is_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn current() -> BTreeMap<String, String> {
        [("acme", "2.1"), ("generic_hardware_manager", "1.2")].map(|(a, b)| (a.to_owned(), b.to_owned())).into()
    }

    #[test]
    fn only_equal_maps_match() {
        assert!(check(&current(), &Value::Null).is_ok());
        assert!(check(&current(), &json!({"generic_hardware_manager": "1.2", "acme": "2.1"})).is_ok());
        for other in [
            json!({}),
            json!({"acme": "2.1"}),
            json!({"acme": "2.1", "generic_hardware_manager": "1.3"}),
            json!({"acme": "2.1", "generic_hardware_manager": "1.2", "x": "1"}),
            json!("2.1"),
            json!(false),
        ] {
            assert_eq!(check(&current(), &other).unwrap_err().code(), 409, "{other}");
        }
    }

    #[test]
    fn the_text_is_a_python_dict() {
        assert_eq!(
            check(&current(), &json!({"acme": "2.0"})).unwrap_err().details(),
            "Current versions: {'acme': '2.1', 'generic_hardware_manager': '1.2'}, versions used by ironic: \
             {'acme': '2.0'}"
        );
        // As python3 -c 'print(["it\'s", "a\"\'b", "\n\x1b", None, True, 1.5, {}])' prints it.
        assert_eq!(
            python_text(&json!(["it's", "a\"'b", "\n\u{1b}", null, true, 1.5, {}])),
            r#"["it's", 'a"\'b', '\n\x1b', None, True, 1.5, {}]"#
        );
    }
}
