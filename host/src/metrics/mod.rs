//! The agent in numbers: for Prometheus at `/metrics`, where all is counted anyway and written when it is asked for,
//! and the times of the API's answers for statsd.

mod exposition;
mod requests;
mod statsd;

use std::time::{Duration, UNIX_EPOCH};

use self::exposition::Exposition;
use crate::agent::Agent;
use crate::commands::Status;
use crate::plugins;

pub use requests::{Request, Requests};
pub use statsd::{Statsd, StatsdOptions};

/// The form of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics as they are now.
pub fn render(agent: &Agent) -> String {
    let mut out = Exposition::default();
    out.gauge("ipa_info", "The agent's version.").sample(&[("version", &agent.settings().version)], 1);
    if let Some(started_at) = agent.started_at() {
        out.gauge("ipa_start_time_seconds", "When the agent began to run, since 1970.").sample(&[], started_at);
    }
    if let Some(kib) = resident_kib() {
        out.gauge("process_resident_memory_bytes", "Memory of the agent's own process.").sample(&[], kib * 1024);
    }
    if let Some(heartbeat) = agent.last_heartbeat() {
        let time = heartbeat.time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        out.gauge("ipa_heartbeat_time_seconds", "When the last heartbeat was sent, since 1970.")
            .sample(&[], time.as_secs_f64());
    }
    commands(&mut out, agent);
    requests(&mut out, agent.requests());
    if let Ok(plugins) = serde_json::from_value(agent.managers().describe()) {
        managers(&mut out, &plugins);
    }
    out.finish()
}

fn commands(out: &mut Exposition, agent: &Agent) {
    let all = agent.engine().history().all();
    let count = |status: Status| all.iter().filter(|command| command.status() == status).count();
    out.counter("ipa_commands_total", "Commands that have ended, by their end.")
        .sample(&[("status", "succeeded")], count(Status::Succeeded))
        .sample(&[("status", "failed")], count(Status::Failed))
        .sample(&[("status", "version_mismatch")], count(Status::VersionMismatch));
    let running = all.last().filter(|last| last.is_running());
    out.gauge("ipa_command_running", "1 while an asynchronous command runs.").sample(&[], u8::from(running.is_some()));
    if let Some(running) = running {
        let name = &[("command", running.name())];
        out.gauge("ipa_command_running_seconds", "How long the running command runs.")
            .sample(name, running.elapsed().as_secs_f64());
        if let Some(progress) = running.call().progress() {
            out.gauge("ipa_command_progress_percent", "How far the running command is.").sample(name, progress.percent);
        }
    }
}

fn requests(out: &mut Exposition, requests: &Requests) {
    let counts = requests.counts();
    let mut summary = out.summary("ipa_api_request_seconds", "Requests of the API and the time they took.");
    for (request, count) in &counts {
        let label = &[("request", request.name())];
        summary = summary.part("_sum", label, count.time.as_secs_f64()).part("_count", label, count.answered);
    }
    let mut refused = out.counter("ipa_api_requests_refused_total", "Requests that were answered with an error.");
    for (request, count) in &counts {
        refused = refused.sample(&[("request", request.name())], count.refused);
    }
}

fn managers(out: &mut Exposition, plugins: &plugins::Status) {
    macro_rules! each {
        ($family:expr, $row:ident => $value:expr) => {{
            let mut family = $family;
            for $row in &plugins.managers {
                if let Some(value) = $value {
                    family = family.sample(&[("manager", &$row.name), ("version", &$row.version)], value);
                }
            }
        }};
    }
    each!(out.gauge("ipa_manager_support", "The manager's support for this machine."), row => Some(row.support));
    each!(out.gauge("ipa_manager_healthy", "1 if the manager can be asked and never had to be started again."),
        row => Some(u8::from(row.state == "healthy")));
    each!(out.counter("ipa_manager_restarts_total", "How often the manager's process was started again."),
        row => Some(row.restarts));
    each!(out.gauge("ipa_manager_memory_bytes", "Memory of the manager's process, its share of common pages."),
        row => row.pss_kib.map(|kib| kib * 1024));
    let refused = plugins.left_out.iter().filter(|left| !left.unsupported).count();
    out.gauge("ipa_plugins_refused", "Plugin files that cannot be used.").sample(&[], refused);
}

fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}
