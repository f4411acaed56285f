//! Secrets are no part of a log, wherever they came from.

use std::borrow::Cow;

const TOKEN: &str = "agent_token";
/// What stands in for a secret.
pub(super) const MASK: &str = "<...>";

/// True for keys whose values are never logged.
pub(super) fn is_secret(key: &str) -> bool {
    ["token", "password", "secret"].iter().any(|end| {
        key.len() >= end.len() && {
            let tail = &key.as_bytes()[key.len() - end.len()..];
            tail.eq_ignore_ascii_case(end.as_bytes())
        }
    })
}

/// Replaces the value of every `agent_token` in a text: in a query, in JSON, in a Python dict or a kernel line.
pub fn mask_secrets(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(TOKEN) else { return Cow::Borrowed(text) };
    let mut masked = String::with_capacity(text.len());
    masked.push_str(&text[..first]);
    let mut rest = &text[first..];
    loop {
        let after = &rest[TOKEN.len()..];
        let value = after.trim_start_matches(['"', '\'', '\\', ' ', ':', '=']);
        let between = &after[..after.len() - value.len()];
        masked.push_str(TOKEN);
        masked.push_str(between);
        rest = value;
        if between.contains([':', '=']) {
            let end = value.find(is_delimiter).unwrap_or(value.len());
            if end > 0 && &value[..end] != "null" {
                masked.push_str(MASK);
                rest = &value[end..];
            }
        }
        match rest.find(TOKEN) {
            Some(next) => {
                masked.push_str(&rest[..next]);
                rest = &rest[next..];
            }
            None => {
                masked.push_str(rest);
                return Cow::Owned(masked);
            }
        }
    }
}

fn is_delimiter(character: char) -> bool {
    character.is_whitespace() || matches!(character, '&' | '#' | '"' | '\'' | '\\' | ',' | ';' | '}' | ']' | ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_token_is_masked() {
        for (text, masked) in [
            ("GET /v1/commands/?agent_token=abc&wait=true", "GET /v1/commands/?agent_token=<...>&wait=true"),
            (r#"{"agent_token": "abc", "a": 1}"#, r#"{"agent_token": "<...>", "a": 1}"#),
            (r#"{\"agent_token\":\"abc\"}"#, r#"{\"agent_token\":\"<...>\"}"#),
            ("{'agent_token': 'abc'}", "{'agent_token': '<...>'}"),
            ("agent_token=a agent_token=b", "agent_token=<...> agent_token=<...>"),
            ("ipa-agent_token=abc", "ipa-agent_token=<...>"),
        ] {
            assert_eq!(mask_secrets(text), masked);
        }
    }

    #[test]
    fn other_text_stays() {
        for text in
            ["no token", "agent_token", r#""agent_token_required": true"#, "agent_token=", r#"{"agent_token": null}"#]
        {
            assert_eq!(mask_secrets(text), text);
        }
    }

    #[test]
    fn secret_keys() {
        assert!(is_secret("agent_token") && is_secret("rescue_PASSWORD") && is_secret("secret"));
        assert!(!is_secret("tokens") && !is_secret("pass") && !is_secret("\u{e9}"));
    }
}
