//! ipa-host with the generic manager, measured as the Python agent is.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Outcome};
use ipa_imagebuild::process;
use serde_json::json;

use super::{Effort, Figures, procfs, wrk};
use crate::host::{self, Agent, Token};
use crate::repo;

/// The command that both agents have for the inventory.
pub(super) const INVENTORY: &str = "poll.get_hardware_info";
const READY: Duration = Duration::from_secs(60);
const TOOL: Duration = Duration::from_secs(120);

pub(super) fn measure(effort: Effort) -> Outcome<Figures> {
    let plugins = repo::target("bench/plugins");
    let mut figures = Figures::default();
    for _ in 0..effort.samples {
        let (agent, seconds) = start_agent(&plugins)?;
        figures.start_s.push(seconds);
        procfs::settle(agent.pid())?;
        figures.memory_bytes.push(procfs::memory(agent.pid())?);
    }
    let (agent, _) = start_agent(&plugins)?;
    let mut connection = agent.connect()?;
    let request = agent.request(INVENTORY, &json!({}))?;
    for _ in 0..effort.samples {
        // What is done with the answers is not the agent's time.
        let mut answers = Vec::new();
        let (before, start) = (procfs::cpu(agent.pid())?, Instant::now());
        for _ in 0..effort.repeats {
            answers.push(request.send(&mut connection)?);
        }
        figures.inventory_wall_s.push(start.elapsed().as_secs_f64() / f64::from(effort.repeats));
        figures.inventory_cpu_s.push((procfs::cpu(agent.pid())? - before) / f64::from(effort.repeats));
        for answer in &answers {
            host::result_of(INVENTORY, answer)?;
        }
    }
    figures.requests_1 = effort.sample(|| wrk::requests(&agent.url(), 1, effort.wrk_seconds))?;
    figures.requests_16 = effort.sample(|| wrk::requests(&agent.url(), 16, effort.wrk_seconds))?;
    drop(agent);
    // `ipa-host inventory` includes its own start, which the Python figure does not.
    let own = std::process::id();
    for _ in 0..effort.samples {
        let (before, start) = (procfs::cpu(own)?, Instant::now());
        for _ in 0..effort.repeats {
            process::output(inventory().arg("--json").arg("--plugin-dir").arg(&plugins), TOOL)?;
        }
        figures.tool_wall_s.push(start.elapsed().as_secs_f64() / f64::from(effort.repeats));
        figures.tool_cpu_s.push((procfs::cpu(own)? - before) / f64::from(effort.repeats));
    }
    Ok(figures)
}

fn program() -> std::path::PathBuf {
    repo::target("release/ipa-host")
}

fn inventory() -> Command {
    let mut command = Command::new(program());
    command.arg("inventory").env_remove("LD_LIBRARY_PATH");
    command
}

/// Starts the agent on these plugins; gives the seconds from exec to the first answered status.
///
/// It is not read-only, because the latency of a step is measured on it; the sandbox keeps disks away from it.
pub(super) fn start_agent(plugins: &Path) -> Outcome<(Agent, f64)> {
    let port = host::free_port(None)?;
    let token_file = repo::target("bench/agent-token");
    let log = repo::target("bench/ours.log");
    let log = File::create(&log).doing(format_args!("making {}", log.display()))?;
    let mut command = Command::new(program());
    command.args(["--standalone", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()]);
    command.arg("--plugin-dir").arg(plugins).arg("--agent-token-file").arg(&token_file);
    command.arg("--control-socket").arg(repo::target("bench/control.sock"));
    let quiet = log.try_clone().doing("sharing the log")?;
    command.stdin(Stdio::null()).stdout(quiet).stderr(log);
    let mut agent = Agent::start(&mut command, port, Token::Made(token_file))?;
    let time = agent.wait_until_ready(READY)?;
    Ok((agent, time.as_secs_f64()))
}
