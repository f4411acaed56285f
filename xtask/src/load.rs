//! `cargo xtask load`: many simulated agents at one real Ironic, with a report of how evenly their heartbeats come.

use std::time::Duration;

use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::process;
use structopt::StructOpt;

use crate::cargo::cargo;
use crate::{repo, tools};

/// For the build and for Ironic's start.
const PREPARATION: Duration = Duration::from_secs(1800);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// How many agents there are.
    #[structopt(long, default_value = "1000")]
    agents: u16,
    /// What Ironic tells them as the longest time between two heartbeats, in seconds; its own default is 300.
    #[structopt(long, default_value = "50")]
    heartbeat_timeout: u32,
    /// Heartbeats are judged once each agent has sent this many.
    #[structopt(long, default_value = "2")]
    settled: u32,
    /// Ends the agents after this many seconds, whatever was seen.
    #[structopt(long, default_value = "600")]
    seconds: u64,
}

pub(crate) fn run(options: &Options) -> Outcome {
    tools::IRONIC.ensure()?;
    let mut test = cargo(&["test", "--quiet", "--package", "ipa-tests", "--test", "heartbeat_load"]);
    test.args(["--", "--ignored", "--nocapture"])
        .env("IPA_IRONIC_PYTHON", tools::IRONIC.program("python"))
        .env("IPA_LOAD_AGENTS", options.agents.to_string())
        .env("IPA_LOAD_TIMEOUT", options.heartbeat_timeout.to_string())
        .env("IPA_LOAD_SETTLED", options.settled.to_string())
        .env("IPA_LOAD_SECONDS", options.seconds.to_string());
    process::run(&mut test, PREPARATION + Duration::from_secs(options.seconds))?;
    println!("written to {}", repo::target("load.json").display());
    Ok(())
}
