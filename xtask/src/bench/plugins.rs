//! What plugins cost: the latency of a call, and start-up with many of them.
//!
//! One small plugin is built once and copied under many names. The name stands in the ELF note and in the code, so
//! each copy gets its own by replacing the fixed-width placeholders of `tests/bench/plugin` in the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::ours::start_agent;
use super::report::{Budget, Measure, Unit};
use super::{Effort, process, repo};
use crate::failure::{Doing, Failure, Outcome};

const COUNTS: [usize; 4] = [1, 10, 50, 200];
const BUILD: Duration = Duration::from_secs(1200);
/// The placeholders of the plugin: its manager name and its class name.
const PLACEHOLDERS: [&str; 2] = ["bench_plugin_000", "BenchPlugin000"];
/// Calls before the clock runs: the first ones learn the node and start workers.
const WARM_UP: u32 = 5;

pub(super) fn build() -> Outcome {
    process::run(&mut process::cargo(&["build", "--release", "--package", "ipa-bench-plugin"]), BUILD)?;
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
/// A compiler may build a short text from immediates instead of storing it; such a copy would keep the placeholder's
/// number in its code. So the last eight bytes must occur exactly as often as the whole.
fn rename(original: &[u8], number: usize) -> Result<Vec<u8>, String> {
    let mut copy = original.to_vec();
    for placeholder in PLACEHOLDERS {
        let (whole, tail) = (placeholder.as_bytes(), &placeholder.as_bytes()[placeholder.len() - 8..]);
        let name = format!("{}{number:03}", &placeholder[..placeholder.len() - 3]);
        if name.len() != whole.len() {
            return Err(format!("{number} does not fit into three digits"));
        }
        let places = positions(original, whole);
        let tails = positions(original, tail).len();
        if places.is_empty() || places.len() != tails {
            return Err(format!("`{placeholder}` stands there {} times but its end {tails} times", places.len()));
        }
        for place in places {
            copy[place..place + whole.len()].copy_from_slice(name.as_bytes());
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
        let original = b"\x7fELF bench_plugin_000\0BenchPlugin000 \"bench_plugin_000\" 000";
        let copy = rename(original, 42).unwrap();
        assert_eq!(copy, b"\x7fELF bench_plugin_042\0BenchPlugin042 \"bench_plugin_042\" 000");
    }

    #[test]
    fn a_placeholder_that_cannot_be_replaced_whole_is_refused() {
        assert!(rename(b"nothing", 1).unwrap_err().contains("0 times"));
        let split = b"bench_plugin_000 BenchPlugin000 bench_pl.ugin_000";
        assert!(rename(split, 1).unwrap_err().contains("1 times but its end 2 times"));
        assert!(rename(b"bench_plugin_000 BenchPlugin000", 1000).unwrap_err().contains("three digits"));
    }
}
