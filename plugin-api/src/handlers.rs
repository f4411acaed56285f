//! From a method name and JSON arguments to a plain function of the manager, and back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Cx;
use crate::error::{HwError, HwResult};

/// Arguments of a method that takes none, or does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoArgs;

impl<'de> Deserialize<'de> for NoArgs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Arguments of a step: the node, its ports, and the step's own arguments as a struct of the author's.
#[derive(Debug, Clone, Deserialize)]
pub struct StepArgs<A> {
    /// The node as Ironic describes it, passwords masked.
    #[serde(default)]
    pub node: Value,
    /// The node's ports.
    #[serde(default)]
    pub ports: Vec<Value>,
    /// What the operator gave.
    #[serde(flatten)]
    pub args: A,
}

/// A method's name and the function that answers it.
#[derive(Debug)]
pub struct MethodEntry<T: 'static> {
    /// The name it is called by.
    pub name: &'static str,
    /// Decodes the arguments, calls the manager and encodes its value.
    pub run: fn(&T, &Cx<'_>, &str) -> HwResult<Vec<u8>>,
}

/// Runs a typed handler on JSON arguments.
pub fn invoke<T, A: DeserializeOwned, R: Serialize>(
    handler: fn(&T, &Cx<'_>, A) -> HwResult<R>,
    manager: &T,
    cx: &Cx<'_>,
    args: &str,
) -> HwResult<Vec<u8>> {
    encode(&handler(manager, cx, decode(args)?)?)
}

/// Reads arguments; an empty text counts as no arguments.
pub(crate) fn decode<A: DeserializeOwned>(args: &str) -> HwResult<A> {
    let args = if args.trim().is_empty() { "{}" } else { args };
    serde_json::from_str(args).map_err(|error| HwError::bad_arguments(format!("arguments: {error}")))
}

/// Writes a value.
pub(crate) fn encode(value: &impl Serialize) -> HwResult<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| HwError::other("TypeError", format!("the value is no JSON: {error}")))
}
