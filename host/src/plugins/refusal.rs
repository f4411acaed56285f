//! Why a file was refused, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One refusal: a cause and a cure, each half a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is wrong.
    pub cause: String,
    /// What would set it right.
    pub cure: String,
}

impl Refusal {
    pub(crate) fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: cure.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.cure)
    }
}
