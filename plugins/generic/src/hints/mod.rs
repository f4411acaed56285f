//! Hints: what a disk must be like, to be the root device or to be left alone.
//!
//! An operator writes them into `root_device` or `skip_block_devices` of the node. Which disk they mean decides where a
//! deployment writes, so a verdict is the Python agent's to the letter: the table in `fixtures/hints` is recorded from
//! it. Where that breaks on a hint, this one refuses the hint and says why.

mod expression;
mod number;

use ipa_plugin_api::inventory::BlockDevice;
use serde::Serialize;
use serde_json::Value;

use self::expression::{Expression, normalize, split};

/// Bytes of the unit in which sizes are given.
const GIB: f64 = 1_073_741_824.0;

/// What a hint can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Size,
    Rotational,
    Text(&'static str),
}

/// The names of all hints.
const NAMES: [&str; 12] = [
    "size",
    "model",
    "wwn",
    "serial",
    "vendor",
    "wwn_with_extension",
    "wwn_vendor_extension",
    "name",
    "rotational",
    "hctl",
    "by_path",
    "tran",
];

/// A disk as hints see it: some of its names are known in several forms.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// As the inventory has it.
    pub device: BlockDevice,
    /// All serial numbers.
    pub serials: Vec<Option<String>>,
    /// All world wide names.
    pub wwns: Vec<Option<String>>,
}

/// The hints of one object; a disk must match all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hints(Vec<Hint>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hint {
    property: Property,
    wanted: Wanted,
    /// As the operator wrote it.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Flag(bool),
    Expression(Expression),
}

/// Why a disk matches a hint or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The hint's name.
    pub hint: &'static str,
    /// What it wants, as the operator wrote it.
    pub wanted: String,
    /// What the disk has; several values are alternatives.
    pub has: Vec<String>,
    /// Whether it matches; none if the hint cannot be compared with that.
    pub matches: Option<bool>,
    /// Why it cannot.
    pub problem: Option<String>,
}

impl Hints {
    /// Reads an object with hints.
    ///
    /// # Errors
    /// A hint is unknown or not of its type; a sentence says which.
    pub fn parse(hints: &Value) -> Result<Self, String> {
        let Value::Object(hints) = hints else { return Err(format!("{hints} is no object of hints")) };
        let unknown: Vec<&str> = hints.keys().map(String::as_str).filter(|name| !NAMES.contains(name)).collect();
        if !unknown.is_empty() {
            return Err(format!(
                "The hints \"{}\" are invalid. Valid hints are: \"{}\"",
                unknown.join(", "),
                NAMES.join(", ")
            ));
        }
        let known = NAMES.iter().copied();
        let named = |wanted: &str| known.clone().find(|name| *name == wanted);
        let hints = hints.iter().filter_map(|(name, value)| named(name).map(|name| Hint::parse(name, value)));
        hints.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a disk matches all hints. As soon as one does not, the rest is not looked at.
    ///
    /// # Errors
    /// A hint cannot be compared with what the disk has; a sentence says why.
    pub fn fit(&self, disk: &Candidate) -> Result<bool, String> {
        for hint in &self.0 {
            let matches = hint.compare(disk).map_err(|why| format!("Root device hint \"{}\": {why}", hint.name()));
            if !matches? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every hint with what the disk has of it.
    pub fn verdicts(&self, disk: &Candidate) -> Vec<Verdict> {
        let verdict = |hint: &Hint| {
            let compared = hint.compare(disk);
            Verdict {
                hint: hint.name(),
                wanted: hint.text.clone(),
                has: hint.property.of(disk).shown(),
                matches: compared.as_ref().ok().copied(),
                problem: compared.err(),
            }
        };
        self.0.iter().map(verdict).collect()
    }
}

impl Hint {
    fn parse(name: &'static str, value: &Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let bad = |why: &str| format!("Root device hint \"{name}\" {why}. Current value: {value}");
        let expression = |why: String| format!("Root device hint \"{name}\": {why}");
        let (property, wanted) = match name {
            "rotational" => {
                let flag = boolean(value).ok_or_else(|| bad("is not a Boolean value"))?;
                (Property::Rotational, Wanted::Flag(flag))
            }
            "size" => {
                for value in split(&text).map_err(expression)?.1 {
                    match number::integer(&value) {
                        None => return Err(bad("is not an integer value")),
                        Some(..=0) => return Err(bad("should be a positive integer")),
                        Some(_) => {}
                    }
                }
                (Property::Size, Wanted::Expression(Expression::of_number(&text).map_err(expression)?))
            }
            _ => {
                let text = value.as_str().ok_or_else(|| bad("is not a string value"))?;
                (Property::Text(name), Wanted::Expression(Expression::of_text(text).map_err(expression)?))
            }
        };
        Ok(Self { property, wanted, text })
    }

    fn name(&self) -> &'static str {
        match self.property {
            Property::Size => "size",
            Property::Rotational => "rotational",
            Property::Text(name) => name,
        }
    }

    fn compare(&self, disk: &Candidate) -> Result<bool, String> {
        match (&self.wanted, self.property.of(disk)) {
            (Wanted::Flag(wanted), Has::Flag(has)) => Ok(*wanted == has),
            (Wanted::Expression(wanted), Has::Bytes(bytes)) => wanted.matches_number(gib(bytes)),
            (Wanted::Expression(wanted), Has::Text(text)) => match normalize(text.unwrap_or(NONE)) {
                Ok(text) => wanted.matches_text(&text),
                // A disk without a value matches nothing.
                Err(_) => Ok(false),
            },
            (Wanted::Expression(wanted), Has::Any(texts)) => {
                let normal = texts.iter().flatten().filter_map(|text| normalize(text).ok());
                Ok(normal.into_iter().any(|text| wanted.matches_text(&text) == Ok(true)))
            }
            _ => Ok(false),
        }
    }
}

/// What a missing property reads as.
const NONE: &str = "none";

/// What a disk has of a property.
enum Has<'a> {
    Bytes(u64),
    Flag(bool),
    Text(Option<&'a str>),
    Any(&'a [Option<String>]),
}

impl Property {
    fn of(self, disk: &Candidate) -> Has<'_> {
        let device = &disk.device;
        match self {
            Self::Size => Has::Bytes(device.size),
            Self::Rotational => Has::Flag(device.rotational),
            Self::Text("name") => Has::Text(Some(&device.name)),
            Self::Text("serial") => Has::Any(&disk.serials),
            Self::Text("wwn") => Has::Any(&disk.wwns),
            Self::Text("model") => Has::Text(device.model.as_deref()),
            Self::Text("vendor") => Has::Text(device.vendor.as_deref()),
            Self::Text("wwn_with_extension") => Has::Text(device.wwn_with_extension.as_deref()),
            Self::Text("wwn_vendor_extension") => Has::Text(device.wwn_vendor_extension.as_deref()),
            Self::Text("hctl") => Has::Text(device.hctl.as_deref()),
            Self::Text("by_path") => Has::Text(device.by_path.as_deref()),
            Self::Text("tran") => Has::Text(device.tran.as_deref()),
            Self::Text(_) => Has::Text(None),
        }
    }
}

impl Has<'_> {
    fn shown(&self) -> Vec<String> {
        match self {
            Self::Bytes(bytes) => vec![format!("{} GiB", gib(*bytes))],
            Self::Flag(flag) => vec![flag.to_string()],
            Self::Text(text) => text.iter().map(|&text| text.to_owned()).collect(),
            Self::Any(texts) => {
                let mut texts: Vec<String> = texts.iter().flatten().cloned().collect();
                texts.dedup();
                texts
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Python divides the same way")]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB
}

/// What oslo takes for a boolean, strictly.
fn boolean(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(flag) => return Some(*flag),
        Value::String(text) => text.trim().to_lowercase(),
        other => other.to_string(),
    };
    match text.as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
