//! The program `ipa-init`. Several programs, really: PID 1, the ones that signal it, what DHCP clients run, and the first
//! moment of the agent.

use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use ipa_init::clock::{self, Plausible};
use ipa_init::init::{self, Settings};
use ipa_init::network::lease;
use ipa_init::{devices, medium, power, process, sntp};
use rustix::process::{Pid, getpid, setsid};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let path = words.first().copied().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_first = getpid() == Pid::INIT;
    // To PID 1 the kernel passes what it does not know of its own line; that must mean nothing.
    match (name, &words[words.len().min(1)..]) {
        (lease::HANDLER, arguments) => complain(init::tell(path, arguments.first().copied())),
        ("ipa-init-trial", arguments) if is_first => init(Settings::trial(arguments)),
        ("reboot" | "poweroff" | "halt", arguments) if !is_first => {
            let at_once = arguments.iter().any(|word| matches!(*word, "-f" | "--force"));
            complain(power::Action::of_program(name).map_or(Ok(()), |action| action.ask(at_once)))
        }
        (_, ["udevd", program]) if !is_first => complain(devices::become_udevd(program)),
        (_, ["session", program @ ..]) if !is_first => session(program),
        ("ntpdate", arguments) if !is_first => complain(clock::ntpdate(arguments)),
        (_, ["clock", servers @ ..]) if !is_first => {
            complain(sntp::main(servers, Plausible::of_ramdisk(&std::env::current_exe().unwrap_or_default())))
        }
        (_, ["medium", publisher @ ..]) if !is_first => {
            medium::main(publisher.first().copied());
            ExitCode::SUCCESS
        }
        _ if is_first => init(Settings::machine()),
        _ => complain(Err("this is the first program of a ramdisk, and not for use on a running system".to_owned())),
    }
}

/// Does not return while the machine runs: without PID 1 the kernel stops everything.
fn init(settings: Settings) -> ExitCode {
    let ended = catch_unwind(AssertUnwindSafe(|| init::run(settings)));
    match ended {
        Ok(action) => action.finish(),
        Err(_) => eprintln!("ipa-init: an error of its own ended it; the machine has to be reset"),
    }
    loop {
        if rustix::process::wait(rustix::process::WaitOptions::empty()).is_err() {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Becomes another program, in a session of its own.
fn session(program: &[&str]) -> ExitCode {
    // It only fails for the leader of a session, which is all that is wanted.
    let _ = setsid();
    let [path, arguments @ ..] = program else { return complain(Err("session: no program".to_owned())) };
    let error = process::command(&[*path]).args(arguments).exec();
    complain(Err(format!("{path}: {error}")))
}

fn complain(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("ipa-init: {why}");
            ExitCode::FAILURE
        }
    }
}
