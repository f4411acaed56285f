//! Who would answer a method, and why: `ipa-host explain method NAME`.

use std::fmt;

use ipa_plugin_api::manifest::Manifest;
use serde::Serialize;

use super::host::Host;
use super::status::LeftOut;
use super::surface::{self, Presence};

/// One manager that would be asked, in its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The manager's name.
    pub name: String,
    /// Its class name.
    pub class_name: String,
    /// Its support for this machine.
    pub support: i64,
    /// `declares`, `inherits` or `dynamic`.
    pub because: &'static str,
    /// What happens when its turn comes.
    pub note: String,
}

/// One that would not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The manager's name, or the file's if it has none.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The way of a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// True if all are asked and their answers joined, as for lists of steps; false if the first answer ends the search.
    pub all: bool,
    /// In the order in which they are asked.
    pub asked: Vec<Asked>,
    /// The others.
    pub skipped: Vec<Skipped>,
    /// What comes out if none of them answers.
    pub otherwise: String,
}

pub(crate) fn of(host: &Host, left_out: &[LeftOut], method: &str) -> Explanation {
    let (mut asked, mut skipped) = (Vec::new(), Vec::new());
    for manager in host.ranked().unwrap_or_default() {
        let Some(presence) = surface::presence(&manager.manifest, method) else {
            skipped.push(Skipped { name: manager.name().to_owned(), reason: absence(method) });
            continue;
        };
        let health = manager.health();
        let quarantined = (health.state == "quarantined").then(|| health.reason.unwrap_or_default());
        match quarantined {
            Some(reason) if !surface::is_own(&manager.manifest, false, method) => {
                skipped.push(Skipped { name: manager.name().to_owned(), reason });
            }
            quarantined => asked.push(Asked {
                name: manager.name().to_owned(),
                class_name: manager.manifest.class_name.clone(),
                support: manager.support,
                because: presence.name(),
                note: note(&manager.manifest, method, presence, quarantined),
            }),
        }
    }
    for left in left_out {
        let reason = match &left.manifest {
            Some(manifest) if surface::presence(manifest, method).is_none() => continue,
            Some(_) if left.unsupported => "its support for this machine is 0".to_owned(),
            _ => left.refusal.to_string(),
        };
        skipped.push(Skipped { name: left.name.clone().unwrap_or_else(|| left.file.to_string()), reason });
    }
    let otherwise = if host.ranked().unwrap_or_default().is_empty() {
        "HardwareManagerNotFound: no manager supports this machine".to_owned()
    } else {
        format!("HardwareManagerMethodNotFound: Could not find method: {method}")
    };
    Explanation { method: method.to_owned(), all: asks_all(method), asked, skipped, otherwise }
}

/// True for methods that the agent dispatches to all managers.
fn asks_all(method: &str) -> bool {
    surface::listed_kind(method).is_some() || method == "collect_system_logs"
}

fn absence(method: &str) -> String {
    if method.starts_with('_') {
        "names that begin with an underscore are private".to_owned()
    } else {
        "it has no such method".to_owned()
    }
}

fn note(manifest: &Manifest, method: &str, presence: Presence, quarantined: Option<String>) -> String {
    if let Some(reason) = quarantined {
        return format!("fails, since the method is its own: {reason}");
    }
    match presence {
        _ if method == "get_version" => format!("answers {} from its manifest", manifest.version),
        Presence::Declared => "its manifest names it; the search ends here unless it calls it incompatible".to_owned(),
        Presence::Base if surface::listed_kind(method).is_some() => {
            "answers with its list, empty if it has none".to_owned()
        }
        Presence::Base => match method {
            "initialize" => "answers".to_owned(),
            "wait_for_disks" => "inherited: answers if it has get_os_install_device".to_owned(),
            "erase_devices" => "inherited: answers if it has list_block_devices_check_skip_list".to_owned(),
            "list_hardware_info" => "inherited: answers if it has every part of the inventory".to_owned(),
            _ => "may override it; passes on if it does not".to_owned(),
        },
        Presence::Dynamic => "answers methods that its manifest does not name; passes on if this is none".to_owned(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.method)?;
        match (self.asked.is_empty(), self.all) {
            (true, _) => writeln!(f, "Nobody is asked.")?,
            (false, true) => writeln!(f, "All are asked, in this order (larger support first, then class name):")?,
            (false, false) => {
                writeln!(f, "Asked in this order (larger support first, then class name), until one answers:")?;
            }
        }
        for (place, asked) in self.asked.iter().enumerate() {
            writeln!(
                f,
                "  {}. {} ({}, support {}) {}: {}",
                place + 1,
                asked.name,
                asked.class_name,
                asked.support,
                asked.because,
                asked.note
            )?;
        }
        if !self.skipped.is_empty() {
            writeln!(f, "\nNot asked:")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "  {}: {}", skipped.name, skipped.reason)?;
        }
        if self.all && !self.asked.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nIf none answers: {}", self.otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_and_the_reasons_can_be_read() {
        let asked = Asked {
            name: "acme".into(),
            class_name: "Acme".into(),
            support: 3,
            because: Presence::Declared.name(),
            note: "its manifest names it".into(),
        };
        let explanation = Explanation {
            method: "wipe".into(),
            all: false,
            asked: vec![asked],
            skipped: vec![Skipped { name: "other".into(), reason: absence("wipe") }],
            otherwise: "HardwareManagerMethodNotFound".into(),
        };
        let text = explanation.to_string();
        assert!(text.contains("  1. acme (Acme, support 3) declares: its manifest names it\n"), "{text}");
        assert!(text.contains("Not asked:\n  other: it has no such method\n"), "{text}");
        assert!(text.ends_with("If none answers: HardwareManagerMethodNotFound\n"), "{text}");
    }
}
