//! What plugins cost: the latency of a call, and start-up with many of them.
//!
//! One small plugin is built once and copied under many names. The name stands in the ELF note and in the code, so
//! each copy gets its own by replacing the fixed-width placeholders of `tests/bench/plugin` in the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use serde_json::json;

use super::ours::start_agent;
use super::report::{Budget, Measure, Unit};
use super::{Effort, process, repo};
use crate::cargo::cargo;

const COUNTS: [usize; 4] = [1, 10, 50, 200];
const BUILD: Duration = Duration::from_secs(1200);
/// The placeholders of the plugin: its manager name and its class name.
const PLACEHOLDERS: [&str; 2] =
    ["measured_plugin_that_does_nothing_at_all_000", "MeasuredPluginThatDoesNothingAtAll000"];
/// Calls before the clock runs: the first ones learn the node and start workers.
const WARM_UP: u32 = 5;

pub(super) fn build() -> Outcome {
    process::run(&mut cargo(&["build", "--release", "--package", "ipa-bench-plugin"]), BUILD)?;
    let path = repo::target("release/libipa_bench_plugin.so");
    let original = fs::read(&path).doing(format_args!("reading {}", path.display()))?;
    for count in COUNTS {
        let directory = directory(count);
        repo::fresh_plugin_directory(&directory)?;
        let generic = repo::target("bench/plugins/libipa_generic.so");
        repo::install(&generic, &directory.join("libipa_generic.so"))?;
        for number in 0..count {
            let copy = rename(&original, number).map_err(|why| Failure::new(format!("{}: {why}", path.display())))?;
            let file = directory.join(format!("libbench_plugin_{number:03}.so"));
            fs::write(&file, copy).doing(format_args!("writing {}", file.display()))?;
        }
    }
    Ok(())
}

pub(super) fn measure(effort: Effort) -> Outcome<Vec<Measure>> {
    let mut measures = latency(effort, &directory(1))?;
    for count in COUNTS {
        let plugins = directory(count);
        let seconds = effort.sample(|| start_agent(&plugins).map(|(_, seconds)| seconds))?;
        let measure =
            Measure::new(format!("start, generic plugin and {count} more"), Unit::Seconds, seconds, Vec::new());
        measures.push(if count == 50 { measure.budget(Budget::AtMost(0.150)) } else { measure });
    }
    Ok(measures)
}

/// A step that does nothing, through the API to the plugin and back, beside a request that reaches no plugin.
fn latency(effort: Effort, plugins: &Path) -> Outcome<Vec<Measure>> {
    let (agent, _) = start_agent(plugins)?;
    let mut connection = agent.connect()?;
    let params = json!({
        "step": {"step": "bench_noop", "interface": "deploy", "priority": 0},
        "node": {"uuid": "5d2f4c3e-0000-4000-8000-000000000001", "properties": {}, "driver_internal_info": {}},
        "ports": [],
    });
    let calls = effort.repeats * 4;
    for _ in 0..WARM_UP {
        agent.command(&mut connection, "clean.execute_clean_step", &params)?;
    }
    let step = effort.sample(|| {
        let start = Instant::now();
        for _ in 0..calls {
            agent.command(&mut connection, "clean.execute_clean_step", &params)?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(calls))
    })?;
    let status = effort.sample(|| {
        let start = Instant::now();
        for _ in 0..calls {
            connection.get("/v1/status", Duration::from_secs(5))?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(calls))
    })?;
    Ok(vec![
        Measure::new("empty step through the API", Unit::Seconds, step, Vec::new()),
        Measure::new("status request, for comparison", Unit::Seconds, status, Vec::new()),
    ])
}

fn directory(count: usize) -> PathBuf {
    repo::target("bench").join(format!("plugins-{count}"))
}

/// The file with every placeholder replaced by its numbered form.
///
/// A compiler may build a text of the last eight bytes and others, as numbers in its code. So these eight, which nothing
/// else ends with, are replaced wherever they stand.
fn rename(original: &[u8], number: usize) -> Result<Vec<u8>, String> {
    let mut copy = original.to_vec();
    for placeholder in PLACEHOLDERS {
        let tail = &placeholder[placeholder.len() - 8..];
        let numbered = format!("{}{number:03}", &tail[..tail.len() - 3]);
        if numbered.len() != tail.len() {
            return Err(format!("{number} does not fit into three digits"));
        }
        if positions(original, placeholder.as_bytes()).is_empty() {
            return Err(format!("`{placeholder}` stands nowhere in the file"));
        }
        for place in positions(original, tail.as_bytes()) {
            copy[place..place + tail.len()].copy_from_slice(numbered.as_bytes());
        }
    }
    Ok(copy)
}

fn positions(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_replaced_and_nothing_else() {
        let original = b"\x7fELF measured_plugin_that_does_nothing_at_all_000\0MeasuredPluginThatDoesNothingAtAll000 \"measured_plugin_that_does_nothing_at_all_000\" 000";
        let copy = rename(original, 42).unwrap();
        assert_eq!(copy, b"\x7fELF measured_plugin_that_does_nothing_at_all_042\0MeasuredPluginThatDoesNothingAtAll042 \"measured_plugin_that_does_nothing_at_all_042\" 000");
    }

    #[test]
    fn what_is_stored_in_parts_is_replaced_too() {
        let names = PLACEHOLDERS.join(" ");
        let copy = rename(format!("{names} and mov rax, `AtAll000`").as_bytes(), 42).unwrap();
        assert!(copy.ends_with(b"DoesNothingAtAll042 and mov rax, `AtAll042`"));
    }

    #[test]
    fn a_file_without_placeholders_or_a_number_too_large_is_refused() {
        assert!(rename(b"nothing", 1).unwrap_err().contains("stands nowhere"));
        assert!(rename(PLACEHOLDERS.join(" ").as_bytes(), 1000).unwrap_err().contains("three digits"));
    }
}
