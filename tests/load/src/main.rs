//! Many simulated agents at one Ironic: do their heartbeats come evenly spread?
//!
//! Each agent is a task that speaks the product's own code: `ipa_host::ironic` looks its node up and paces its
//! heartbeats. They begin one after the other, as fast as Ironic answers, and are judged by what they do in one interval
//! of time after that.
//!
//! * [`fleet`] lets the agents live and decides when enough was seen; [`agent`] is one of them.
//! * [`journal`] has what they sent and when it was answered.
//! * [`spread`] says how evenly moments or waits lie, [`report`] says it all to people and as JSON.

mod agent;
mod fleet;
mod journal;
mod report;
mod spread;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ipa_host::ironic::Endpoint;
use ipa_host::tls::ClientOptions;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use structopt::StructOpt;

use crate::agent::{Node, Target};
use crate::report::Report;

/// Lets simulated agents look nodes up at an Ironic and send it heartbeats, and reports how evenly these are spread.
#[derive(Debug, StructOpt)]
#[structopt(name = "ipa-load")]
struct Options {
    /// Address of Ironic's API.
    #[structopt(long, parse(try_from_str = Endpoint::parse))]
    url: Endpoint,
    /// File of the certificates that Ironic's is checked with.
    #[structopt(long)]
    cafile: Option<PathBuf>,
    /// File with the MAC address of one enrolled node a line, and its agent token if that was made beforehand; each node
    /// gets an agent.
    #[structopt(long)]
    nodes: PathBuf,
    /// Judges the heartbeats once each agent has sent this many.
    #[structopt(long, default_value = "2")]
    settled: u32,
    /// Ends the agents after this many seconds, whatever was seen.
    #[structopt(long, default_value = "600")]
    seconds: u64,
    /// Writes the report here too, as JSON.
    #[structopt(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::from_args();
    let report = match run(&options) {
        Ok(report) => report,
        Err(why) => {
            eprintln!("ipa-load: {why}");
            return ExitCode::from(70);
        }
    };
    print!("{report}");
    if report.is_even() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Result<Report, String> {
    let nodes = nodes(&options.nodes)?;
    allow_files(nodes.len())?;
    let tls = ClientOptions { ca_file: options.cafile.clone(), ..ClientOptions::default() };
    let target = Target::new(options.url.clone(), tls)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the runtime cannot be set up: {error}"))?;
    let report = runtime.block_on(fleet::run(&target, nodes, options.settled, Duration::from_secs(options.seconds)));
    if let Some(path) = &options.json {
        fs::write(path, report.json()).map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(report)
}

fn nodes(path: &Path) -> Result<Vec<Node>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let nodes: Vec<Node> = text.lines().filter_map(Node::of_line).collect();
    if nodes.is_empty() { Err(format!("{} has no MAC addresses", path.display())) } else { Ok(nodes) }
}

/// Each agent has a connection, and there are some other files.
fn allow_files(agents: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = agents as u64 + 100;
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit })
        .map_err(|error| format!("{agents} agents need {wanted} open files, which the limit does not allow: {error}"))
}
