//! `cargo xtask resident`: finds which functions the idle agent runs, for `host/build.rs` to lay them side by side.
//!
//! A release build that keeps its names runs under a tracer, which is this program once more. It writes a line for each
//! function that the host or a worker reaches.

mod names;
mod trace;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use serde_json::json;
use structopt::StructOpt;

use crate::host::{self, Agent, Staged, TOKEN_FILE, Token};
use crate::{repo, tools};

/// A traced agent stops thousands of times on its way.
const READY: Duration = Duration::from_secs(60);
const LIST: &str = "host/resident.txt";
const HEADING: &str = "\
# What a host and a worker run from their start to the first answers of the API: names of functions, with stars for
# hashes. The linker puts them side by side in this order; see build.rs. `cargo xtask resident` writes this list: it sets
# a breakpoint on every function of a release build with symbols. A name that is gone does no harm, and one that is
# missing costs up to 64 KiB.
";

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Set by this program when it starts itself as the tracer: where the names go.
    #[structopt(long, hidden = true)]
    trace_to: Option<PathBuf>,
    /// Set by the tracer when it starts this program to become the traced one.
    #[structopt(long, hidden = true)]
    traced: bool,
    /// What is traced.
    #[structopt(raw(true), hidden = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return Err(Failure::new("the tracer knows the breakpoints of x86-64 alone: run this on such a machine"));
    }
    match (&options.trace_to, options.traced) {
        (Some(path), _) => trace::trace(&options.command, path),
        (None, true) => Err(trace::become_traced(&options.command)),
        (None, false) => renew(),
    }
}

fn renew() -> Outcome {
    tools::ensure(tools::FOR_RESIDENT)?;
    let target = repo::target("resident");
    let directory = target.join("run");
    repo::fresh_directory(&directory)?;
    let staged = Staged::build_with_names(&target, &directory.join("plugins"))?;
    let reached = directory.join("reached");
    let seen = observe(&staged, &directory, &reached)?;
    let list = repo::root().join(LIST);
    fs::write(&list, seen.text()).doing(format_args!("writing {}", list.display()))?;
    println!("{} and {} names written to {}", seen.start.len(), seen.inventory.len(), list.display());
    Ok(())
}

/// Patterns of functions. The groups are kept apart because an agent may idle before anyone asks for an inventory.
#[derive(Debug)]
struct Seen {
    /// Reached until the status was answered.
    start: BTreeSet<String>,
    /// Reached only then, until the inventory was answered.
    inventory: BTreeSet<String>,
}

/// Has the agent answer twice and sees what it reaches.
fn observe(staged: &Staged, directory: &Path, reached: &Path) -> Outcome<Seen> {
    let own = std::env::current_exe().doing("finding this program")?;
    let port = host::free_port(None)?;
    // However this process ends, so does the tracer, and with the tracer all that it traces.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(own).args(["resident", "--trace-to"]).arg(reached).arg("--");
    staged.append_to(&mut command, port, directory);
    let mut agent = Agent::start(&mut command, port, Token::Made(directory.join(TOKEN_FILE)))?;
    agent.wait_until_ready(READY)?;
    let start = patterns(reached)?;
    // The first function of any program. Without it the tracer saw something else.
    if !start.contains("main") {
        return Err(Failure::new("the tracer did not see the program start"));
    }
    agent.command(&mut agent.connect()?, "poll.get_hardware_info", &json!({}))?;
    // Killed and not asked to end: what runs at the end does not stay in memory.
    drop(agent);
    let inventory = patterns(reached)?.difference(&start).cloned().collect();
    Ok(Seen { start, inventory })
}

fn patterns(reached: &Path) -> Outcome<BTreeSet<String>> {
    let names = fs::read_to_string(reached).doing(format_args!("reading {}", reached.display()))?;
    Ok(names.lines().filter_map(names::pattern).collect())
}

impl Seen {
    /// The list as `host/build.rs` reads it. The linker takes the first line that fits a name.
    fn text(&self) -> String {
        let mut text = HEADING.to_owned();
        for (title, patterns) in
            [("Until the status is answered:", &self.start), ("With an inventory:", &self.inventory)]
        {
            text.push_str(&format!("# {title}\n"));
            for pattern in patterns {
                text.push_str(&format!("{pattern}\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_start_first_and_only_names_outside_comments() {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let text = Seen { start: set("main"), inventory: set("_RNvC1a1b*") }.text();
        let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(names, ["main", "_RNvC1a1b*"]);
    }
}
