//! Flags for the options of the configuration, made from their table.

use std::sync::LazyLock;

use structopt::clap::{App, Arg, ArgMatches};
use structopt::{StructOpt, StructOptInternal};

use crate::config::Flag;
use crate::config::options::OPTIONS;
use crate::config::spec::{Default as Unsaid, Kind, Spec};

/// Options that matter to every command.
const COMMON: &[&str] = &["plugin_dir", "isolation", "plugin_memory", "debug"];

/// The others that the help lists; there are too many for all. For the rest see [`super::unlisted`].
const LISTED: &[&str] = &["api_url", "listen_host", "listen_port", "advertise_host", "agent_token", "insecure"];

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

    /// Adds flags that clap does not know.
    pub(super) fn add(&mut self, flags: Vec<Flag>) {
        self.0.extend(flags);
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
    long: String,
    /// The flag for false, `noinsecure` for example, of a switch.
    negative: Option<String>,
    value_name: &'static str,
    help: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let listed = OPTIONS.iter().filter(|spec| spec.has_flag() && is_listed(spec.name));
    let entry = |spec: &'static Spec| Entry {
        name: spec.name,
        kind: spec.kind,
        common: COMMON.contains(&spec.name),
        long: spec.flag(),
        negative: (spec.kind == Kind::Boolean).then(|| format!("no{}", spec.flag())),
        value_name: value_name(spec),
        help: help(spec),
    };
    listed.map(entry).collect()
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
        let arg = Arg::with_name(self.name).long(&self.long).help(&self.help);
        let Some(negative) = &self.negative else {
            let kind = self.kind;
            // Of several the last one counts.
            let arg = arg.takes_value(true).overrides_with(self.name);
            return vec![arg.value_name(self.value_name).validator(move |text| check(kind, &text))];
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

/// Whether an option accepts a value. What an option's name in it stands for is seen later.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), String> {
    match kind.parse(text) {
        Err(allowed) if !text.contains('$') => Err(format!("{text:?}; allowed is {allowed}")),
        _ => Ok(()),
    }
}

/// True if clap knows the flag of an option.
pub(super) fn is_listed(name: &str) -> bool {
    COMMON.contains(&name) || LISTED.contains(&name)
}

fn value_name(spec: &Spec) -> &'static str {
    match spec.name {
        "plugin_dir" => "DIR",
        "isolation" => "WHERE",
        "plugin_memory" => "MIB",
        "agent_token" => "TOKEN",
        name if name.ends_with("_host") => "ADDRESS",
        name if name.ends_with("_port") => "PORT",
        name if name.ends_with("_url") => "URL",
        _ => "VALUE",
    }
}

fn help(spec: &Spec) -> String {
    match spec.default {
        Unsaid::Text(text) => format!("{} [{text}]", spec.help),
        Unsaid::Integer(number) => format!("{} [{number}]", spec.help),
        _ => spec.help.to_owned(),
    }
}
