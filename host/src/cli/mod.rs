//! The command line: what can be asked for, and under which names.

pub mod config_places;
pub mod config_table;
pub mod inventory_table;
pub mod option_flags;
pub mod root_device_table;
mod unlisted;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use structopt::StructOpt;
use structopt::clap::{AppSettings, Error, ErrorKind};

pub use self::config_places::ConfigPlaces;
pub use self::option_flags::{AgentFlags, CommonFlags};
use crate::config::Flag;
use crate::config::deadline::DeadlineOption;

// Doc comments here are what `--help` prints, so types that are flattened into others have plain ones.

/// Where a running host can be asked unless told otherwise.
pub const CONTROL_SOCKET: &str = "/run/ipa-host/control.sock";
/// Where a made token is kept unless told otherwise.
pub const TOKEN_FILE: &str = "/run/ipa-host/agent-token";

/// The Python agent's name for `inspect`; a link of this name to the program is that command.
const INSPECT_PROGRAM: &str = "ironic-collect-introspection-data";

const AFTER_HELP: &str = "Every option of group DEFAULT is a flag as well; `ipa-host config --reference` lists them.";

/// Bare-metal agent for OpenStack Ironic, with hardware managers as plugins
#[derive(Debug, StructOpt)]
#[structopt(name = "ipa-host", set_term_width = 80, global_settings = &[
    AppSettings::VersionlessSubcommands, AppSettings::UnifiedHelpMessage, AppSettings::DeriveDisplayOrder,
], after_help = AFTER_HELP)]
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
    /// Collects what an inspection would, and posts or prints it
    Inspect(InspectOptions),
    /// Shows every option, its value, and who set it
    Config(ConfigOptions),
}

// Options of `run`.
#[derive(Debug, Default, Clone, StructOpt)]
pub struct RunOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// Options of the configuration.
    #[structopt(flatten)]
    pub flags: AgentFlags,
    /// No lookup, no heartbeat: just the API
    #[structopt(long)]
    pub standalone: bool,
    /// For a made one [/run/ipa-host/agent-token]
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub agent_token_file: Option<PathBuf>,
    /// Refuses steps, power and lockdown commands
    #[structopt(long)]
    pub read_only: bool,
    /// Socket [/run/ipa-host/control.sock]
    #[structopt(long, value_name = "PATH", parse(from_os_str))]
    pub control_socket: Option<PathBuf>,
}

// Options that every command has.
#[derive(Debug, Default, Clone, StructOpt)]
pub struct CommonOptions {
    /// Options of the configuration.
    #[structopt(flatten)]
    pub flags: CommonFlags,
    /// Seconds for load, evaluate, call, step...
    #[structopt(long, value_name = "NAME=S", number_of_values = 1)]
    pub deadline: Vec<DeadlineOption>,
    /// Where the configuration is read.
    #[structopt(flatten)]
    pub places: ConfigPlaces,
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
    /// Key that must have signed it [/etc/ipa/plugin-keys]
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub plugin_key: Option<PathBuf>,
    /// Prints just what a signature's trusted comment must be
    #[structopt(long, conflicts_with = "json")]
    pub comment: bool,
}

/// `explain ...`
#[derive(Debug, StructOpt)]
pub enum ExplainCommand {
    /// Says which managers would be asked, in which order, and why
    Method(ExplainMethodOptions),
    /// Says which disk would be the root device, and why no other
    RootDevice(ExplainRootDeviceOptions),
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

/// Options of `explain root-device`.
#[derive(Debug, StructOpt)]
pub struct ExplainRootDeviceOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// The node's root_device, as JSON
    #[structopt(long, value_name = "JSON", parse(try_from_str = serde_json::from_str))]
    pub hints: Option<serde_json::Value>,
    /// The whole node, as JSON
    #[structopt(long, value_name = "FILE", parse(from_os_str), conflicts_with = "hints")]
    pub node: Option<PathBuf>,
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

/// Options of `inspect`.
#[derive(Debug, StructOpt)]
pub struct InspectOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// Options of the configuration.
    #[structopt(flatten)]
    pub flags: AgentFlags,
    /// Posts again and again (introspection_daemon)
    #[structopt(long)]
    pub daemon: bool,
}

/// Options of `config`.
#[derive(Debug, StructOpt)]
pub struct ConfigOptions {
    /// Options that every command has.
    #[structopt(flatten)]
    pub common: CommonOptions,
    /// Options of the configuration.
    #[structopt(flatten)]
    pub flags: AgentFlags,
    /// Prints JSON
    #[structopt(long)]
    pub json: bool,
    /// Lists what can be set, and how, instead
    #[structopt(long)]
    pub reference: bool,
    /// Directory that stands for / [/]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub root: Option<PathBuf>,
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// The help or the version, if that is what was asked for; otherwise what is wrong.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Error> {
        let mut args = dashed(args);
        if args.first().is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new(INSPECT_PROGRAM))) {
            args.insert(1, "inspect".into());
        }
        let (args, unlisted) =
            unlisted::take(args).map_err(|why| Error::with_description(&why, ErrorKind::InvalidValue))?;
        let mut cli = Self::from_iter_safe(args)?;
        match &mut cli.command {
            Some(Command::Config(options)) => options.flags.add(unlisted),
            Some(Command::Inspect(options)) => options.flags.add(unlisted),
            None | Some(Command::Run(_)) => cli.run.flags.add(unlisted),
            Some(_) => {
                if let Some(Flag { flag, .. }) = unlisted.first() {
                    let why = format!("--{flag} belongs to the agent, and this command does not run it");
                    return Err(Error::with_description(&why, ErrorKind::UnknownArgument));
                }
            }
        }
        Ok(cli)
    }
}

impl CommonOptions {
    /// These options completed by those given before the command's name.
    #[must_use]
    pub fn or(mut self, outer: CommonOptions) -> Self {
        self.flags = self.flags.or(outer.flags);
        self.deadline.splice(0..0, outer.deadline);
        self.places = self.places.or(outer.places);
        self
    }
}

impl RunOptions {
    /// These options completed by those given before the command's name.
    #[must_use]
    pub fn or(self, outer: RunOptions) -> Self {
        Self {
            common: self.common.or(outer.common),
            flags: self.flags.or(outer.flags),
            standalone: self.standalone || outer.standalone,
            agent_token_file: self.agent_token_file.or(outer.agent_token_file),
            read_only: self.read_only || outer.read_only,
            control_socket: self.control_socket.or(outer.control_socket),
        }
    }
}

/// Accepts the Python agent's spelling of long flags: `--listen_port` is `--listen-port`.
fn dashed(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
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
    use crate::config::Place;
    use crate::config::options::OPTIONS;
    use crate::config::spec::Kind;

    fn parse(line: &str) -> Cli {
        let args = line.split_whitespace().map(OsString::from);
        Cli::read(args).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn said(flags: &[Flag]) -> Vec<String> {
        flags.iter().map(|flag| format!("{}={}", flag.name, flag.value)).collect()
    }

    #[test]
    fn upstreams_underscores_are_accepted_and_values_untouched() {
        let cli = parse("ipa-host --listen_port=7000 --agent_token a_b --config_file /etc/a_b.conf");
        assert_eq!(said(cli.run.flags.all()), ["listen_port=7000", "agent_token=a_b"]);
        assert_eq!(cli.run.common.places.all(), [Place::File("/etc/a_b.conf".into())]);
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        let before = parse("ipa-host --plugin-dir /p --deadline call=1 plugins list --deadline call=2");
        let Some(Command::Plugins(PluginsCommand::List(list))) = before.command else { panic!("plugins list") };
        let common = list.common.or(before.run.common);
        assert_eq!(said(common.flags.all()), ["plugin_dir=/p"]);
        let seconds: Vec<u64> = common.deadline.iter().map(|deadline| deadline.time.as_secs()).collect();
        assert_eq!(seconds, [1, 2], "the inner one comes last and so wins");
    }

    #[test]
    fn the_python_agents_inspection_program_is_a_command() {
        let line = "/usr/bin/ironic-collect-introspection-data --inspection_callback_url mdns --introspection_daemon";
        let Some(Command::Inspect(inspect)) = parse(line).command else { panic!("inspect") };
        assert_eq!(said(inspect.flags.all()), ["inspection_callback_url=mdns", "introspection_daemon=true"]);
        let Some(Command::Inspect(inspect)) = parse("ipa-host inspect --daemon").command else { panic!("inspect") };
        assert!(inspect.daemon);
    }

    #[test]
    fn files_and_directories_of_configuration_keep_their_order() {
        let cli = parse("ipa-host --config-dir /0 run --config-file /1 --config-dir=/2 --config-file /3 -d");
        let Some(Command::Run(run)) = cli.command else { panic!("run") };
        let run = run.or(cli.run);
        let (file, directory) = (|path: &str| Place::File(path.into()), |path: &str| Place::Directory(path.into()));
        assert_eq!(run.common.places.all(), [directory("/0"), file("/1"), directory("/2"), file("/3")]);
    }

    #[test]
    fn every_option_of_the_default_group_is_a_flag() {
        for spec in OPTIONS.iter().filter(|spec| spec.has_flag()) {
            let value = match spec.kind {
                Kind::Boolean => "",
                Kind::Choice(words) => words[0],
                Kind::Url => "mdns",
                _ => "7",
            };
            let separator = if value.is_empty() { "" } else { "=" };
            let cli = parse(&format!("ipa-host run --{}{separator}{value}", spec.name));
            let Some(Command::Run(run)) = cli.command else { panic!("run") };
            let run = run.or(cli.run);
            let value = if value.is_empty() { "true" } else { value };
            let all = [run.flags.all(), run.common.flags.all()].concat();
            assert_eq!(said(&all), [format!("{}={value}", spec.name)]);
        }
    }

    #[test]
    fn switches_can_be_switched_off_and_the_last_word_counts() {
        let flags = |line: &str| said(parse(line).run.flags.all());
        assert_eq!(flags("ipa-host --noenable_auto_tls"), ["enable_auto_tls=false"]);
        assert_eq!(flags("ipa-host --insecure --noinsecure"), ["insecure=false"]);
        assert_eq!(flags("ipa-host --noinsecure --insecure --insecure"), ["insecure=true"]);
        assert_eq!(flags("ipa-host --listen-port 1 --listen-port 2"), ["listen_port=2"]);
        assert_eq!(said(parse("ipa-host -d").run.common.flags.all()), ["debug=true"]);
        assert_eq!(flags("ipa-host --use-journal --log-file /x"), ["use_journal=true", "log_file=/x"]);
    }

    #[test]
    fn a_token_may_begin_with_a_dash() {
        let token = "-dQ3_b5s0P4mJx9n2Lw8vRt6yUc1ZaEg7hKiXoFqWlM";
        for line in [
            format!("--agent-token {token}"),
            format!("--agent_token={token} -d"),
            format!("run --agent-token {token}"),
        ] {
            let cli = parse(&format!("ipa-host {line}"));
            let run = match cli.command {
                Some(Command::Run(run)) => run.or(cli.run),
                _ => cli.run,
            };
            assert_eq!(said(run.flags.all()), [format!("agent_token={token}")], "{line}");
        }
    }

    #[test]
    fn bad_values_are_explained() {
        let message = |args: [&str; 2]| {
            let args = [["ipa-host"].as_slice(), &args].concat();
            Cli::read(args.into_iter().map(OsString::from)).expect_err("refused").message
        };
        assert!(message(["--deadline", "boot=1"]).contains("no deadline is called boot"));
        let port = message(["--listen-port", "70000"]);
        let timeout = message(["--lookup_timeout", "soon"]);
        assert!(timeout.contains("--lookup-timeout") && timeout.contains("\"soon\"; allowed is a whole"), "{timeout}");
        assert!(message(["--lookup-timeout", "--debug"]).contains("--lookup-timeout needs a value"));
        assert!(message(["--agent-token", "-d"]).contains("in one word, as --agent-token=VALUE"));
        assert!(message(["--noenable-auto-tls=1", "run"]).contains("--noenable-auto-tls takes no value"));
        assert!(message(["inventory", "--ntp-server=a"]).contains("--ntp-server belongs to the agent"));
        assert!(message(["--", "--ntp-server=a"]).contains("--ntp-server"), "no flag after two dashes");
        assert!(port.contains("--listen-port") && port.contains("\"70000\"; allowed is a whole number"), "{port}");
    }
}
