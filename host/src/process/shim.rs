//! The first thing a child does: tie its life to the agent's.
//!
//! Only the child itself can ask the kernel for a signal at its parent's death, and without `unsafe` no code of ours
//! runs between fork and exec. So the agent starts itself again, as `ipa-host exec-child PARENT -- PROGRAM ARGS`; that
//! takes a millisecond, makes the request, and becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

use rustix::process::{Resource, Rlimit, Signal};

/// Exit status if the shim was called wrongly or its parent is gone.
const BAD_CALL: i32 = 125;
/// Exit status if the program cannot be executed.
const CANNOT_EXECUTE: i32 = 126;

/// Becomes the program. The arguments are those after `exec-child`: the parent's process id, `--`, and the program
/// with its arguments.
pub fn child_main(args: impl IntoIterator<Item = OsString>) -> ! {
    let mut args = args.into_iter();
    let parent = args.next().and_then(|text| text.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some("--"), Some(program)) =
        (parent, args.next().as_ref().and_then(|a| a.to_str()), args.next())
    else {
        eprintln!("exec-child is started by the agent itself, as: exec-child PARENT -- PROGRAM [ARGUMENT]...");
        exit(BAD_CALL);
    };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("cannot tie {} to the agent's life: {error}", program.display());
        exit(BAD_CALL);
    }
    // The agent may have died before the request; then nobody will ever send the signal.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        exit(BAD_CALL);
    }
    // The agent may be one of the last that the kernel kills for want of memory; what it starts is not. Without /proc the
    // tool runs all the same.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    // A tool that crashes must not fill the ramdisk with its memory.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let error = Command::new(&program).args(args).exec();
    eprintln!("cannot execute {}: {error}", program.display());
    exit(CANNOT_EXECUTE)
}
