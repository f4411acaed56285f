//! The words for true and false, and what else Python takes for either.

use serde_json::Value;

/// Reads a boolean as the Python agent does: `1`, `t`, `true`, `on`, `y`, `yes` and their opposites, in any case.
pub fn parse(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

/// Reads `ipa-debug`, where a word that means neither is false.
pub fn lenient(text: &str) -> bool {
    parse(text).unwrap_or(false)
}

/// What Python takes for true where the Python agent looks no closer at what Ironic sent.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{is_true, lenient, parse};

    #[test]
    fn the_vocabulary() {
        assert!(["1", "T", "true", "ON", "y", "Yes"].iter().all(|word| parse(word) == Some(true)));
        assert!(["0", "f", "False", "off", "N", "no"].iter().all(|word| parse(word) == Some(false)));
        assert!(["", "2", "maybe"].iter().all(|word| parse(word).is_none()));
        assert!(lenient("Y") && !lenient("maybe"));
    }

    #[test]
    fn truth_is_pythons() {
        for truth in [json!(true), json!(1), json!("no"), json!([0])] {
            assert!(is_true(&truth), "{truth}");
        }
        for untruth in [json!(null), json!(false), json!(0), json!(0.0), json!(""), json!({})] {
            assert!(!is_true(&untruth), "{untruth}");
        }
    }
}
