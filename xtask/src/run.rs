//! `cargo xtask run`: the agent on this machine, standalone and read-only, for looking at it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::Outcome;
use serde_json::json;
use structopt::StructOpt;

use crate::host::{self, Agent, CONTROL_SOCKET, Staged, TOKEN_FILE, Token};
use crate::repo;

const READY: Duration = Duration::from_secs(30);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Builds without optimisation, which is quicker.
    #[structopt(long)]
    debug_build: bool,
    /// Listens on this port instead of 9999 or the next free one.
    #[structopt(long)]
    port: Option<u16>,
    /// Starts, prints the inventory and stops.
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
    let inventory = agent.command(&mut agent.connect()?, "poll.get_hardware_info", &json!({}))?;
    println!("{inventory:#}");
    if options.once {
        return Ok(());
    }
    print!("{}", guide(&agent.url(), &staged.program, &directory));
    agent.wait()
}

/// The agent, bound to our life: however this process ends, the agent gets SIGTERM.
fn command(staged: &Staged, port: u16, directory: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]);
    staged.append_to(&mut command, port, directory);
    command
}

/// What a person can do with the running agent.
fn guide(url: &str, program: &Path, directory: &Path) -> String {
    let (program, directory) = (program.display(), directory.display());
    format!(
        "\n\
        Above is the inventory of this machine, as Ironic would get it from the agent on {url}.\n\
        The agent is standalone and read-only: nothing on this machine is changed.\n\
        \n\
        Its state:\n  curl -s {url}/v1/status\n\
        The inventory again:\n  curl -s \"{url}/v1/commands/?wait=true&agent_token=$(cat {directory}/{TOKEN_FILE})\" \
        -d '{{\"name\": \"poll.get_hardware_info\", \"params\": {{}}}}'\n\
        The commands so far:\n  curl -s \"{url}/v1/commands/?agent_token=$(cat {directory}/{TOKEN_FILE})\"\n\
        Its hardware managers:\n  {program} plugins list --control-socket {directory}/{CONTROL_SOCKET}\n\
        Who would be asked for a method:\n  {program} explain method get_cpus --plugin-dir {directory}/plugins\n\
        \n\
        Ctrl-C stops it.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_can_be_pasted() {
        let text = guide("http://127.0.0.1:9999", Path::new("/x/ipa-host"), Path::new("/x"));
        assert!(text.contains(
            "\"http://127.0.0.1:9999/v1/commands/?wait=true&agent_token=$(cat /x/agent-token)\" -d \
             '{\"name\": \"poll.get_hardware_info\", \"params\": {}}'"
        ));
    }
}
