//! A running program, from its start to its end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::capture::Lines;
use super::{Captured, CommandLine, LineSink, Output, ProcessError, Request, STDERR_IN_ERROR, Stream};

/// Time between the request to end and the kill.
const GRACE: Duration = Duration::from_secs(2);
/// Time that output may still come after the program has ended, from something it left running.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// Watches the program in a task of its own, so that it is ended properly even if the caller goes away.
pub(super) async fn until_end(child: Child, request: Request, line: CommandLine) -> Result<Output, ProcessError> {
    let command = line.clone();
    let failed = |what, source| ProcessError::Io { command: command.clone(), what, source };
    let (caller, caller_left) = oneshot::channel::<()>();
    let task = tokio::spawn(async move { supervise(child, request, line, caller_left).await });
    let ended = task.await;
    drop(caller);
    ended.unwrap_or_else(|error| Err(failed("watch it", io::Error::other(error))))
}

enum Outcome {
    Ended,
    Late,
    Cancelled,
}

async fn supervise(
    child: Child,
    request: Request,
    command: CommandLine,
    caller_left: oneshot::Receiver<()>,
) -> Result<Output, ProcessError> {
    let io_error = |what: &'static str| {
        let command = command.clone();
        move |source| ProcessError::Io { command, what, source }
    };
    let mut process = Process::new(child).map_err(io_error("watch it"))?;
    let pipes = process.pipes().map_err(io_error("read its output"))?;
    let (mut stdout, mut stderr) = (Captured::new(request.keep), Captured::new(request.keep));
    let outcome = {
        let output = async {
            tokio::join!(
                feed(pipes.stdin, request.stdin),
                follow(pipes.stdout, &mut stdout, Stream::Out, request.on_line.as_ref()),
                follow(pipes.stderr, &mut stderr, Stream::Err, request.on_line.as_ref()),
            );
        };
        tokio::pin!(output);
        let mut output = Pipeline { work: output, closed: false };
        let cancelled = async {
            tokio::select! {
                () = async { match &request.call { Some(call) => call.cancelled().await, None => std::future::pending().await } } => {}
                _ = caller_left => {}
            }
        };
        let outcome = tokio::select! {
            biased;
            () = until_exit_and_output(&process, &mut output) => Outcome::Ended,
            () = cancelled => Outcome::Cancelled,
            () = sleep(request.deadline) => Outcome::Late,
        };
        if !matches!(outcome, Outcome::Ended) {
            process.end_group(&mut output).await;
        }
        outcome
    };
    let status = process.reap().map_err(io_error("learn its status"))?;
    match outcome {
        Outcome::Ended => Ok(Output { status, stdout, stderr }),
        Outcome::Cancelled => Err(ProcessError::Cancelled { command }),
        Outcome::Late => {
            let stderr = stderr.end(STDERR_IN_ERROR);
            Err(ProcessError::Deadline { command, deadline: request.deadline, stderr })
        }
    }
}

/// Returns when the program has ended and its pipes are closed. Something it left running in the background does not
/// hold this up for long.
async fn until_exit_and_output(process: &Process, output: &mut Pipeline<'_, impl Future<Output = ()>>) {
    tokio::select! {
        () = process.exited() => {
            let _ = timeout(LAST_OUTPUT, output.closed()).await;
        }
        () = output.closed() => process.exited().await,
    }
}

/// The work on the pipes, which may be waited for again and again.
struct Pipeline<'a, F> {
    work: Pin<&'a mut F>,
    closed: bool,
}

impl<F: Future<Output = ()>> Pipeline<'_, F> {
    /// Returns when all pipes are closed.
    async fn closed(&mut self) {
        if !self.closed {
            self.work.as_mut().await;
            self.closed = true;
        }
    }
}

/// Gives the program its input. That it does not read all of it is its own affair.
async fn feed(stdin: Option<ChildStdin>, bytes: Option<Vec<u8>>) {
    if let (Some(mut stdin), Some(bytes)) = (stdin, bytes) {
        let _ = stdin.write_all(&bytes).await;
    }
}

/// Reads one output to its end. A read error ends it too: the status says what became of the program.
async fn follow(
    pipe: Option<impl AsyncRead + Unpin>,
    captured: &mut Captured,
    stream: Stream,
    sink: Option<&LineSink>,
) {
    let Some(mut pipe) = pipe else { return };
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        captured.push(&buffer[..length]);
        if let Some(sink) = sink {
            lines.push(&buffer[..length], |line| sink(stream, line));
        }
    }
    if let Some(sink) = sink {
        lines.flush(|line| sink(stream, line));
    }
}

struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// A child that leads its process group. It is not reaped before the group has been signalled for the last time, so
/// that its number cannot belong to someone else by then.
struct Process {
    child: Child,
    pid: Pid,
    exit: watch::Receiver<bool>,
    reaped: bool,
}

impl Process {
    fn new(mut child: Child) -> io::Result<Self> {
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other("the child has no process id"));
        };
        let (ended, exit) = watch::channel(false);
        tokio::task::spawn_blocking(move || {
            // NOWAIT leaves the child to be reaped later.
            while let Err(rustix::io::Errno::INTR) =
                waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            {}
            ended.send_replace(true);
        });
        Ok(Self { child, pid, exit, reaped: false })
    }

    fn pipes(&mut self) -> io::Result<Pipes> {
        Ok(Pipes {
            stdin: self.child.stdin.take().map(ChildStdin::from_std).transpose()?,
            stdout: self.child.stdout.take().map(ChildStdout::from_std).transpose()?,
            stderr: self.child.stderr.take().map(ChildStderr::from_std).transpose()?,
        })
    }

    async fn exited(&self) {
        // An error means that the watcher is gone, which it is only after the exit.
        let _ = self.exit.clone().wait_for(|ended| *ended).await;
    }

    fn signal_group(&self, signal: Signal) {
        // The group may be gone already.
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Ends the group, politely first. The output is read on, so that nothing blocks on a full pipe.
    async fn end_group(&self, output: &mut Pipeline<'_, impl Future<Output = ()>>) {
        self.signal_group(Signal::TERM);
        let polite = timeout(GRACE, until_exit_and_output(self, output)).await;
        // Also when the leader has gone in time: its children may have stayed.
        self.signal_group(Signal::KILL);
        if polite.is_err() {
            until_exit_and_output(self, output).await;
        }
    }

    fn reap(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.reaped = true;
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only when the runtime is shut down around it.
        if !self.reaped {
            self.signal_group(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
