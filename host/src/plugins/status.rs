//! The plugins as operators see them: `ipa-host plugins list`.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::refusal::Refusal;
use super::source::PluginFile;
use super::vet::Vetted;

/// A plugin file that is not in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The file, or the directory or URL if that is the trouble.
    #[serde(flatten)]
    pub file: PluginFile,
    /// The manager's name, if the file got so far.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// True if the plugin works and just is not for this machine.
    pub unsupported: bool,
    /// Why, and what to do.
    #[serde(flatten)]
    pub refusal: Refusal,
    /// The methods it would offer.
    #[serde(skip)]
    pub(crate) manifest: Option<ipa_plugin_api::manifest::Manifest>,
}

impl LeftOut {
    pub(crate) fn refused(file: PluginFile, refusal: Refusal) -> Self {
        Self { file, name: None, version: None, unsupported: false, refusal, manifest: None }
    }

    pub(crate) fn of(plugin: &Vetted, refusal: Refusal) -> Self {
        Self {
            name: Some(plugin.manifest.name.clone()),
            version: Some(plugin.manifest.version.clone()),
            manifest: Some(plugin.manifest.clone()),
            ..Self::refused(plugin.file.clone(), refusal)
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not used: {}", self.file, self.refusal)
    }
}

/// A manager in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// 1 is asked first.
    pub rank: usize,
    /// The manager's name.
    pub name: String,
    /// Its class name.
    pub class_name: String,
    /// Its version.
    pub version: String,
    /// Its support for this machine.
    pub support: i64,
    /// Process id of its worker; none in this process, or while it is down.
    pub pid: Option<i32>,
    /// Memory that is its own, in KiB: the proportional set size.
    pub pss_kib: Option<u64>,
    /// `healthy`, `restarted`, `died`, `initialize failed` or `quarantined`.
    pub state: Cow<'static, str>,
    /// Why it is not healthy.
    pub reason: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its file.
    #[serde(flatten)]
    pub file: PluginFile,
}

/// All plugins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Where they came from, in words, the plugin directory first.
    pub places: Vec<String>,
    /// In rank order.
    pub managers: Vec<Row>,
    /// By file name.
    pub left_out: Vec<LeftOut>,
}

pub(crate) fn of(host: &Host, left_out: &[LeftOut]) -> Status {
    let row = |(place, manager): (usize, &std::sync::Arc<super::manager::Manager>)| {
        let health = manager.health();
        Row {
            rank: place + 1,
            name: manager.manifest.name.clone(),
            class_name: manager.manifest.class_name.clone(),
            version: manager.manifest.version.clone(),
            support: manager.support,
            pss_kib: health.pid.and_then(pss_kib),
            pid: health.pid,
            state: health.state.into(),
            reason: health.reason,
            restarts: health.restarts,
            file: manager.file.clone(),
        }
    };
    Status {
        places: host.places.clone(),
        managers: host.ranked().unwrap_or_default().iter().enumerate().map(row).collect(),
        left_out: left_out.to_vec(),
    }
}

fn pss_kib(pid: i32) -> Option<u64> {
    parse_pss(&std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).ok()?)
}

fn parse_pss(smaps: &str) -> Option<u64> {
    smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Plugins in {}", self.places.join(", "))?;
        if self.managers.is_empty() {
            writeln!(f, "\nNo manager supports this machine.")?;
        } else {
            let dash = || "-".to_owned();
            let head =
                ["RANK", "NAME", "CLASS", "VERSION", "SUPPORT", "PID", "PSS KIB", "STATE", "FILE"].map(str::to_owned);
            let rows = self.managers.iter().map(|row| {
                [
                    row.rank.to_string(),
                    row.name.clone(),
                    row.class_name.clone(),
                    row.version.clone(),
                    row.support.to_string(),
                    row.pid.map_or_else(dash, |pid| pid.to_string()),
                    row.pss_kib.map_or_else(dash, |pss| pss.to_string()),
                    row.state.to_string(),
                    row.file.to_string(),
                ]
            });
            writeln!(f)?;
            write_table(f, &std::iter::once(head).chain(rows).collect::<Vec<_>>())?;
            for row in &self.managers {
                if let Some(reason) = &row.reason {
                    writeln!(f, "\n{}: {reason}", row.name)?;
                }
            }
        }
        if !self.left_out.is_empty() {
            writeln!(f, "\nNot in use:")?;
        }
        for left in &self.left_out {
            writeln!(f, "  {}\n    why:  {}\n    cure: {}", left.file, left.refusal.cause, left.refusal.cure)?;
        }
        Ok(())
    }
}

/// Columns as wide as their widest cell; the last is not padded.
fn write_table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_process_is_read() {
        let pid = i32::try_from(std::process::id()).expect("pid");
        assert!(pss_kib(pid).expect("smaps_rollup") > 100);
        assert_eq!(parse_pss("00400000-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   712 kB\n"), Some(712));
        assert_eq!(parse_pss(""), None);
    }

    #[test]
    fn the_list_names_reasons_and_cures() {
        let row = Row {
            rank: 1,
            name: "acme".into(),
            class_name: "Acme".into(),
            version: "1.0.0".into(),
            support: 3,
            pid: None,
            pss_kib: None,
            state: "quarantined".into(),
            reason: Some("it died twice".into()),
            restarts: 1,
            file: PluginFile::new("libacme.so", Some("virtual media sr0")),
        };
        let left = LeftOut::refused(PluginFile::new("bad.so", None), Refusal::new("it is empty", "install it again"));
        let status = Status { places: vec!["/p".into()], managers: vec![row], left_out: vec![left] };
        assert_eq!(
            status.to_string(),
            "Plugins in /p\n\n\
             RANK  NAME  CLASS  VERSION  SUPPORT  PID  PSS KIB  STATE        FILE\n\
             1     acme  Acme   1.0.0    3        -    -        quarantined  libacme.so from virtual media sr0\n\n\
             acme: it died twice\n\n\
             Not in use:\n  bad.so\n    why:  it is empty\n    cure: install it again\n"
        );
        let json = serde_json::to_value(&status).expect("json");
        assert_eq!(json["left_out"][0]["cause"], "it is empty");
        assert_eq!(json["managers"][0]["file"], "libacme.so");
        assert_eq!(json["managers"][0]["origin"], "virtual media sr0");
    }
}
