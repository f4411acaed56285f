//! Flags for the options of the configuration, made from their table.

use std::sync::LazyLock;

use structopt::clap::{App, Arg, ArgMatches};
use structopt::{StructOpt, StructOptInternal};

use crate::config::options::OPTIONS;
use crate::config::spec::{Default as Unsaid, Kind, Spec};
use crate::config::{Flag, LOGGING};

/// Options that matter to every command.
const COMMON: &[&str] = &["plugin_dir", "isolation", "plugin_memory", "debug"];

/// The others that the help names; there are too many for all.
const SHOWN: &[&str] = &["api_url", "listen_host", "listen_port", "advertise_host", "agent_token", "insecure"];

/// Flags of upstream's logging library that take a value; its others take none.
const LOGGING_VALUES: &[&str] = &["log_config_append", "log_date_format", "log_dir", "log_file", "syslog_log_facility"];
const LOGGING_SWITCHES: &[&str] = &["use_journal", "use_json", "use_syslog"];

/// The options given as flags, in the order of the table: those that matter to every command, or all others.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct OptionFlags<const FOR_ALL: bool>(Vec<Flag>);

/// Flags that every command has.
pub type CommonFlags = OptionFlags<true>;
/// Flags of the agent.
pub type AgentFlags = OptionFlags<false>;

impl<const FOR_ALL: bool> OptionFlags<FOR_ALL> {
    /// These flags completed by those given before the command's name.
    #[must_use]
    pub fn or(mut self, outer: Self) -> Self {
        // Of equal names the last one counts.
        self.0.splice(0..0, outer.0);
        self
    }

    /// True if one of them sets the option.
    pub fn set(&self, name: &str) -> bool {
        self.0.iter().any(|flag| flag.name == name)
    }

    /// All of them.
    pub fn all(&self) -> &[Flag] {
        &self.0
    }
}

/// What clap is told of one flag. It wants texts that live as long as the program.
struct Entry {
    name: &'static str,
    kind: Kind,
    common: bool,
    shown: bool,
    long: String,
    /// The flag for false, `noinsecure` for example, of a switch.
    negative: Option<String>,
    value_name: &'static str,
    help: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let options = OPTIONS.iter().filter(|spec| spec.has_flag()).map(|spec| Entry {
        name: spec.name,
        kind: spec.kind,
        common: COMMON.contains(&spec.name),
        shown: COMMON.contains(&spec.name) || SHOWN.contains(&spec.name),
        long: spec.flag(),
        negative: (spec.kind == Kind::Boolean).then(|| format!("no{}", spec.flag())),
        value_name: value_name(spec),
        help: help(spec),
    });
    let logging = LOGGING_VALUES.iter().chain(LOGGING_SWITCHES).map(|&name| Entry {
        name,
        kind: if LOGGING_VALUES.contains(&name) { Kind::Text } else { Kind::Boolean },
        common: false,
        shown: false,
        long: name.replace('_', "-"),
        negative: LOGGING_SWITCHES.contains(&name).then(|| format!("no{}", name.replace('_', "-"))),
        value_name: "VALUE",
        help: String::new(),
    });
    debug_assert!(LOGGING_VALUES.iter().chain(LOGGING_SWITCHES).all(|name| LOGGING.contains(name)));
    options.chain(logging).collect()
});

impl<const FOR_ALL: bool> StructOpt for OptionFlags<FOR_ALL> {
    fn clap<'a, 'b>() -> App<'a, 'b> {
        Self::augment_clap(App::new("options"))
    }

    fn from_clap(matches: &ArgMatches<'_>) -> Self {
        let entries = ENTRIES.iter().filter(|entry| entry.common == FOR_ALL);
        Self(entries.filter_map(|entry| entry.given(matches)).collect())
    }
}

impl<const FOR_ALL: bool> StructOptInternal for OptionFlags<FOR_ALL> {
    fn augment_clap<'a, 'b>(app: App<'a, 'b>) -> App<'a, 'b> {
        let entries = ENTRIES.iter().filter(|entry| entry.common == FOR_ALL);
        entries.fold(app, |app, entry| app.args(&entry.args()))
    }
}

impl Entry {
    fn args(&'static self) -> Vec<Arg<'static, 'static>> {
        let arg = Arg::with_name(self.name).long(&self.long).help(&self.help).hidden(!self.shown);
        let Some(negative) = &self.negative else {
            let kind = self.kind;
            let check = move |text: String| match kind.parse(&text) {
                // What an option's name stands for is seen later.
                Err(allowed) if !text.contains('$') => Err(format!("{text:?}; allowed is {allowed}")),
                _ => Ok(()),
            };
            // Of several the last one counts.
            let arg = arg.takes_value(true).overrides_with(self.name);
            return vec![arg.value_name(self.value_name).validator(check)];
        };
        let both = [self.name, negative.as_str()];
        let no = Arg::with_name(negative).long(negative).hidden(true).overrides_with_all(&both);
        let arg = arg.overrides_with_all(&both);
        vec![if self.name == "debug" { arg.short("d") } else { arg }, no]
    }

    fn given(&self, matches: &ArgMatches<'_>) -> Option<Flag> {
        let flag = |value: &str, flag: &str| Flag { name: self.name, value: value.to_owned(), flag: flag.to_owned() };
        match &self.negative {
            None => matches.value_of(self.name).map(|value| flag(value, &self.long)),
            Some(_) if matches.is_present(self.name) => Some(flag("true", &self.long)),
            Some(negative) => matches.is_present(negative).then(|| flag("false", negative)),
        }
    }
}

fn value_name(spec: &Spec) -> &'static str {
    match (spec.name, spec.kind) {
        (name, _) if name.ends_with("_host") => "ADDRESS",
        (name, _) if name.ends_with("_port") => "PORT",
        ("plugin_dir", _) => "DIR",
        ("isolation", _) => "WHERE",
        ("plugin_memory", _) => "MIB",
        ("agent_token", _) => "TOKEN",
        (name, _) if name.ends_with("_url") => "URL",
        (_, Kind::Integer { .. } | Kind::Float) => "N",
        (_, Kind::List) => "LIST",
        _ => "VALUE",
    }
}

fn help(spec: &Spec) -> String {
    match spec.default {
        Unsaid::Text(text) if !text.is_empty() => format!("{} [{text}]", spec.help),
        Unsaid::Integer(number) => format!("{} [{number}]", spec.help),
        Unsaid::Float(number) => format!("{} [{number}]", spec.help),
        _ => spec.help.to_owned(),
    }
}
