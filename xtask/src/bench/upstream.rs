//! The Python agent from PyPI, standalone and unmodified: started and asked for its status and inventory, nothing else.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;
use serde_json::{Value, json};

use super::ours::INVENTORY;
use super::{Effort, Figures, procfs, wrk};
use crate::host::{self, Agent, Token};
use crate::{repo, tools};

const READY: Duration = Duration::from_secs(120);
const DRIVER: Duration = Duration::from_secs(600);
/// It refuses shorter ones from Ironic, so it gets one of that length.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn measure(effort: Effort) -> Outcome<Figures> {
    let mut figures = Figures::default();
    for _ in 0..effort.samples {
        let (agent, seconds) = start_agent()?;
        figures.start_s.push(seconds);
        procfs::settle(agent.pid())?;
        figures.memory_bytes.push(procfs::memory(agent.pid())?);
    }
    let (agent, _) = start_agent()?;
    procfs::settle(agent.pid())?;
    let mut connection = agent.connect()?;
    let request = agent.request(INVENTORY, &json!({}))?;
    for _ in 0..effort.samples {
        let (before, start) = (procfs::cpu(agent.pid())?, Instant::now());
        let answer = request.send(&mut connection)?;
        figures.inventory_wall_s.push(start.elapsed().as_secs_f64());
        figures.inventory_cpu_s.push(procfs::cpu(agent.pid())? - before);
        host::result_of(INVENTORY, &answer)?;
    }
    figures.requests_1 = effort.sample(|| wrk::requests(&agent.url(), 1, effort.wrk_seconds))?;
    figures.requests_16 = effort.sample(|| wrk::requests(&agent.url(), 16, effort.wrk_seconds))?;
    drop(agent);
    (figures.tool_wall_s, figures.tool_cpu_s) = in_process(effort.samples)?;
    Ok(figures)
}

/// Starts the agent; gives the seconds from exec to the first answered status.
fn start_agent() -> Outcome<(Agent, f64)> {
    let port = host::free_port(None)?;
    let empty = repo::target("bench/no-config");
    fs::create_dir_all(&empty).doing(format_args!("making {}", empty.display()))?;
    let log = repo::target("bench/upstream.log");
    let log = File::create(&log).doing(format_args!("making {}", log.display()))?;
    let mut command = Command::new(tools::UPSTREAM.program("ironic-python-agent"));
    command.arg("--config-dir").arg(&empty).args(["--listen_host", "127.0.0.1", "--listen_port", &port.to_string()]);
    command.args(["--agent_token", TOKEN]).current_dir(&empty);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut agent = Agent::start(&mut command, port, Token::Given(TOKEN.to_owned()))?;
    let time = agent.wait_until_ready(READY)?;
    Ok((agent, time.as_secs_f64()))
}

/// Wall and processor seconds of each `list_hardware_info` called from Python, without server and JSON.
fn in_process(samples: usize) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let mut command = Command::new(tools::UPSTREAM.program("python"));
    command.arg(repo::root().join("tests/upstream/inventory.py")).args(["--time", &samples.to_string()]);
    let text = process::output(&mut command, DRIVER)?;
    parse_times(&text).ok_or_else(|| Failure::new(format!("no times of list_hardware_info: {}", text.trim())))
}

fn parse_times(text: &str) -> Option<(Vec<f64>, Vec<f64>)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let seconds = |key: &str| -> Option<Vec<f64>> {
        value[key].as_array()?.iter().map(|milliseconds| Some(milliseconds.as_f64()? / 1e3)).collect()
    };
    seconds("wall_ms").zip(seconds("cpu_ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_read_as_seconds() {
        let text = r#"{"runs": 2, "wall_ms": [126.5, 131.0], "cpu_ms": [110, 112.25]}"#;
        assert_eq!(parse_times(text), Some((vec![0.1265, 0.131], vec![0.11, 0.11225])));
        assert_eq!(parse_times(r#"{"wall_ms": [1]}"#), None);
        assert_eq!(parse_times("Traceback"), None);
    }
}
