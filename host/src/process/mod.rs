//! The one place that runs external programs.
//!
//! A program gets its arguments as they are (there is no shell), a clean environment, a process group of its own and
//! a deadline. Its output is kept within bounds, its lines can be followed while it runs, and its failure is one
//! sentence with the command, the status and the end of what it complained about. It never outlives its call: at the
//! deadline, at a cancel and when the caller goes away the whole group is told to end, and killed two seconds later.

mod capture;
mod error;
mod shim;
mod spawn;
mod supervise;

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::managers::CallContext;

pub use capture::{Captured, LINE_LIMIT};
pub use error::{CommandLine, ProcessError};
pub use shim::child_main;
pub use spawn::Spawner;

/// Where programs are looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Time a program has if its request does not say otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(300);
/// Bytes kept of each output if the request does not say otherwise.
pub const DEFAULT_KEEP: usize = 1024 * 1024;
/// Bytes of standard error in an error's text.
const STDERR_IN_ERROR: usize = 1024;

/// One of a program's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Is given each line of a running program, without its end.
pub type LineSink = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// A program to run.
#[derive(Clone)]
pub struct Request {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    deadline: Duration,
    keep: usize,
    on_line: Option<LineSink>,
    call: Option<CallContext>,
}

impl Request {
    /// A program, by name or path, and its arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            deadline: DEFAULT_DEADLINE,
            keep: DEFAULT_KEEP,
            on_line: None,
            call: None,
        }
    }

    /// A further environment variable; otherwise there are `PATH` and `LC_ALL=C.UTF-8`.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The directory it runs in; otherwise `/`.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// What it reads on standard input; otherwise nothing.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// How long it may run.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many bytes of each output are kept.
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }

    /// Who is given its lines while it runs. Must not block.
    #[must_use]
    pub fn on_line(mut self, sink: impl Fn(Stream, &str) + Send + Sync + 'static) -> Self {
        self.on_line = Some(Arc::new(sink));
        self
    }

    /// The command it is run for; a cancel of that ends it.
    #[must_use]
    pub fn for_call(mut self, call: &CallContext) -> Self {
        self.call = Some(call.clone());
        self
    }

    fn line(&self) -> CommandLine {
        CommandLine(self.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("argv", &self.argv).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
}

/// Runs programs.
#[derive(Debug, Clone)]
pub struct Runner {
    spawner: Spawner,
    shim: Vec<OsString>,
    path: Arc<str>,
}

impl Runner {
    /// A runner whose children are tied to the agent's life by `ipa-host exec-child`, found through `/proc/self/exe`.
    pub fn new(spawner: Spawner) -> Self {
        Self::with_shim(spawner, vec!["/proc/self/exe".into(), "exec-child".into()])
    }

    /// A runner with another way to the shim ([`child_main`]); without one the children are not tied.
    pub fn with_shim(spawner: Spawner, shim: Vec<OsString>) -> Self {
        Self { spawner, shim, path: PATH.into() }
    }

    /// The same runner with other directories, separated by colons, to look for programs in.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// True if a program of this name is installed.
    pub fn has(&self, name: &str) -> bool {
        find_in(&self.path, Path::new(name)).is_some()
    }

    /// The thread that starts its children.
    pub fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Runs a program that must exit with status 0.
    ///
    /// # Errors
    /// See [`ProcessError`].
    pub async fn run(&self, request: Request) -> Result<Output, ProcessError> {
        let command = request.line();
        let output = self.run_any_status(request).await?;
        if output.status.success() {
            return Ok(output);
        }
        let stderr = output.stderr.end(STDERR_IN_ERROR);
        Err(ProcessError::Failed { command, status: output.status, stderr })
    }

    /// Runs a program whose status the caller judges.
    ///
    /// # Errors
    /// All of [`ProcessError`] but `Failed`.
    pub async fn run_any_status(&self, request: Request) -> Result<Output, ProcessError> {
        let name = request.argv.first().cloned().unwrap_or_default();
        let Some(program) = find_in(&self.path, Path::new(&name)) else {
            let program = name.to_string_lossy().into_owned();
            return Err(ProcessError::NotFound { program, path: self.path.to_string() });
        };
        let line = request.line();
        let child = self.spawner.spawn(self.command(&program, &request)).await.map_err(|source| ProcessError::Io {
            command: line.clone(),
            what: "start it",
            source,
        })?;
        supervise::until_end(child, request, line).await
    }

    fn command(&self, program: &Path, request: &Request) -> Command {
        let mut words = self.shim.iter().cloned();
        let mut command = match words.next() {
            Some(shim) => {
                let mut command = Command::new(shim);
                command.args(words).arg(std::process::id().to_string()).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .args(request.argv.iter().skip(1))
            .env_clear()
            .env("PATH", &*self.path)
            .env("LC_ALL", "C.UTF-8")
            .envs(request.env.iter().map(|(name, value)| (name, value)))
            .current_dir(request.dir.as_deref().unwrap_or(Path::new("/")))
            .stdin(if request.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

/// The path of a program: a name is looked for in [`PATH`], a path must be an executable file.
pub fn find_program(name: &Path) -> Option<PathBuf> {
    find_in(PATH, name)
}

fn find_in(path: &str, name: &Path) -> Option<PathBuf> {
    let executable =
        |path: &Path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if name.as_os_str().is_empty() {
        return None;
    }
    if name.components().count() > 1 || name.is_absolute() {
        return Some(name.to_owned()).filter(|path| executable(path));
    }
    path.split(':').map(|dir| Path::new(dir).join(name)).find(|path| executable(path))
}

#[cfg(test)]
mod tests;
