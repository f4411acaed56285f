//! The seam through which inventory code starts external tools.

use std::fmt;
use std::time::Duration;

/// Runs tools. The live one is the host's runner; tests answer from recorded output.
pub trait Tools {
    /// Runs `argv` without a shell and waits for its end, `deadline` at most.
    fn run(&self, argv: &[&str], deadline: Duration) -> Result<ToolOutput, ToolError>;
}

/// What a tool that came to its end left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolOutput {
    /// Exit status; 128 and the signal if it was killed.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Why a tool came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolError {
    /// There is no such program.
    NotFound(String),
    /// It could not be started or did not end in time; the text says what was run and what happened.
    Failed(String),
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(program) => write!(f, "there is no program {program}"),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ToolError {}

/// Tools that answer from a table.
#[cfg(test)]
pub(crate) mod fake {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use super::*;

    /// Answers by command line; a command that is not in the table fails as a missing program does.
    #[derive(Default)]
    pub(crate) struct Table {
        answers: HashMap<String, Result<ToolOutput, ToolError>>,
        pub(crate) asked: RefCell<Vec<String>>,
    }

    impl Table {
        pub(crate) fn says(mut self, command: &str, stdout: &str) -> Self {
            let output = ToolOutput { stdout: stdout.to_owned(), ..ToolOutput::default() };
            self.answers.insert(command.to_owned(), Ok(output));
            self
        }

        pub(crate) fn exits(mut self, command: &str, status: i32, stderr: &str) -> Self {
            let output = ToolOutput { status, stderr: stderr.to_owned(), ..ToolOutput::default() };
            self.answers.insert(command.to_owned(), Ok(output));
            self
        }

        pub(crate) fn fails(mut self, command: &str, why: &str) -> Self {
            self.answers.insert(command.to_owned(), Err(ToolError::Failed(why.to_owned())));
            self
        }
    }

    impl Tools for Table {
        fn run(&self, argv: &[&str], _deadline: Duration) -> Result<ToolOutput, ToolError> {
            let command = argv.join(" ");
            self.asked.borrow_mut().push(command.clone());
            self.answers.get(&command).cloned().unwrap_or_else(|| Err(ToolError::NotFound(argv[0].to_owned())))
        }
    }
}
