//! The program as its user meets it: one file a command.

mod agent;
mod config;
mod discovery;
mod explain;
mod failure;
mod inspect;
mod inspection;
mod inventory;
mod plugins;
mod session;
mod signals;
mod start;
mod transport;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

pub use self::failure::Failure;
use self::start::Ahead;
use crate::cli::{Cli, Command, ExplainCommand, PluginsCommand, RunOptions};

/// Exit code of a command that worked and has bad news: a plugin file that does not fit.
pub const BAD_NEWS: u8 = 1;
/// Exit code of a command line that makes no sense.
pub const USAGE: u8 = 2;
/// Exit code of a failure: the agent or a command could not do its work.
pub const FAILURE: u8 = 70;
/// Threads that serve the network and the plugins' messages. Plugin code runs elsewhere.
const THREADS: usize = 2;

/// Parses the command line and does what it says.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Cli { run: outer, command } = match Cli::read(args) {
        Ok(cli) => cli,
        Err(help_or_error) => {
            if !help_or_error.use_stderr() {
                println!("{}", help_or_error.message);
                return ExitCode::SUCCESS;
            }
            eprintln!("{}", help_or_error.message);
            return ExitCode::from(USAGE);
        }
    };
    let outcome = match command {
        None => run_agent(outer),
        Some(Command::Run(options)) => run_agent(options.or(outer)),
        Some(Command::Plugins(PluginsCommand::Check(options))) => plugins::check(&options),
        Some(Command::Plugins(PluginsCommand::List(options))) => on_runtime(plugins::list(options, outer)),
        Some(Command::Explain(ExplainCommand::Method(options))) => on_runtime(explain::method(options, outer)),
        Some(Command::Explain(ExplainCommand::RootDevice(options))) => on_runtime(explain::root_device(options, outer)),
        Some(Command::Config(options)) => on_runtime(config::run(options, outer)),
        Some(Command::Inspect(options)) => on_runtime(inspect::run(options, outer)),
        Some(Command::Inventory(options)) => on_runtime(inventory::run(options, outer)),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("ipa-host: {failure}");
        ExitCode::from(FAILURE)
    })
}

fn run_agent(options: RunOptions) -> Result<ExitCode, Failure> {
    let ahead = Ahead::start()?;
    on_runtime(agent::run(options, ahead))
}

fn on_runtime<W>(work: W) -> Result<ExitCode, Failure>
where
    W: Future<Output = Result<ExitCode, Failure>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    // As a task, it shares a thread with the tasks that it waits for: no other has to be woken for each of their answers.
    let outcome = runtime.block_on(runtime.spawn(work));
    // A task that blocks must not keep the program from ending.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Err(Failure::new(format!("the program was given up: {error}"))),
    })
}
