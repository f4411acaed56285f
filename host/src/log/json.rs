//! One record as one line of JSON, for programs that read logs.

use std::fmt::Write;
use std::time::SystemTime;

use serde_json::{Map, Value};
use slog::{KV, OwnedKVList, Record};

use super::line::{Bounded, Pairs, is_unprintable};
use super::mask::{MASK, is_secret, mask_secrets};

/// Formats a record, with the newline: `{"time": ..., "level": ..., "message": ..., ...}`, the pairs as texts beside
/// these. A pair of one of these names has an underscore added.
pub(super) fn format(record: &Record<'_>, values: &OwnedKVList) -> String {
    let mut object = Map::new();
    let mut message = Bounded::default();
    // A cut message is what the bound is for.
    let _ = write!(message, "{}", record.msg());
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let fixed = [("time", time), ("level", record.level().as_str().to_owned()), ("message", message.into_text())];
    for (key, value) in &fixed {
        object.insert((*key).to_owned(), masked(value));
    }
    let mut pairs = Pairs::default();
    let _ = record.kv().serialize(record, &mut pairs);
    let _ = values.serialize(record, &mut pairs);
    // slog hands over the newest pair first, and of equal keys it counts.
    for (key, value) in pairs.into_pairs().into_iter().rev() {
        let value = if is_secret(&key) { MASK.into() } else { masked(&value) };
        let is_taken = fixed.iter().any(|(name, _)| *name == key);
        object.insert(if is_taken { format!("{key}_") } else { key }, value);
    }
    let mut line = printable(&Value::Object(object).to_string());
    line.push('\n');
    line
}

fn masked(text: &str) -> Value {
    mask_secrets(text).into()
}

/// JSON leaves alone some characters that a terminal would obey; all of them stand in texts, where they can be escaped.
fn printable(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unprintable(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use slog::{Logger, info, o};

    use super::*;
    use crate::log::Logging;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(write: impl Fn(&Logger)) -> String {
        let out = Shared::default();
        let seen = out.clone();
        let logging = Logging::with(move || seen.clone(), true, true, None);
        write(logging.log());
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(!logging.ring().text().starts_with('{'), "people read that one");
        text
    }

    #[test]
    fn a_record_is_one_object() {
        let line = logged(|log| {
            let log = log.new(o!("plugin" => "acme", "step" => "old"));
            info!(log, "step {}", "done"; "step" => "erase", "n" => 5, "message" => "forged", "agent_token" => "t0k");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let mut object: Value = serde_json::from_str(&line).unwrap();
        let time = object.as_object_mut().unwrap().shift_remove("time").unwrap();
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        let expected = serde_json::json!({
            "level": "INFO", "message": "step done", "plugin": "acme", "step": "erase", "n": "5",
            "message_": "forged", "agent_token": MASK,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn hostile_text_stays_in_its_text() {
        let evil = "x\n{\"level\": \"INFO\"}\r\x1b[2J\u{9b}31m\u{202e}\u{feff}\"\\ agent_token=abc";
        let line = logged(|log| info!(log, "{evil}"; "v" => evil, "long" => "\u{e9}".repeat(100_000)));
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.trim_end().contains(is_unprintable), "{line:?}");
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["v"], evil.replace("abc", MASK));
        assert!(object["long"].as_str().unwrap().len() < 10_000);
    }
}
