//! The one error of everything that builds: a line for a person.

use std::fmt;

/// What was tried, on what, with what result, and where possible the cure.
#[derive(Debug)]
pub struct Failure(String);

/// What a step of a build gives.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds what was being done to an error of the standard library.
pub trait Doing<T> {
    /// Puts `what` before the error.
    ///
    /// # Errors
    /// The error itself, with its context.
    fn doing(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
