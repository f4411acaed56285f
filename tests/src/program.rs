//! Runs `ipa-host` for one of its short commands.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use crate::{artifacts, processes};

/// Longest time that a short command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a command ended and what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:#?}"))
    }
}

/// Runs `ipa-host` with arguments to its end.
pub fn ipa_host<S: AsRef<OsStr>>(arguments: &[S]) -> Finished {
    ipa_host_with(&[], arguments)
}

/// Runs `ipa-host` with further environment variables and arguments to its end.
pub fn ipa_host_with<S: AsRef<OsStr>>(environment: &[(&str, &str)], arguments: &[S]) -> Finished {
    let mut command = Command::new(artifacts::host_binary());
    command
        .envs(environment.iter().copied())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = processes::spawn_untagged(&mut command);
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (done, ended) = channel();
    let errors = std::thread::spawn(move || text_of(&mut err));
    std::thread::spawn(move || {
        let text = text_of(&mut out);
        // The receiver is gone only if the deadline has passed.
        let _ = done.send(text);
    });
    let Ok(stdout) = ended.recv_timeout(PATIENCE) else {
        // It is killed and waited for, so it cannot be gone.
        let _ = child.kill();
        let _ = child.wait();
        let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
        panic!("ipa-host {} did not end within {PATIENCE:?}", words.join(" "));
    };
    let status = child.wait().expect("a child can be waited for");
    Finished { code: status.code(), stdout, stderr: errors.join().expect("reading does not panic") }
}

fn text_of(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
