//! The minimal plugin built against versions of plugin-api that do not exist yet.
//!
//! The sources of plugin-api and of the plugin are copied into a small workspace of their own and changed by exact
//! text replacement; a text that is not there any more is an error that says which. The result stays in
//! `target/fixtures`, and cargo rebuilds it when the sources change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::artifacts;

/// One change: file, text, other text.
type Change = (&'static str, &'static str, &'static str);

/// A later minor version with one further field at the end of the module, as the rules of the seam allow.
const LATER_MINOR: &[Change] = &[
    ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"1.9.0\""),
    ("Cargo.toml", "path = \"plugin-api\", version = \"1.0.0\"", "path = \"plugin-api\", version = \"1.9.0\""),
    (
        "plugin-api/src/abi/module.rs",
        "    pub destroy: extern \"C\" fn(usize) -> AbiReply,\n",
        "    pub destroy: extern \"C\" fn(usize) -> AbiReply,\n    /// New.\n    pub later: extern \"C\" fn() -> u32,\n",
    ),
    (
        "plugin-api/src/abi/glue.rs",
        "        destroy: destroy::<M>,\n",
        "        destroy: destroy::<M>,\n        later,\n",
    ),
    (
        "plugin-api/src/abi/glue.rs",
        "extern \"C\" fn destroy<M: Export>",
        "extern \"C\" fn later() -> u32 {\n    9\n}\n\nextern \"C\" fn destroy<M: Export>",
    ),
];

/// The next major version.
const NEXT_MAJOR: &[Change] = &[
    ("plugin-api/Cargo.toml", "version = \"1.0.0\"", "version = \"2.0.0\""),
    ("Cargo.toml", "path = \"plugin-api\", version = \"1.0.0\"", "path = \"plugin-api\", version = \"2.0.0\""),
];

/// The minimal plugin (class `Acme`) as version 1.9 of plugin-api would make it.
pub fn later_minor() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("api-1.9", LATER_MINOR)).clone()
}

/// The minimal plugin as version 2.0 of plugin-api would make it.
pub fn next_major() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("api-2.0", NEXT_MAJOR)).clone()
}

fn build(name: &str, changes: &[Change]) -> PathBuf {
    let _lock = artifacts::lock();
    let fixtures = artifacts::target_dir().join("fixtures");
    let copy = fixtures.join(name).join("source");
    let mut sources = Sources::read(&["plugin-api", "examples/minimal", "Cargo.toml", "Cargo.lock"]);
    sources.change("Cargo.toml", &sources.members(), "members = [\"plugin-api\", \"examples/minimal\"]\n");
    sources.change("Cargo.toml", "default-members = [\"host\", \"plugins/generic\"]\n", "");
    for (file, from, to) in changes {
        sources.change(file, from, to);
    }
    sources.write(&copy);
    let target = fixtures.join("build");
    let output = ipa_imagebuild::cargo::cargo(&copy)
        .args(["build", "--offline", "--package", "ipa-example-minimal", "--lib", "--target-dir"])
        .arg(&target)
        .output()
        .unwrap_or_else(|error| panic!("cargo: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} does not build:\n{said}");
    let plugin = fixtures.join(name).join("libipa_example_minimal.so");
    // Both copies share the target directory, and with it the name of what they build.
    fs::copy(target.join("debug/libipa_example_minimal.so"), &plugin).expect("cargo has built it");
    plugin
}

/// Source files by their path in the workspace.
struct Sources(BTreeMap<PathBuf, String>);

impl Sources {
    /// Reads files and whole folders of the workspace.
    fn read(parts: &[&str]) -> Self {
        let mut sources = Self(BTreeMap::new());
        parts.iter().for_each(|part| sources.add(Path::new(part)));
        sources
    }

    fn add(&mut self, part: &Path) {
        let path = artifacts::workspace().join(part);
        if path.is_dir() {
            for entry in fs::read_dir(&path).expect("a folder of the workspace") {
                self.add(&part.join(entry.expect("a readable folder").file_name()));
            }
        } else {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            self.0.insert(part.to_owned(), text);
        }
    }

    /// The list of members as it stands in the workspace's manifest.
    fn members(&self) -> String {
        let manifest = &self.0[Path::new("Cargo.toml")];
        let start = manifest.find("members = [").expect("a workspace has members");
        let end = start + manifest[start..].find("]\n").expect("a list has an end") + 2;
        manifest[start..end].to_owned()
    }

    fn change(&mut self, file: &str, from: &str, to: &str) {
        let text = self.0.get_mut(Path::new(file)).unwrap_or_else(|| panic!("{file} is not there any more"));
        let found = text.matches(from).count();
        assert_eq!(found, 1, "{file} must hold this text once, to be changed:\n{from}");
        *text = text.replace(from, to);
    }

    /// Writes the files that differ, so that cargo rebuilds what has changed and nothing else.
    fn write(&self, to: &Path) {
        for (part, text) in &self.0 {
            let path = to.join(part);
            if fs::read_to_string(&path).is_ok_and(|old| old == *text) {
                continue;
            }
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("our own directory");
            fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
