//! Values of options, and how they become Rust's.

use std::path::PathBuf;
use std::time::Duration;

use super::spec::Default;

/// Longest time an option can give; larger numbers mean this. Ten years can be added to any clock.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was said and there is no default.
    Unset,
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl Value {
    /// The value as JSON; null if it is unset.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Unset => serde_json::Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Boolean(truth) => (*truth).into(),
            Self::List(items) => items.clone().into(),
        }
    }
}

impl From<Default> for Value {
    fn from(default: Default) -> Self {
        match default {
            Default::Unset => Self::Unset,
            Default::Text(text) => Self::Text(text.to_owned()),
            Default::Integer(number) => Self::Integer(number),
            Default::Float(number) => Self::Float(number),
            Default::Boolean(truth) => Self::Boolean(truth),
            Default::List(items) => Self::List(items.iter().map(|&item| item.to_owned()).collect()),
        }
    }
}

/// A type that an option can be read as. None if the option is of another type.
pub(super) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value) -> Option<Self> {
        String::from_value(value).map(Into::into)
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }
}

impl FromValue for u64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(number) => Self::try_from(*number).ok(),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    /// Larger numbers, of attempts for example, mean the largest.
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).map(|number| Self::try_from(number).unwrap_or(Self::MAX))
    }
}

impl FromValue for u16 {
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl FromValue for Duration {
    fn from_value(value: &Value) -> Option<Self> {
        let time = match value {
            Value::Integer(seconds) => Self::from_secs(u64::try_from(*seconds).ok()?),
            Value::Float(seconds) => Self::try_from_secs_f64(*seconds).unwrap_or(LONGEST),
            _ => return None,
        };
        Some(time.min(LONGEST))
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(items) => Some(items.clone()),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Unset => Some(None),
            set => T::from_value(set).map(Some),
        }
    }
}
