//! The program `ipa-host`. Three programs, really: the agent with its tools, the worker that a plugin runs in, and the
//! first moment of every external program.

use std::env::args_os;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = args_os().skip(1);
    match args.next().as_ref().and_then(|word| word.to_str()) {
        Some("worker") => ipa_host::plugins::worker_main(),
        Some("exec-child") => ipa_host::process::child_main(args),
        _ => ipa_host::program::run(args_os()),
    }
}
