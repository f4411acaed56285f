//! Configuration files and directories, read into one set of values.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::ConfigError;
use super::ini;
use super::spec::DEFAULT_GROUP;

/// How sections of plugins begin.
const PLUGIN: &str = "plugin:";

/// The name that the search places know the agent by.
const PROGRAM: &str = "ironic-python-agent";

/// Where a value of a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The value.
    pub value: String,
    /// The file.
    pub path: Arc<Path>,
    /// The line of its key, from 1.
    pub line: usize,
}

/// Where configuration is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// The `*.conf` files of a directory, in the order of their names.
    Directory(PathBuf),
}

/// The entries of all configuration files; of equal keys the later one counts.
#[derive(Debug, Default, Clone)]
pub struct Files {
    lines: BTreeMap<(String, String), Line>,
}

impl Files {
    /// Reads all places in the order given.
    pub fn read(places: &[Place]) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for place in places {
            match place {
                Place::File(path) => all.add(path)?,
                Place::Directory(directory) => {
                    for path in conf_files(directory)? {
                        all.add(&path)?;
                    }
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = text_of(path)?;
        let entries = ini::parse(&text).map_err(|source| ConfigError::Line { path: path.to_owned(), source })?;
        let path: Arc<Path> = path.into();
        self.lines.extend(entries.into_iter().map(|ini::Entry { section, key, value, line }| {
            // Names of groups have no case, but for DEFAULT and those of plugins.
            let plain = section == DEFAULT_GROUP || section.starts_with(PLUGIN);
            let section = if plain { section } else { section.to_lowercase() };
            ((section, key), Line { value, path: path.clone(), line })
        }));
        Ok(())
    }

    /// The entry of a key.
    pub fn get(&self, section: &str, key: &str) -> Option<&Line> {
        self.lines.get(&(section.to_owned(), key.to_owned()))
    }

    /// All entries that are the agent's own, not a plugin's: section, key and where, in the order of the lines.
    pub fn own(&self) -> Vec<(&str, &str, &Line)> {
        let own = self.lines.iter().filter(|((section, _), _)| !section.starts_with(PLUGIN));
        let mut own: Vec<_> = own.map(|((section, key), line)| (section.as_str(), key.as_str(), line)).collect();
        own.sort_by_key(|(_, _, line)| (&line.path, line.line));
        own
    }

    /// The sections `[plugin:NAME]`, each as an object of texts, by name.
    pub fn plugin_sections(&self) -> BTreeMap<String, Map<String, Value>> {
        let mut sections: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for ((section, key), line) in &self.lines {
            if let Some(name) = section.strip_prefix(PLUGIN) {
                let value = Value::from(line.value.as_str());
                sections.entry(name.trim().to_owned()).or_default().insert(key.clone(), value);
            }
        }
        sections
    }
}

/// The places given, after the usual ones of each kind of which none is given: `ironic-python-agent.conf` and
/// `ironic-python-agent.conf.d`, each in the first directory that has it, the home directory or `etc` below `root`.
pub fn with_usual(given: &[Place], root: &Path, home: Option<&Path>) -> Vec<Place> {
    let etc = root.join("etc");
    let first = |ending| {
        let name = format!("{PROGRAM}{ending}");
        home.into_iter().chain([etc.as_path()]).map(|directory| directory.join(&name)).find(|path| path.exists())
    };
    let (mut file, mut directory) = (first(".conf"), first(".conf.d"));
    for place in given {
        match place {
            Place::File(_) => file = None,
            Place::Directory(_) => directory = None,
        }
    }
    let usual = [file.map(Place::File), directory.map(Place::Directory)];
    usual.into_iter().flatten().chain(given.iter().cloned()).collect()
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    // Opening a pipe must not wait for its writer.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ConfigError::NoFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(ini::FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > ini::FILE_LIMIT {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn conf_files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "conf") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(files: &Files, section: &str, key: &str) -> Option<String> {
        files.get(section, key).map(|line| line.value.clone())
    }

    #[test]
    fn later_files_win_and_plugin_sections_are_objects() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let first = write("first", "[plugin:acme]\nurl = a\nkeep = 1\n[Disk_Utils]\ndd_block_size=4M\n");
        write("10.conf", "[plugin:acme]\nurl = c\n");
        write("05.conf", "[plugin:acme]\nurl = b\n[DEFAULT]\ndebug = true\n");
        write("ignored.txt", "nonsense");
        write(".hidden.conf", "nonsense");
        let conf = Place::Directory(directory.path().to_owned());
        let files = Files::read(&[Place::File(first.clone()), conf.clone()]).expect("readable");
        assert_eq!(value(&files, "DEFAULT", "debug").as_deref(), Some("true"));
        assert_eq!(value(&files, "disk_utils", "dd_block_size").as_deref(), Some("4M"));
        assert_eq!(
            Value::Object(files.plugin_sections()["acme"].clone()),
            serde_json::json!({"keep": "1", "url": "c"})
        );
        assert_eq!(files.own().len(), 2);
        let files = Files::read(&[conf, Place::File(first)]).expect("readable");
        assert_eq!(files.plugin_sections()["acme"]["url"], "a", "in the order given");
    }

    #[test]
    fn a_bad_line_is_named_with_its_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("bad.conf");
        std::fs::write(&path, "a = 1\nnonsense\n").expect("written");
        let error = Files::read(&[Place::File(path.clone())]).expect_err("bad line");
        assert_eq!(error.to_string(), format!("{}: line 2: neither a section nor key = value", path.display()));
    }

    #[test]
    fn what_is_no_readable_file_is_refused_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let fails = |path: &Path| Files::read(&[Place::File(path.to_owned())]).expect_err("refused").to_string();
        assert!(fails(&directory.path().join("none")).contains("cannot read the configuration"));
        assert!(fails(directory.path()).contains("must be a regular file"));
        assert!(fails(Path::new("/dev/zero")).contains("must be a regular file"));
        let pipe = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        assert!(fails(&pipe).contains("must be a regular file"));
        let large = directory.path().join("large");
        std::fs::File::create(&large).and_then(|file| file.set_len(ini::FILE_LIMIT + 1)).expect("a sparse file");
        assert!(fails(&large).contains("larger than 1048576 bytes"));
    }

    #[test]
    fn the_search_places_are_the_home_directory_and_etc() {
        let root = tempfile::tempdir().expect("a directory");
        let home = root.path().join("root");
        std::fs::create_dir_all(root.path().join("etc/ironic-python-agent.conf.d")).expect("made");
        std::fs::create_dir_all(&home).expect("made");
        for directory in ["etc", "root"] {
            std::fs::write(root.path().join(directory).join("ironic-python-agent.conf"), "").expect("written");
        }
        let file = Place::File(home.join("ironic-python-agent.conf"));
        let directory = Place::Directory(root.path().join("etc/ironic-python-agent.conf.d"));
        let usual = |given: &[Place]| with_usual(given, root.path(), Some(&home));
        assert_eq!(usual(&[]), [file.clone(), directory.clone()]);
        let (one, other) = (Place::File("/f".into()), Place::Directory("/d".into()));
        assert_eq!(usual(std::slice::from_ref(&one)), [directory, one.clone()]);
        assert_eq!(usual(std::slice::from_ref(&other)), [file, other.clone()]);
        assert_eq!(usual(&[other.clone(), one.clone()]), [other, one]);
        assert_eq!(with_usual(&[], &home, None), []);
    }
}
