//! Why a configuration cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use super::effective::BadValue;
use super::ini::{FILE_LIMIT, IniError};

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("{path}: cannot read the configuration: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A pipe, a device or a directory stands where a file should.
    #[error("{path}: a configuration file must be a regular file")]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// A file is larger than any configuration.
    #[error("{path}: larger than {FILE_LIMIT} bytes, which no configuration file is")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file has a line that is no configuration.
    #[error("{path}: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: IniError,
    },
    /// Values that their options do not accept, each with its source.
    #[error("{}", lines(.0))]
    Values(Vec<BadValue>),
}

fn lines(bad: &[BadValue]) -> String {
    match bad {
        [one] => one.to_string(),
        all => {
            let lines = all.iter().map(|bad| format!("\n  {bad}"));
            lines.fold(format!("{} values cannot be used:", all.len()), |text, line| text + &line)
        }
    }
}
