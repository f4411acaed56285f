//! What an option is: its names, its type, its default, and what it accepts.

use super::boolean;
use super::value::Value;

/// The group of options that belong to no section of their own.
pub const DEFAULT_GROUP: &str = "DEFAULT";

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The section of configuration files it stands in.
    pub group: &'static str,
    /// Its key there.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// What it is if nothing is said.
    pub default: Default,
    /// The word of the kernel line that sets it.
    pub kernel: Option<&'static str>,
    /// True if that word is above the command line, and never refused.
    pub kernel_first: bool,
    /// The group and key it had once; still read from files.
    pub formerly: Option<(&'static str, &'static str)>,
    /// True if its value is never shown.
    pub secret: bool,
    /// What it is for, in a line.
    pub help: &'static str,
}

/// What an option accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `http://` or `https://` URLs, or `mdns`.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number within bounds.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A number that is not negative.
    Float,
    /// True or false.
    Boolean,
    /// Texts between commas.
    List,
}

/// The value of an option of which nothing is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// None.
    Unset,
    /// A text.
    Text(&'static str),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A list.
    List(&'static [&'static str]),
}

impl Spec {
    const fn new(kind: Kind, default: Default) -> Self {
        let (group, name, help) = (DEFAULT_GROUP, "", "");
        Self { group, name, kind, default, kernel: None, kernel_first: false, formerly: None, secret: false, help }
    }

    /// A text without a default.
    pub const fn text() -> Self {
        Self::new(Kind::Text, Default::Unset)
    }

    /// A text with a default.
    pub const fn text_or(default: &'static str) -> Self {
        Self::new(Kind::Text, Default::Text(default))
    }

    /// URLs between commas.
    pub const fn url() -> Self {
        Self::new(Kind::Url, Default::Unset)
    }

    /// One of some words.
    pub const fn choice(default: &'static str, words: &'static [&'static str]) -> Self {
        Self::new(Kind::Choice(words), Default::Text(default))
    }

    /// A whole number of at least `min`.
    pub const fn integer(default: i64, min: i64) -> Self {
        Self::new(Kind::Integer { min, max: i64::MAX }, Default::Integer(default))
    }

    /// A TCP port.
    pub const fn port(default: i64) -> Self {
        Self::new(Kind::Integer { min: 0, max: 65_535 }, Default::Integer(default))
    }

    /// A number.
    pub const fn float(default: f64) -> Self {
        Self::new(Kind::Float, Default::Float(default))
    }

    /// True or false.
    pub const fn boolean(default: bool) -> Self {
        Self::new(Kind::Boolean, Default::Boolean(default))
    }

    /// Texts between commas.
    pub const fn list(default: &'static [&'static str]) -> Self {
        Self::new(Kind::List, Default::List(default))
    }

    /// Also set by this word of the kernel line.
    pub const fn kernel(mut self, word: &'static str) -> Self {
        self.kernel = Some(word);
        self
    }

    /// Also set by this word of the kernel line, which is above all but the running agent.
    pub const fn kernel_first(self, word: &'static str) -> Self {
        let mut spec = self.kernel(word);
        spec.kernel_first = true;
        spec
    }

    /// In this section, under this key.
    pub const fn within(mut self, group: &'static str, name: &'static str) -> Self {
        self.group = group;
        self.name = name;
        self
    }

    /// Once in this section under this key.
    pub const fn formerly(mut self, group: &'static str, name: &'static str) -> Self {
        self.formerly = Some((group, name));
        self
    }

    /// At most this.
    pub const fn at_most(mut self, most: i64) -> Self {
        if let Kind::Integer { min, .. } = self.kind {
            self.kind = Kind::Integer { min, max: most };
        }
        self
    }

    /// Never shown.
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Called so in its section unless it has a name already, and explained so.
    pub(super) const fn described(mut self, name: &'static str, help: &'static str) -> Self {
        if self.name.is_empty() {
            self.name = name;
        }
        self.help = help.trim_ascii();
        self
    }

    /// True if the command line has a flag for it, as for all of the group `DEFAULT`.
    pub fn has_flag(&self) -> bool {
        self.group == DEFAULT_GROUP
    }

    /// The long flag without its dashes, for example `listen-port`.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable that sets it, for example `OS_DEFAULT__LISTEN_PORT`.
    pub fn variable(&self) -> String {
        format!("OS_{}__{}", self.group, self.name).to_ascii_uppercase()
    }

    /// Its name for people: `listen_port`, or `[disk_utils]dd_block_size`.
    pub fn title(&self) -> String {
        if self.group == DEFAULT_GROUP { self.name.to_owned() } else { format!("[{}]{}", self.group, self.name) }
    }
}

impl Kind {
    /// Reads a value; the error says what is allowed.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let refused = || Err(self.allowed());
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Url => {
                let url = |prefix| text.strip_prefix(prefix).is_some_and(|rest: &str| !rest.is_empty());
                let ok = text.starts_with("mdns") || url("http://") || url("https://");
                if ok { Ok(Value::Text(text.to_owned())) } else { refused() }
            }
            Self::Choice(words) => {
                if words.contains(&text) {
                    Ok(Value::Text(text.to_owned()))
                } else {
                    refused()
                }
            }
            Self::Integer { min, max } => match text.trim().parse::<i64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(Value::Integer(number)),
                _ => refused(),
            },
            Self::Float => match text.trim().parse::<f64>() {
                Ok(number) if number >= 0.0 && number.is_finite() => Ok(Value::Float(number)),
                _ => refused(),
            },
            Self::Boolean => boolean::parse(text).map(Value::Boolean).ok_or_else(|| self.allowed()),
            Self::List => {
                let items = text.trim().trim_end_matches(',').split(',').map(|item| item.trim().to_owned());
                Ok(Value::List(if text.trim().trim_end_matches(',').is_empty() { Vec::new() } else { items.collect() }))
            }
        }
    }

    /// Takes a value as JSON carries it; the error says what is allowed. Null is the default.
    pub fn from_json(&self, value: &serde_json::Value, default: Default) -> Result<Value, String> {
        use serde_json::Value as Json;
        match (value, self) {
            (Json::Null, _) => Ok(default.into()),
            (Json::String(text), _) => self.parse(text),
            (Json::Array(items), Self::List) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<_>>().map(Value::List).ok_or_else(|| self.allowed())
            }
            (Json::Bool(truth), Self::Boolean) => Ok(Value::Boolean(*truth)),
            (Json::Number(number), Self::Boolean | Self::Integer { .. } | Self::Float) => {
                self.parse(&number.to_string())
            }
            _ => Err(self.allowed()),
        }
    }

    /// What is allowed, for an error or a table.
    pub fn allowed(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Url => "an http:// or https:// URL, several between commas, or mdns".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Integer { min, max: i64::MAX } => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Float => "a number of at least 0".to_owned(),
            Self::Boolean => "true or false (also 1, on, yes and 0, off, no)".to_owned(),
            Self::List => "texts between commas".to_owned(),
        }
    }
}
