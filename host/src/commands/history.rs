//! The history of commands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::Command;

/// Most bytes of results that the history holds. Ironic reads a result soon after the command; the oldest large ones
/// are dropped when newer ones need the room, so that collecting logs again and again cannot fill the memory of a
/// ramdisk. The commands themselves stay.
const RESULTS_LIMIT: usize = 64 * 1024 * 1024;
/// Results below this size, in bytes, are never dropped.
const SMALL_RESULT: usize = 16 * 1024;

/// All commands since the start, oldest first. Ironic tells a reboot by an empty history.
#[derive(Debug, Default)]
pub struct History {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    commands: Vec<Arc<Command>>,
    by_id: HashMap<String, Arc<Command>>,
}

impl History {
    /// Adds the newest command.
    pub fn record(&self, command: Arc<Command>) {
        let mut inner = self.lock();
        inner.by_id.insert(command.id().to_owned(), command.clone());
        inner.commands.push(command);
    }

    /// The newest command.
    pub fn last(&self) -> Option<Arc<Command>> {
        self.lock().commands.last().cloned()
    }

    /// The command with this identifier.
    pub fn get(&self, id: &str) -> Option<Arc<Command>> {
        self.lock().by_id.get(id).cloned()
    }

    /// All commands, oldest first.
    pub fn all(&self) -> Vec<Arc<Command>> {
        self.lock().commands.clone()
    }

    /// `{"commands": [...]}` as Ironic polls it.
    pub fn to_json(&self) -> Bytes {
        let parts: Vec<Bytes> = self.all().iter().map(|command| command.to_json()).collect();
        let mut json = Vec::with_capacity(16 + parts.iter().map(|part| part.len() + 1).sum::<usize>());
        json.extend_from_slice(br#"{"commands":["#);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(part);
        }
        json.extend_from_slice(b"]}");
        Bytes::from(json)
    }

    /// Drops the oldest large results beyond the limit; the newest command keeps its own in any case.
    pub fn trim(&self) {
        self.trim_to(RESULTS_LIMIT);
    }

    fn trim_to(&self, limit: usize) {
        let commands = self.all();
        let Some((_, older)) = commands.split_last() else { return };
        let mut total: usize = commands.iter().map(|command| command.size()).sum();
        for command in older {
            if total <= limit {
                return;
            }
            let size = command.size();
            if size >= SMALL_RESULT {
                command.forget_result();
                total = total - size + command.size();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Begin;
    use serde_json::{Value, json};

    fn done(name: &str, value: Value) -> Arc<Command> {
        Arc::new(Command::finished(name, Begin::now(), Ok(value)))
    }

    #[test]
    fn thousands_of_commands_stay_in_order() {
        let history = History::default();
        for index in 0..5000 {
            history.record(done(&format!("c{index}"), json!(index)));
        }
        history.trim();
        let list: Value = serde_json::from_slice(&history.to_json()).unwrap();
        let list = list["commands"].as_array().unwrap();
        assert_eq!(list.len(), 5000);
        assert!(list.iter().enumerate().all(|(index, command)| command["command_result"] == json!(index)));
        let id = list[4321]["id"].as_str().unwrap();
        assert_eq!(history.get(id).unwrap().name(), "c4321");
    }

    #[test]
    fn old_large_results_make_room_for_new_ones() {
        let history = History::default();
        let large = || json!({"system_logs": "x".repeat(100_000)});
        for value in [json!(1), large(), large(), large()] {
            history.record(done("collect_system_logs", value));
        }
        history.trim_to(250_000);
        let list: Value = serde_json::from_slice(&history.to_json()).unwrap();
        let dropped: Vec<bool> =
            (0..4).map(|i| list["commands"][i]["command_result"].get("result").is_some()).collect();
        assert_eq!(dropped, [false, true, false, false]);
        assert_eq!(list["commands"][1]["command_status"], "SUCCEEDED");
    }

    #[test]
    fn the_empty_history_is_a_list() {
        assert_eq!(History::default().to_json(), Bytes::from_static(br#"{"commands":[]}"#));
    }
}
