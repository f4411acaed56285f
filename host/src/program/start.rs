//! What most commands begin with: configuration, log, and the plugins.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::Failure;
use crate::cli::{CommonOptions, IsolationOption, PLUGIN_DIR};
use crate::config::deadline::{DeadlineOption, Phase};
use crate::config::{Files, boolean, kernel_line};
use crate::log::Logging;
use crate::metrics::StatsdOptions;
use crate::plugins::{Deadlines, Isolation, Limits, Options, Registry};
use crate::power::ClockOptions;
use crate::process::{Runner, Spawner};

/// The kernel command line.
const KERNEL_LINE: &str = "/proc/cmdline";

/// The manager that is shipped with the agent.
const GENERIC_MANAGER: &str = "generic_hardware_manager";
/// Its options.
const GENERIC_OPTIONS: [&str; 2] = ["auto_tls_allowed_clock_skew", "tls_certificate_curve"];

/// What the program was told, from all sources.
#[derive(Debug)]
pub(super) struct Told {
    options: CommonOptions,
    files: Files,
    kernel: BTreeMap<String, String>,
}

impl Told {
    /// Reads all sources.
    pub(super) fn read(options: CommonOptions) -> Result<Self, Failure> {
        let files = Files::read(&options.config_file, &options.config_dir)?;
        Ok(Self { options, files, kernel: kernel_line::read(Path::new(KERNEL_LINE)) })
    }

    /// A word of the kernel command line.
    pub(super) fn kernel(&self, name: &str) -> Option<&str> {
        self.kernel.get(name).map(String::as_str)
    }

    /// A key of the configuration files.
    pub(super) fn file(&self, section: &str, key: &str) -> Option<&str> {
        self.files.get(section, key)
    }

    /// A switch of the configuration files.
    pub(super) fn switch(&self, section: &str, key: &str, default: bool) -> Result<bool, Failure> {
        match self.file(section, key) {
            Some(text) => {
                boolean::parse(text).ok_or_else(|| Failure::new(format!("{key} is {text:?}; it is true or false")))
            }
            None => Ok(default),
        }
    }

    /// Where metrics are sent, if they are.
    pub(super) fn statsd(&self) -> Result<Option<StatsdOptions>, Failure> {
        match self.file("metrics", "backend") {
            Some("statsd") => {}
            // Those of the collector are at /metrics.
            None | Some("noop" | "collector") => return Ok(None),
            Some(other) => {
                return Err(Failure::new(format!(
                    "[metrics] backend is {other:?}; there are noop, statsd and collector"
                )));
            }
        }
        let port = match self.file("metrics_statsd", "statsd_port") {
            Some(text) => text.parse().map_err(|_| {
                Failure::new(format!("[metrics_statsd] statsd_port is {text:?}; a port is a number from 0 to 65535"))
            })?,
            None => 8125,
        };
        let host_name = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Some(StatsdOptions {
            host: self.file("metrics_statsd", "statsd_host").unwrap_or("localhost").to_owned(),
            port,
            global_prefix: self.file("metrics", "global_prefix").map(str::to_owned),
            host_name: self.switch("metrics", "prepend_host", false)?.then(host_name),
            reverse_host_name: self.switch("metrics", "prepend_host_reverse", true)?,
        }))
    }

    /// How the clocks are set.
    pub(super) fn clock(&self) -> Result<ClockOptions, Failure> {
        let must_be_set = self.switch("DEFAULT", "fail_if_clock_not_set", false)?;
        let server = self.file("DEFAULT", "ntp_server").or_else(|| self.kernel("ipa-ntp-server"));
        Ok(ClockOptions { ntp_server: server.map(str::to_owned), must_be_set })
    }

    /// The log, as verbose as was asked for. `ipa-debug` has the last word.
    pub(super) fn logging(&self) -> Logging {
        let file = self.files.get("DEFAULT", "debug").and_then(boolean::parse);
        let kernel = self.kernel("ipa-debug").and_then(boolean::parse);
        Logging::to_stderr(kernel.unwrap_or(self.options.debug || file.unwrap_or(false)))
    }

    /// Settings of the plugin side.
    pub(super) fn plugins(&self, read_only: bool) -> Options {
        let directory = self.options.plugin_dir.clone();
        let directory = directory.or_else(|| self.kernel("ipa-plugin-dir").map(Into::into));
        let mut limits = Limits::default();
        if let Some(mebibytes) = self.options.plugin_memory {
            limits.address_space = mebibytes.saturating_mul(1 << 20);
        }
        Options {
            isolation: match self.options.isolation {
                Some(IsolationOption::InProcess) => Isolation::InProcess,
                _ => Isolation::Worker,
            },
            read_only,
            deadlines: deadlines(&self.options.deadline),
            limits,
            kernel_params: self.kernel.clone(),
            sections: self.sections(),
            ..Options::new(directory.unwrap_or_else(|| PLUGIN_DIR.into()))
        }
    }
}

impl Told {
    /// The sections of the plugins. The generic manager's options are general ones in the Python agent.
    fn sections(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut sections = self.files.plugin_sections();
        let generic = sections.entry(GENERIC_MANAGER.to_owned()).or_default();
        for key in GENERIC_OPTIONS {
            if let (Some(value), false) = (self.file("DEFAULT", key), generic.contains_key(key)) {
                generic.insert(key.to_owned(), Value::from(value));
            }
        }
        sections
    }
}

/// The thread that starts every process.
pub(super) fn runner() -> Result<Runner, Failure> {
    let spawner = Spawner::start().map_err(|error| Failure::new(format!("cannot start a thread: {error}")))?;
    Ok(Runner::new(spawner))
}

/// Loads the plugins to look at them; nothing of the machine is changed.
pub(super) async fn look(options: CommonOptions) -> Result<Registry, Failure> {
    let debug = options.debug;
    let told = Told::read(options)?;
    let logging = told.logging();
    // What goes wrong is part of what these commands print.
    let log = if debug { logging.log().clone() } else { slog::Logger::root(slog::Discard, slog::o!()) };
    Ok(Registry::start(told.plugins(true), runner()?, log).await)
}

fn deadlines(given: &[DeadlineOption]) -> Deadlines {
    let mut deadlines = Deadlines::default();
    for &DeadlineOption { phase, time } in given {
        match phase {
            Phase::Load => deadlines.load = time,
            Phase::Evaluate => deadlines.evaluate = time,
            Phase::Initialize => deadlines.initialize = time,
            Phase::Call => deadlines.call = time,
            Phase::List => deadlines.step_list = time,
            Phase::Step => deadlines.step = time,
            Phase::Grace => (deadlines.grace, deadlines.cancel_grace, deadlines.unload) = (time, time, time),
        }
    }
    deadlines
}
