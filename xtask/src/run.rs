//! `cargo xtask run`: the agent on this machine, standalone and read-only, for looking at it.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use structopt::StructOpt;

use crate::failure::Outcome;
use crate::host::{self, Agent, Staged, Token};
use crate::repo;

const READY: Duration = Duration::from_secs(30);
const TOKEN_FILE: &str = "agent-token";

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Builds without optimisation, which is quicker.
    #[structopt(long)]
    debug_build: bool,
    /// Listens on this port instead of 9999 or the next free one.
    #[structopt(long)]
    port: Option<u16>,
    /// Starts, prints a summary of the inventory and stops.
    #[structopt(long)]
    once: bool,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let directory = repo::target("run");
    let staged = Staged::build(!options.debug_build, &directory.join("plugins"))?;
    let port = host::free_port(options.port)?;
    let token_file = directory.join(TOKEN_FILE);
    let mut agent = Agent::start(&mut command(&staged, port, &directory), port, Token::Made(token_file.clone()))?;
    agent.wait_until_ready(READY)?;
    if options.once {
        let inventory = agent.command(&mut agent.connect()?, "poll.get_hardware_info", &json!({}))?;
        print!("{}", summary(&inventory));
        return Ok(());
    }
    print!("{}", guide(&agent.url(), &token_file));
    agent.wait()
}

/// The agent, bound to our life: however this process ends, the agent gets SIGTERM.
fn command(staged: &Staged, port: u16, directory: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(&staged.program);
    command.args(["--standalone", "--read-only", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()]);
    command.arg("--plugin-dir").arg(&staged.plugins);
    command.arg("--agent-token-file").arg(directory.join(TOKEN_FILE));
    command.arg("--control-socket").arg(directory.join("control.sock"));
    command
}

/// What a person can do with the running agent.
fn guide(url: &str, token_file: &Path) -> String {
    let token = token_file.display();
    format!(
        "\n\
        The agent answers on {url} (standalone, read-only: nothing on this machine is changed).\n\
        Its token is in {token}\n\
        \n\
        Its state:\n  curl -s {url}/v1/status\n\
        The inventory of this machine:\n  \
        curl -s \"{url}/v1/commands/?wait=true&agent_token=$(cat {token})\" -d '{{\"name\": \"poll.get_hardware_info\", \"params\": {{}}}}'\n\
        The commands so far:\n  curl -s \"{url}/v1/commands/?agent_token=$(cat {token})\"\n\
        \n\
        Ctrl-C stops it.\n"
    )
}

/// The inventory in a few lines.
fn summary(inventory: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        // Firmware texts may hold anything, escape sequences for the terminal too.
        Value::String(text) => text.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
        other => other.to_string(),
    };
    let items = |key: &str| inventory[key].as_array().cloned().unwrap_or_default();
    let (system, cpu, memory) = (&inventory["system_vendor"], &inventory["cpu"], &inventory["memory"]);
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<10} {value}");
    };
    line("host", text(&inventory["hostname"]));
    line("system", format!("{} {}", text(&system["manufacturer"]), text(&system["product_name"])));
    line("boot", text(&inventory["boot"]["current_boot_mode"]));
    line("cpu", format!("{} x {} ({})", text(&cpu["count"]), text(&cpu["model_name"]), text(&cpu["architecture"])));
    line("memory", format!("{} ({} MiB installed)", size(&memory["total"]), text(&memory["physical_mb"])));
    for disk in items("disks") {
        line("disk", format!("{} {} {}", text(&disk["name"]), size(&disk["size"]), text(&disk["model"])));
    }
    for nic in items("interfaces") {
        line(
            "interface",
            format!("{} {} {}", text(&nic["name"]), text(&nic["mac_address"]), text(&nic["ipv4_address"])),
        );
    }
    line("bmc", text(&inventory["bmc_address"]));
    out
}

fn size(bytes: &Value) -> String {
    bytes.as_u64().map_or_else(|| "-".to_owned(), |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_survives_an_inventory_with_holes() {
        let inventory = json!({
            "hostname": "node-1",
            "system_vendor": {"manufacturer": "Acme", "product_name": ""},
            "cpu": {"count": 2, "model_name": "X", "architecture": "x86_64"},
            "memory": {"total": 2_147_483_648_u64, "physical_mb": null},
            "disks": [{"name": "/dev/sda", "size": 5_368_709_120_u64, "model": null}, {"name": "/dev/sdb", "model": "\u{1b}[2J"}],
            "bmc_address": null
        });
        let text = summary(&inventory);
        assert!(text.contains("system     Acme -\n"), "{text}");
        assert!(text.contains("memory     2.0 GiB (- MiB installed)\n"), "{text}");
        assert!(text.contains("disk       /dev/sda 5.0 GiB -\n"), "{text}");
        assert!(text.contains("disk       /dev/sdb - ?[2J\n"), "{text}");
        assert!(!text.contains("interface"), "{text}");
        assert!(summary(&Value::Null).contains("host       -"));
    }

    #[test]
    fn the_guide_can_be_pasted() {
        let text = guide("http://127.0.0.1:9999", Path::new("/x/agent-token"));
        assert!(text.contains(
            "\"http://127.0.0.1:9999/v1/commands/?wait=true&agent_token=$(cat /x/agent-token)\" -d \
             '{\"name\": \"poll.get_hardware_info\", \"params\": {}}'"
        ));
    }
}
