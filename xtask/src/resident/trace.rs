//! The tracer: a breakpoint on every function of a program, in each process that runs it.
//!
//! A function that is reached gets its first byte back and its names are written at once, so the tracer may be killed at
//! any time. The kernel then kills all that it traces. It waits without a deadline, for whoever starts it has one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::process;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::names;

/// The instruction `int3`.
const BREAKPOINT: u8 = 0xcc;

/// Runs a command under breakpoints until all its processes have ended. The names go to the file, one a line.
pub(crate) fn trace(command: &[OsString], reached: &Path) -> Outcome {
    let [program, ..] = command else { return Err(Failure::new("there is no program to trace")) };
    let program = fs::canonicalize(program).doing(format_args!("looking for {}", program.display()))?;
    let functions = names::functions(&program)?;
    let reached = File::create(reached).doing(format_args!("making {}", reached.display()))?;
    let mut tracer = Tracer { program, functions, originals: BTreeMap::new(), reached };
    start(command)?;
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => unless_gone(tracer.step(status)).doing("tracing")?,
            Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(Failure::new(format!("waiting for the traced processes: {error}"))),
        }
    }
}

/// Turns this process into the traced program; returns only what went wrong.
pub(crate) fn become_traced(command: &[OsString]) -> Failure {
    let [program, arguments @ ..] = command else { return Failure::new("there is no program to trace") };
    // The stop lets the tracer say what it wants to hear of.
    if let Err(error) = ptrace::traceme().and_then(|()| signal::raise(Signal::SIGSTOP)) {
        return Failure::new(format!("the kernel does not let this process be traced: {error}"));
    }
    let error = Command::new(program).args(arguments).exec();
    Failure::new(format!("cannot start {}: {error}", program.display()))
}

/// Starts the program that becomes the command, and has the kernel report what it starts in turn.
fn start(command: &[OsString]) -> Outcome {
    let own = std::env::current_exe().doing("finding this program")?;
    let child = process::spawn(Command::new(own).args(["resident", "--traced", "--"]).args(command))?;
    let pid = Pid::from_raw(child.id().try_into().doing("the number of a process")?);
    match waitpid(pid, Some(WaitPidFlag::__WALL)) {
        Ok(WaitStatus::Stopped(..)) => {}
        other => return Err(Failure::new(format!("the process to be traced did not stop: {other:?}"))),
    }
    let options = Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(pid, options).and_then(|()| ptrace::cont(pid, None)).doing("tracing the first process")
}

#[derive(Debug)]
struct Tracer {
    program: PathBuf,
    /// Names by address in the program file.
    functions: BTreeMap<u64, Vec<String>>,
    /// What stands at the address where no breakpoint does.
    originals: BTreeMap<u64, u8>,
    reached: File,
}

impl Tracer {
    /// Does what a report asks for, and lets the thread go on.
    fn step(&mut self, status: WaitStatus) -> io::Result<()> {
        let (pid, signal) = match status {
            WaitStatus::PtraceEvent(pid, _, event) => {
                if event == Event::PTRACE_EVENT_EXEC as i32 && self.runs_in(pid) {
                    self.arm(pid)?;
                }
                (pid, None)
            }
            WaitStatus::Stopped(pid, Signal::SIGTRAP) if self.hit(pid)? => (pid, None),
            // Each new process and thread begins with one.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) => (pid, None),
            WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
            // Ended.
            _ => return Ok(()),
        };
        Ok(ptrace::cont(pid, signal)?)
    }

    fn runs_in(&self, pid: Pid) -> bool {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == self.program)
    }

    /// Sets all breakpoints in a process that has just become the program.
    fn arm(&mut self, pid: Pid) -> io::Result<()> {
        let Some(base) = self.base(pid)? else { return Ok(()) };
        let memory = memory(pid)?;
        for &address in self.functions.keys() {
            let mut original = [0];
            memory.read_exact_at(&mut original, base + address)?;
            memory.write_all_at(&[BREAKPOINT], base + address)?;
            self.originals.insert(address, original[0]);
        }
        Ok(())
    }

    /// If the thread is at one of our breakpoints: removes it in that process, and goes back before it.
    fn hit(&mut self, pid: Pid) -> io::Result<bool> {
        let before = trapped_at(pid)?;
        let Some(base) = self.base(pid)? else { return Ok(false) };
        let Some(address) = before.checked_sub(base) else { return Ok(false) };
        let Some(&original) = self.originals.get(&address) else { return Ok(false) };
        memory(pid)?.write_all_at(&[original], before)?;
        // Another process or thread may have been here before.
        for name in self.functions.remove(&address).unwrap_or_default() {
            self.reached.write_all(format!("{name}\n").as_bytes())?;
        }
        go_to(pid, before)?;
        Ok(true)
    }

    /// Where the program file begins in the memory of a process, if it is there. It may lie anywhere.
    fn base(&self, pid: Pid) -> io::Result<Option<u64>> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let first = maps.lines().find(|line| line.split_whitespace().nth(5).is_some_and(|path| self.program == *path));
        let start = first.and_then(|line| line.split('-').next());
        Ok(start.and_then(|start| u64::from_str_radix(start, 16).ok()))
    }
}

fn memory(pid: Pid) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))
}

/// A process that was killed while it was looked at is no error.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => Ok(()),
        other => other,
    }
}

/// The address of the breakpoint that stopped the thread: the processor is one byte past it.
#[cfg(target_arch = "x86_64")]
fn trapped_at(pid: Pid) -> io::Result<u64> {
    Ok(ptrace::getregs(pid)?.rip.wrapping_sub(1))
}

#[cfg(target_arch = "x86_64")]
fn go_to(pid: Pid, address: u64) -> io::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.rip = address;
    Ok(ptrace::setregs(pid, registers)?)
}

#[cfg(not(target_arch = "x86_64"))]
fn trapped_at(_: Pid) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_arch = "x86_64"))]
fn go_to(_: Pid, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
