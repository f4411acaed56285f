//! Plugins in C, built by the machine's compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::artifacts::workspace;

/// A plugin file. It vanishes when dropped.
#[derive(Debug)]
pub struct CPlugin {
    _directory: TempDir,
    path: PathBuf,
}

impl CPlugin {
    /// The example that vendors start from.
    pub fn example() -> Self {
        Self::build(&workspace().join("examples/c/acme.c"), &[])
    }

    /// `tests/fixtures/c/odd.c` with these macros, for example `SIZE=8`.
    pub fn odd(macros: &[&str]) -> Self {
        Self::build(&workspace().join("tests/fixtures/c/odd.c"), macros)
    }

    /// As the header says that plugins are built, with every warning an error.
    fn build(source: &Path, macros: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("ipa-tests-").tempdir().expect("a temporary directory");
        let name = source.file_stem().expect("a file").to_string_lossy();
        let path = directory.path().join(format!("lib{name}_c.so"));
        let mut compiler = Command::new("cc");
        compiler.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-fPIC", "-shared"]);
        compiler.args(["-fvisibility=hidden", "-I"]).arg(workspace().join("plugin-api/include"));
        compiler.args(macros.iter().map(|text| format!("-D{text}")));
        let built = compiler.arg("-o").arg(&path).arg(source).output().expect("a C compiler (Debian: gcc)");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self { _directory: directory, path }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
