//! Command arguments and results as they may appear in a log.

use std::fmt;
use std::io;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

/// Longest text of one value in a log line, in bytes.
const LIMIT: usize = 1024;
const HIDDEN: &str = "<...>";

/// A JSON value for logs: large and secret members are replaced by `<...>`, and the text is cut at 1 KiB.
///
/// Nothing is computed before it is displayed, so that a record below the log level costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Redacted<'a>(pub &'a Value);

/// True for members whose value is not for logs.
fn is_hidden(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    matches!(key.as_str(), "configdrive" | "system_logs")
        || ["token", "password", "secret", "authorization"].iter().any(|end| key.ends_with(end))
}

impl Serialize for Redacted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    if is_hidden(key) && !value.is_null() {
                        map.serialize_entry(key, HIDDEN)?;
                    } else {
                        map.serialize_entry(key, &Redacted(value))?;
                    }
                }
                map.end()
            }
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(&Redacted(item))?;
                }
                seq.end()
            }
            other => other.serialize(serializer),
        }
    }
}

/// Keeps the first [`LIMIT`] bytes and then fails, which ends the serialisation.
struct Head(Vec<u8>);

impl io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LIMIT - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room { Err(io::ErrorKind::WriteZero.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = Head(Vec::with_capacity(256));
        let whole = serde_json::to_writer(&mut head, self).is_ok();
        f.write_str(&String::from_utf8_lossy(&head.0))?;
        if whole { Ok(()) } else { f.write_str("...") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn large_and_secret_members_are_hidden_at_any_depth() {
        let value = json!({"step": {"args": [{"configdrive": "H4sI", "image_server_password": "p", "size": 1}]},
            "agent_token": null, "system_logs": "H4sI"});
        assert_eq!(
            Redacted(&value).to_string(),
            r#"{"step":{"args":[{"configdrive":"<...>","image_server_password":"<...>","size":1}]},"agent_token":null,"system_logs":"<...>"}"#
        );
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = Redacted(&json!({"a": "x".repeat(10_000)})).to_string();
        assert_eq!(text.len(), LIMIT + 3);
        assert!(text.ends_with("x..."));
    }
}
