//! The values in effect, and where each came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use super::options::OPTIONS;
use super::spec::{DEFAULT_GROUP, Spec};
use super::value::{FromValue, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// This word of the kernel line.
    Kernel(&'static str),
    /// This word of the parameters on virtual media.
    VirtualMedia(&'static str),
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// This environment variable.
    Variable(String),
    /// This long flag, without its dashes.
    Flag(String),
    /// Told while running, by this part of the agent: `lookup` or `mdns`.
    Runtime(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Kernel(word) => write!(f, "kernel line: {word}"),
            Self::VirtualMedia(word) => write!(f, "virtual media: {word}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment: {name}"),
            Self::Flag(name) => write!(f, "command line: --{name}"),
            Self::Runtime(who) => f.write_str(who),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// A value that an option does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    /// The option, for people.
    pub option: String,
    /// The value, or stars.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What is allowed.
    pub allowed: String,
}

impl BadValue {
    /// Refuses a value. That of a secret is not repeated.
    pub(super) fn new(spec: &Spec, value: &str, origin: Origin, allowed: String) -> Self {
        let value = if spec.secret { HIDDEN.to_owned() } else { shorten(value) };
        Self { option: spec.title(), value, origin, allowed }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is {:?}; allowed is {}", self.origin, self.option, self.value, self.allowed)
    }
}

impl std::error::Error for BadValue {}

/// What stands for the value of a secret.
pub const HIDDEN: &str = "***";

/// Most characters of a value that an error repeats.
const SHOWN: usize = 100;

fn shorten(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

/// All options with their values. Each has a method of its own name, see [`super::options`].
///
/// The values stand for the whole run, but for those that Ironic sets with its answer to a lookup.
#[derive(Debug)]
pub struct Config {
    /// One for each row of [`OPTIONS`].
    settings: RwLock<Vec<Setting>>,
}

impl Default for Config {
    /// The defaults alone.
    fn default() -> Self {
        Self::new(OPTIONS.iter().map(|spec| Setting { value: spec.default.into(), origin: Origin::Default }).collect())
    }
}

impl Config {
    /// Settings in the order of [`OPTIONS`].
    pub(super) fn new(settings: Vec<Setting>) -> Self {
        Self { settings: RwLock::new(settings) }
    }

    /// The URLs of Ironic's API in the order in which they are tried; none if there is no Ironic.
    pub fn api_urls(&self) -> Vec<String> {
        urls(self.api_url())
    }

    /// The URLs that inspection data are sent to in the order in which they are tried.
    pub fn inspection_callback_urls(&self) -> Vec<String> {
        urls(self.inspection_callback_url())
    }

    /// Sets an option for the rest of the run, above all other sources. `value` is as JSON carries it: Python's texts,
    /// numbers, booleans, null and lists, or a text that reads as one of these.
    ///
    /// # Errors
    /// The option is unknown or does not accept the value; nothing has changed.
    pub fn set(&self, group: &str, name: &str, value: &serde_json::Value, who: &'static str) -> Result<(), BadValue> {
        let origin = Origin::Runtime(who);
        let Some((row, spec)) = find(group, name) else {
            let allowed = "an option that this agent has".to_owned();
            let option = shorten(&if group == DEFAULT_GROUP { name.to_owned() } else { format!("[{group}]{name}") });
            // Nobody knows whether it is a secret, but for what cannot be one.
            let is_text = !(value.is_boolean() || value.is_number() || value.is_null());
            let value = if is_text { HIDDEN.to_owned() } else { value.to_string() };
            return Err(BadValue { option, value, origin, allowed });
        };
        let value = spec
            .kind
            .from_json(value, spec.default)
            .map_err(|allowed| BadValue::new(spec, &plain(value), origin.clone(), allowed))?;
        self.settings.write().unwrap_or_else(PoisonError::into_inner)[row] = Setting { value, origin };
        Ok(())
    }

    /// All options with their settings.
    pub fn settings(&self) -> Vec<(&'static Spec, Setting)> {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        OPTIONS.iter().zip(settings.iter().cloned()).collect()
    }

    /// Where the value of an option of group `DEFAULT` came from; `Default` for an unknown name.
    pub fn origin(&self, name: &str) -> Origin {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        find(DEFAULT_GROUP, name).map_or(Origin::Default, |(row, _)| settings[row].origin.clone())
    }

    pub(super) fn read<T: FromValue>(&self, row: usize) -> T {
        let settings = self.settings.read().unwrap_or_else(PoisonError::into_inner);
        T::from_value(&settings[row].value).expect("a row's type is that of its values, which a test goes through")
    }
}

/// The row of an option.
pub(super) fn find(group: &str, name: &str) -> Option<(usize, &'static Spec)> {
    OPTIONS.iter().enumerate().find(|(_, spec)| spec.group == group && spec.name == name)
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn urls(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect()
}
