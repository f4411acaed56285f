//! The command line: what can be asked for, and under which names.

pub mod inventory_table;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use structopt::StructOpt;
use structopt::clap::AppSettings;

use crate::config::deadline::DeadlineOption;

// Doc comments here are what `--help` prints, so types that are flattened into others have plain ones.

/// Where plugins are unless told otherwise.
pub const PLUGIN_DIR: &str = "/usr/lib/ipa/plugins";
/// Where a running host can be asked unless told otherwise.
pub const CONTROL_SOCKET: &str = "/run/ipa-host/control.sock";
/// Where a made token is kept unless told otherwise.
pub const TOKEN_FILE: &str = "/run/ipa-host/agent-token";

/// Bare-metal agent for OpenStack Ironic, with hardware managers as plugins
#[derive(Debug, StructOpt)]
#[structopt(name = "ipa-host", set_term_width = 80, global_settings = &[
    AppSettings::VersionlessSubcommands, AppSettings::UnifiedHelpMessage, AppSettings::DeriveDisplayOrder,
])]
pub struct Cli {
    /// Options of the agent.
    #[structopt(flatten)]
    pub run: RunOptions,
    /// What to do instead of running the agent.
    #[structopt(subcommand)]
    pub command: Option<Command>,
}

// What to do.
#[derive(Debug, StructOpt)]
pub enum Command {
    /// Runs the agent (the default)
    Run(RunOptions),
    /// Lists or checks plugins
    Plugins(PluginsCommand),
    /// Explains a decision of the host
    Explain(ExplainCommand),
    /// Shows this machine's hardware; changes nothing
    Inventory(InventoryOptions),
}

// Options of `run`.
#[derive(Debug, Default, Clone, StructOpt)]
pub struct RunOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// No lookup, no heartbeat: just the API
    #[structopt(long)]
    pub standalone: bool,
    /// Token that API clients must give
    #[structopt(long, value_name = "TOKEN")]
    pub agent_token: Option<String>,
    /// For a made one [/run/ipa-host/agent-token]
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub agent_token_file: Option<PathBuf>,
    /// Refuses steps, power and lockdown commands
    #[structopt(long)]
    pub read_only: bool,
    /// Address to listen on [all, IPv6 and IPv4]
    #[structopt(long, value_name = "ADDRESS")]
    pub listen_host: Option<String>,
    /// Port, 0 for any free one [9999]
    #[structopt(long, value_name = "PORT", parse(try_from_str = port))]
    pub listen_port: Option<u16>,
    /// Socket [/run/ipa-host/control.sock]
    #[structopt(long, value_name = "PATH", parse(from_os_str))]
    pub control_socket: Option<PathBuf>,
}

// Options that every command has.
#[derive(Debug, Default, Clone, StructOpt)]
pub struct CommonOptions {
    /// Plugin files [/usr/lib/ipa/plugins]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub plugin_dir: Option<PathBuf>,
    /// worker or, for debuggers, in-process
    #[structopt(long, value_name = "WHERE")]
    pub isolation: Option<IsolationOption>,
    /// Seconds for load, evaluate, call, step...
    #[structopt(long, value_name = "NAME=S", number_of_values = 1)]
    pub deadline: Vec<DeadlineOption>,
    /// Memory limit of a plugin's process [1024]
    #[structopt(long, value_name = "MIB")]
    pub plugin_memory: Option<u64>,
    /// Configuration file; later ones win
    #[structopt(long, value_name = "FILE", parse(from_os_str), number_of_values = 1)]
    pub config_file: Vec<PathBuf>,
    /// Directory of *.conf files
    #[structopt(long, value_name = "DIR", parse(from_os_str), number_of_values = 1)]
    pub config_dir: Vec<PathBuf>,
    /// Logs more
    #[structopt(short, long)]
    pub debug: bool,
}

/// `plugins ...`
#[derive(Debug, StructOpt)]
pub enum PluginsCommand {
    /// Lists managers by rank, and files that were refused
    List(ListOptions),
    /// Checks a plugin file without running any of its code
    Check(CheckOptions),
}

/// Options of `plugins list`.
#[derive(Debug, StructOpt)]
pub struct ListOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// Prints JSON
    #[structopt(long)]
    pub json: bool,
    /// Socket [/run/ipa-host/control.sock]
    #[structopt(long, value_name = "PATH", parse(from_os_str))]
    pub control_socket: Option<PathBuf>,
}

/// Options of `plugins check`.
#[derive(Debug, StructOpt)]
pub struct CheckOptions {
    /// The plugin file
    #[structopt(parse(from_os_str))]
    pub file: PathBuf,
    /// Prints JSON
    #[structopt(long)]
    pub json: bool,
}

/// `explain ...`
#[derive(Debug, StructOpt)]
pub enum ExplainCommand {
    /// Says which managers would be asked, in which order, and why
    Method(ExplainMethodOptions),
}

/// Options of `explain method`.
#[derive(Debug, StructOpt)]
pub struct ExplainMethodOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// The method or step
    pub name: String,
    /// Prints JSON
    #[structopt(long)]
    pub json: bool,
}

/// Options of `inventory`.
#[derive(Debug, StructOpt)]
pub struct InventoryOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// Prints JSON, as to a pipe or file
    #[structopt(long)]
    pub json: bool,
}

/// Where plugins run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationOption {
    /// In a process of its own each.
    Worker,
    /// In the host.
    InProcess,
}

impl FromStr for IsolationOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "worker" => Ok(Self::Worker),
            "in-process" => Ok(Self::InProcess),
            _ => Err(format!("{text:?} is neither worker nor in-process")),
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{text:?} is no port number from 0 to 65535"))
}

impl CommonOptions {
    /// These options completed by those given before the command's name.
    #[must_use]
    pub fn or(mut self, outer: CommonOptions) -> Self {
        self.plugin_dir = self.plugin_dir.or(outer.plugin_dir);
        self.isolation = self.isolation.or(outer.isolation);
        self.plugin_memory = self.plugin_memory.or(outer.plugin_memory);
        self.deadline.splice(0..0, outer.deadline);
        self.config_file.splice(0..0, outer.config_file);
        self.config_dir.splice(0..0, outer.config_dir);
        self.debug |= outer.debug;
        self
    }
}

impl RunOptions {
    /// These options completed by those given before the command's name.
    #[must_use]
    pub fn or(self, outer: RunOptions) -> Self {
        Self {
            common: self.common.or(outer.common),
            standalone: self.standalone || outer.standalone,
            agent_token: self.agent_token.or(outer.agent_token),
            agent_token_file: self.agent_token_file.or(outer.agent_token_file),
            read_only: self.read_only || outer.read_only,
            listen_host: self.listen_host.or(outer.listen_host),
            listen_port: self.listen_port.or(outer.listen_port),
            control_socket: self.control_socket.or(outer.control_socket),
        }
    }
}

/// Accepts the Python agent's spelling of long flags: `--listen_port` is `--listen-port`.
pub fn dashed(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    args.into_iter()
        .map(|arg| match arg.to_str() {
            Some(text) if text.starts_with("--") => {
                let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
                let flag = flag.replace('_', "-");
                value.map_or_else(|| flag.clone().into(), |value| format!("{flag}={value}").into())
            }
            _ => arg,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        let args = line.split_whitespace().map(OsString::from);
        Cli::from_iter_safe(dashed(args)).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn upstreams_underscores_are_accepted_and_values_untouched() {
        let cli = parse("ipa-host --listen_port=7000 --agent_token a_b --config_file /etc/a_b.conf");
        assert_eq!(cli.run.listen_port, Some(7000));
        assert_eq!(cli.run.agent_token.as_deref(), Some("a_b"));
        assert_eq!(cli.run.common.config_file, [PathBuf::from("/etc/a_b.conf")]);
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        let before = parse("ipa-host --plugin-dir /p --deadline call=1 plugins list --deadline call=2");
        let Some(Command::Plugins(PluginsCommand::List(list))) = before.command else { panic!("plugins list") };
        let common = list.common.or(before.run.common);
        assert_eq!(common.plugin_dir, Some(PathBuf::from("/p")));
        let seconds: Vec<u64> = common.deadline.iter().map(|deadline| deadline.time.as_secs()).collect();
        assert_eq!(seconds, [1, 2], "the inner one comes last and so wins");
    }

    #[test]
    fn bad_values_are_explained() {
        let error = Cli::from_iter_safe(["ipa-host", "--deadline", "boot=1"]).expect_err("no such deadline");
        assert!(error.message.contains("no deadline is called boot"), "{error}");
    }
}
