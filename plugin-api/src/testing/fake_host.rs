//! A host that answers what a test tells it to, and remembers what it was told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::command::CommandOutput;
use crate::context::{Level, Page};
use crate::error::{HwError, HwResult};
use crate::reply::{RawReply, VALUE};
use crate::services::HostServices;

/// A log record that a manager wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its importance.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its key-value pairs.
    pub pairs: BTreeMap<String, String>,
}

/// The output of a program, for [`FakeHost::command`].
pub fn output(code: i32, stdout: &str, stderr: &str) -> CommandOutput {
    CommandOutput {
        argv: Vec::new(),
        code: Some(code),
        signal: None,
        timed_out: false,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    }
}

/// The host of a test.
#[derive(Debug, Default)]
pub struct FakeHost {
    section: Option<Value>,
    kernel_params: BTreeMap<String, String>,
    node: Option<Value>,
    refreshed: Option<Value>,
    is_refreshed: AtomicBool,
    answers: HashMap<String, HwResult<Value>>,
    /// By method, the argument that comes back.
    echoes: HashMap<String, String>,
    pages: HashMap<String, Page>,
    outputs: HashMap<Vec<String>, CommandOutput>,
    cancelled: AtomicBool,
    handles: AtomicU64,
    running: Mutex<HashMap<u64, CommandOutput>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    log: Vec<LogRecord>,
    progress: Vec<(u32, String)>,
    attached: BTreeMap<String, String>,
    commands: Vec<Vec<String>>,
}

impl FakeHost {
    /// A host with no configuration, no node, and no other manager.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the plugin's configuration section.
    #[must_use]
    pub fn config(mut self, section: Value) -> Self {
        self.section = Some(section);
        self
    }

    /// Adds a word to the kernel command line.
    #[must_use]
    pub fn kernel_param(mut self, name: &str, value: &str) -> Self {
        self.kernel_params.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the node.
    #[must_use]
    pub fn node(mut self, node: Value) -> Self {
        self.node = Some(node);
        self
    }

    /// Sets what Ironic says of the node when it is asked once more; without, the node stays as it is.
    #[must_use]
    pub fn refreshed_node(mut self, node: Value) -> Self {
        self.refreshed = Some(node);
        self
    }

    /// True once the node was looked up again.
    pub fn was_refreshed(&self) -> bool {
        self.is_refreshed.load(Ordering::Relaxed)
    }

    /// Sets what `dispatch` and `call_next` answer for a method. Others are absent.
    #[must_use]
    pub fn answer(mut self, method: &str, answer: HwResult<Value>) -> Self {
        self.answers.insert(method.to_owned(), answer);
        self
    }

    /// Has `dispatch` and `call_next` answer a method with one of its arguments, as a filter that lets everything through.
    #[must_use]
    pub fn echo(mut self, method: &str, argument: &str) -> Self {
        self.echoes.insert(method.to_owned(), argument.to_owned());
        self
    }

    /// Sets what a program prints and how it ends. Others cannot be started.
    #[must_use]
    pub fn command(mut self, argv: &[&str], output: CommandOutput) -> Self {
        self.outputs.insert(argv.iter().map(|arg| (*arg).to_owned()).collect(), output);
        self
    }

    /// Sets what `http_get` finds at an address. Others cannot be reached.
    #[must_use]
    pub fn page(mut self, url: &str, status: u16, text: &str) -> Self {
        self.pages.insert(url.to_owned(), Page { status, text: text.to_owned() });
        self
    }

    /// Cancels every call from now on.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// The log records so far.
    pub fn log_records(&self) -> Vec<LogRecord> {
        self.seen().log.clone()
    }

    /// The progress reports so far.
    pub fn progress_reports(&self) -> Vec<(u32, String)> {
        self.seen().progress.clone()
    }

    /// The logs attached so far: text, or `file:PATH`.
    pub fn attached_logs(&self) -> BTreeMap<String, String> {
        self.seen().attached.clone()
    }

    /// The programs started so far.
    pub fn commands_run(&self) -> Vec<Vec<String>> {
        self.seen().commands.clone()
    }

    pub(super) fn section(&self) -> Value {
        self.section.clone().unwrap_or_else(|| json!({}))
    }

    fn known_node(&self) -> Option<&Value> {
        self.refreshed.as_ref().filter(|_| self.was_refreshed()).or(self.node.as_ref())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn serve(&self, service: &str, args: &Value) -> HwResult<Value> {
        let text = |key: &str| args[key].as_str().unwrap_or_default().to_owned();
        match service {
            "dispatch" | "call_next" => {
                let method = text("method");
                if let Some(argument) = self.echoes.get(&method) {
                    return Ok(args["args"][argument].clone());
                }
                self.answers.get(&method).cloned().unwrap_or_else(|| Err(HwError::absent(&method)))
            }
            "dispatch_all" => {
                let method = text("method");
                let value = self.answers.get(&method).cloned().unwrap_or_else(|| Err(HwError::absent(&method)))?;
                Ok(json!([{"class_name": "Other", "name": "other", "value": value}]))
            }
            "answers_first" => Ok(json!(!self.answers.contains_key(&text("method")))),
            "config" => Ok(self.section()),
            "kernel_params" => Ok(json!(self.kernel_params)),
            "refresh_node" => {
                self.is_refreshed.store(true, Ordering::Relaxed);
                Ok(json!(self.known_node()))
            }
            "node" => Ok(json!(self.known_node())),
            "attach_log" => {
                let content = args["text"].as_str().map_or_else(|| format!("file:{}", text("path")), str::to_owned);
                self.seen().attached.insert(text("name"), content);
                Ok(Value::Null)
            }
            "http_get" => {
                let (url, limit) = (text("url"), args["limit"].as_u64().unwrap_or_default());
                let page = self.pages.get(&url).ok_or_else(|| {
                    HwError::command_execution(format!("http_get: {url}: no such server on this fake host"))
                })?;
                if page.text.len() as u64 > limit {
                    let why = format!("http_get: {url}: the answer is larger than {limit} bytes");
                    return Err(HwError::command_execution(why));
                }
                Ok(json!(page))
            }
            "command_start" => self.start(args),
            "command_read" => self.read(args),
            "command_stop" => Ok(Value::Null),
            _ => Err(HwError::absent(service)),
        }
    }

    fn start(&self, args: &Value) -> HwResult<Value> {
        let argv: Vec<String> = serde_json::from_value(args["argv"].clone())?;
        self.seen().commands.push(argv.clone());
        let output = self.outputs.get(&argv).cloned().ok_or_else(|| {
            HwError::command_execution(format!("{}: no such program on this fake host", argv.join(" ")))
        })?;
        let handle = self.handles.fetch_add(1, Ordering::Relaxed);
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(handle, output);
        Ok(json!({"handle": handle}))
    }

    fn read(&self, args: &Value) -> HwResult<Value> {
        let handle = args["handle"].as_u64().unwrap_or(u64::MAX);
        let output = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&handle);
        let output = output.ok_or_else(|| HwError::command_execution(format!("no command with handle {handle}")))?;
        let lines = |stream: &str, text: &str| -> Vec<Value> {
            text.lines().map(|line| json!({"stream": stream, "line": line})).collect()
        };
        let lines = [lines("stdout", &output.stdout), lines("stderr", &output.stderr)].concat();
        Ok(json!({"lines": lines, "exit": {
            "code": output.code, "signal": output.signal, "timed_out": output.timed_out,
            "stdout": output.stdout, "stderr": output.stderr,
        }}))
    }
}

impl HostServices for FakeHost {
    fn log(&self, _call: u64, level: u32, message: &str, pairs: &str) {
        let level = match level {
            0 => Level::Critical,
            1 => Level::Error,
            2 => Level::Warning,
            3 => Level::Info,
            4 => Level::Debug,
            _ => Level::Trace,
        };
        let pairs = serde_json::from_str(pairs).unwrap_or_default();
        self.seen().log.push(LogRecord { level, message: message.to_owned(), pairs });
    }

    fn progress(&self, _call: u64, percent: u32, message: &str) {
        self.seen().progress.push((percent, message.to_owned()));
    }

    fn is_cancelled(&self, _call: u64) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn host_call(&self, _call: u64, method: &str, args: &str) -> RawReply {
        let result = serde_json::from_str(args).map_err(HwError::from).and_then(|args| self.serve(method, &args));
        match result {
            Ok(value) => RawReply { code: VALUE, body: value.to_string().into_bytes() },
            Err(error) => {
                let (code, body) = error.to_reply();
                RawReply { code, body }
            }
        }
    }
}
