//! Developer commands. `cargo xtask --help` lists them.

mod arm64;
mod bench;
mod cargo;
mod coreos;
mod cross;
mod deb;
mod host;
mod http;
mod load;
mod parity;
mod ramdisk;
mod repo;
mod resident;
mod run;
mod sign_plugin;
mod steps;
mod test;
mod tools;
mod vm;

use std::process::ExitCode;

use structopt::StructOpt;

/// Developer commands of the bare-metal agent.
#[derive(Debug, StructOpt)]
#[structopt(name = "cargo xtask")]
enum Command {
    /// Starts the agent here, safely, and shows where to look.
    Run(run::Options),
    /// Checks and tests everything, as CI does.
    Test(test::Options),
    /// Builds the Debian packages into target/packages.
    Deb,
    /// Makes the agent's file system and Ignition configuration for Fedora CoreOS, in target/coreos.
    Coreos(coreos::Options),
    /// Writes the totals of tests/parity.toml into README.md.
    Parity,
    /// Measures the agent beside the Python agent.
    Bench(bench::Options),
    /// Lets many simulated agents send heartbeats to a real Ironic and shows how evenly they come.
    Load(load::Options),
    /// Finds which functions the idle agent runs and writes host/resident.txt, by which its program is laid out.
    Resident(resident::Options),
    /// Builds the ramdisk: kernel and archive, with a manifest and a bill of materials.
    Ramdisk(Box<ramdisk::Options>),
    /// Boots the agent's ramdisk in a virtual machine and shows where to look.
    Vm(vm::Options),
    /// Signs a plugin for ipa-plugin-urls, or makes a key pair.
    SignPlugin(sign_plugin::Options),
}

fn main() -> ExitCode {
    let outcome = match Command::from_args() {
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Deb => deb::run(),
        Command::Coreos(options) => coreos::run(&options),
        Command::Parity => parity::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Resident(options) => resident::run(&options),
        Command::Ramdisk(options) => ramdisk::run(&options),
        Command::Vm(options) => vm::run(&options),
        Command::SignPlugin(options) => sign_plugin::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
