//! `cargo xtask bench`: the agent beside the Python agent on the same machine in one run.
//!
//! Both run in the sandbox of `tests/bench/sandbox`: disk nodes masked, dangerous capabilities dropped, everything
//! ended with the measurement. Nothing here fails on a slow number; the table and `target/bench.json` show them.
//! With `--ramdisk` it is the two ramdisks instead, in virtual machines, and `target/bench-ramdisk.json`.

mod bare;
mod ours;
mod plugins;
mod procfs;
mod ramdisk;
mod report;
mod upstream;
mod wrk;

use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;
use structopt::StructOpt;

use self::report::{Budget, Measure, Report, Unit};
use crate::host::Staged;
use crate::{repo, tools};

const WHOLE_RUN: Duration = Duration::from_secs(3600);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Measures once instead of five times, for a first look.
    #[structopt(long)]
    quick: bool,
    /// Measures the ramdisk beside one with the Python agent instead, in virtual machines.
    #[structopt(long, conflicts_with = "upstream-only")]
    ramdisk: bool,
    /// Measures only the Python agent.
    #[structopt(long)]
    upstream_only: bool,
    /// Set by this program when it starts itself in the sandbox.
    #[structopt(long, hidden = true)]
    in_sandbox: bool,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    samples: usize,
    /// Repetitions inside a sample of something that takes less than the clock resolves.
    repeats: u32,
    wrk_seconds: u32,
}

impl Effort {
    fn of(options: &Options) -> Self {
        if options.quick {
            Self { samples: 1, repeats: 10, wrk_seconds: 1 }
        } else {
            Self { samples: 5, repeats: 50, wrk_seconds: 3 }
        }
    }

    /// The samples of one quantity.
    fn sample(self, mut measure: impl FnMut() -> Outcome<f64>) -> Outcome<Vec<f64>> {
        (0..self.samples).map(|_| measure()).collect()
    }
}

/// The quantities that both agents have, in the order of the table.
#[derive(Debug, Default)]
struct Figures {
    start_s: Vec<f64>,
    memory_bytes: Vec<f64>,
    inventory_wall_s: Vec<f64>,
    inventory_cpu_s: Vec<f64>,
    tool_wall_s: Vec<f64>,
    tool_cpu_s: Vec<f64>,
    requests_1: Vec<f64>,
    requests_16: Vec<f64>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    match options {
        Options { ramdisk: true, .. } => ramdisk::run(options.quick),
        Options { in_sandbox: true, .. } => measure(options),
        _ => prepare(options),
    }
}

/// Builds and installs outside the sandbox, then starts this program again inside.
fn prepare(options: &Options) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new("run `cargo xtask bench` as root: both agents read firmware and need the sandbox"));
    }
    tools::ensure(tools::FOR_BENCH)?;
    tools::ensure(tools::FOR_TESTS)?;
    tools::UPSTREAM.ensure()?;
    repo::fresh_directory(&repo::target("bench"))?;
    if !options.upstream_only {
        Staged::build(true, &repo::target("bench/plugins"))?;
        plugins::build()?;
    }
    let own = std::env::current_exe().doing("finding this program")?;
    // If this process is killed, so is the sandbox with all in it.
    let mut sandbox = Command::new("setpriv");
    sandbox.args(["--pdeathsig", "KILL", "--"]).arg(repo::root().join("tests/bench/sandbox"));
    sandbox.arg(own).args(["bench", "--in-sandbox"]);
    if options.quick {
        sandbox.arg("--quick");
    }
    if options.upstream_only {
        sandbox.arg("--upstream-only");
    }
    process::run(&mut sandbox, WHOLE_RUN)
}

fn measure(options: &Options) -> Outcome {
    let effort = Effort::of(options);
    println!("measuring the Python agent");
    let theirs = upstream::measure(effort)?;
    let mut report = Report::default();
    if options.upstream_only {
        report.extend(compared(Figures::default(), theirs));
    } else {
        println!("measuring ipa-host");
        report.extend(compared(ours::measure(effort)?, theirs));
        report.extend(plugins::measure(effort)?);
        report.extend(vec![bare::measure(effort)?]);
    }
    publish(&report, "bench.json")
}

/// Shows the table and leaves all samples in a file of the build directory.
fn publish(report: &Report, file: &str) -> Outcome {
    print!("{}", report.table());
    let path = repo::target(file);
    std::fs::write(&path, report.json()).doing(format_args!("writing {}", path.display()))?;
    println!("written to {}", path.display());
    Ok(())
}

fn compared(ours: Figures, theirs: Figures) -> Vec<Measure> {
    vec![
        Measure::new("exec to first /v1/status", Unit::Seconds, ours.start_s, theirs.start_s)
            .budget(Budget::TimesBetter(100.0)),
        Measure::new("idle memory, all processes (PSS)", Unit::Bytes, ours.memory_bytes, theirs.memory_bytes)
            .budget(Budget::AtMost(6.0 * 1024.0 * 1024.0)),
        Measure::new("inventory over the API, wall", Unit::Seconds, ours.inventory_wall_s, theirs.inventory_wall_s)
            .budget(Budget::TimesBetter(50.0)),
        Measure::new("inventory over the API, CPU", Unit::Seconds, ours.inventory_cpu_s, theirs.inventory_cpu_s),
        // Ours includes the start and the end of the whole program with its worker, theirs does not: no budget.
        Measure::new("inventory without the API, wall", Unit::Seconds, ours.tool_wall_s, theirs.tool_wall_s),
        Measure::new("inventory without the API, CPU", Unit::Seconds, ours.tool_cpu_s, theirs.tool_cpu_s),
        // The time of a round trip, which is that of the machine: see the server that only answers. The rate that counts
        // is the next.
        Measure::new("/v1/status, 1 connection", Unit::PerSecond, ours.requests_1, theirs.requests_1),
        Measure::new("/v1/status, 16 connections", Unit::PerSecond, ours.requests_16, theirs.requests_16)
            .budget(Budget::TimesBetter(30.0)),
    ]
}
