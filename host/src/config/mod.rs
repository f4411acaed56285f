//! What the agent was told: command line, configuration files, kernel line, defaults, in this order of weight.

pub mod boolean;
pub mod deadline;
mod effective;
pub mod ini;
pub mod kernel_line;
pub mod options;
pub mod spec;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

pub use self::effective::{BadValue, Config, HIDDEN, Origin, Setting};
pub use self::value::Value as OptionValue;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: cannot read the configuration file: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than any configuration.
    #[error("{path}: larger than {} bytes, which no configuration file is", ini::FILE_LIMIT)]
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
        source: ini::IniError,
    },
}

/// The entries of all configuration files; of equal keys the later one counts.
#[derive(Debug, Default, Clone)]
pub struct Files {
    values: BTreeMap<(String, String), String>,
}

impl Files {
    /// Reads files in the order given, then the `*.conf` files of each directory in the order of their names.
    pub fn read(files: &[PathBuf], directories: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for path in files {
            all.add(path)?;
        }
        for directory in directories {
            for path in conf_files(directory)? {
                all.add(&path)?;
            }
        }
        Ok(all)
    }

    fn add(&mut self, path: &Path) -> Result<(), ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(read)?.len() > ini::FILE_LIMIT {
            return Err(ConfigError::TooLarge { path: path.to_owned() });
        }
        let text = String::from_utf8_lossy(&std::fs::read(path).map_err(read)?).into_owned();
        let entries = ini::parse(&text).map_err(|source| ConfigError::Line { path: path.to_owned(), source })?;
        self.values.extend(entries.into_iter().map(|entry| ((entry.section, entry.key), entry.value)));
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.values.get(&(section.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// The sections `[plugin:NAME]`, each as an object of texts, by name.
    pub fn plugin_sections(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut sections: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for ((section, key), value) in &self.values {
            if let Some(name) = section.strip_prefix("plugin:") {
                sections.entry(name.trim().to_owned()).or_default().insert(key.clone(), Value::from(value.as_str()));
            }
        }
        sections
    }
}

fn conf_files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let read = |source| ConfigError::Read { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_win_and_plugin_sections_are_objects() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let first = write("first", "[plugin:acme]\nurl = a\nkeep = 1\n");
        write("10.conf", "[plugin:acme]\nurl = c\n");
        write("05.conf", "[plugin:acme]\nurl = b\n[DEFAULT]\ndebug = true\n");
        write("ignored.txt", "nonsense");
        let files = Files::read(&[first], &[directory.path().to_owned()]).expect("readable");
        assert_eq!(files.get("DEFAULT", "debug"), Some("true"));
        assert_eq!(
            Value::Object(files.plugin_sections()["acme"].clone()),
            serde_json::json!({"keep": "1", "url": "c"})
        );
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bad.conf");
        std::fs::write(&path, "a = 1\nnonsense\n").expect("written");
        let error = Files::read(std::slice::from_ref(&path), &[]).expect_err("bad line");
        assert_eq!(error.to_string(), format!("{}: line 2: neither a section nor key = value", path.display()));
    }
}
