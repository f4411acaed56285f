//! Building for another architecture than this machine's.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::process;

use crate::{repo, tools};

const PROBE: Duration = Duration::from_secs(60);

/// Has cargo build for the architecture.
///
/// # Errors
/// Rust's standard library for it is missing, or a linker; with what to do about it.
pub(crate) fn prepare(build: &mut Command, arch: &Arch) -> Outcome {
    require_library(&rustc(), arch)?;
    let linker = linker_variable(arch);
    if std::env::var_os(&linker).is_none() {
        tools::ensure(if arch.debian == "arm64" { tools::FOR_ARM64 } else { tools::FOR_AMD64 })?;
        build.env(linker, format!("{}-gcc", arch.triplet));
    }
    build.args(["--target", arch.rust]);
    Ok(())
}

/// Whether Rust can build for the architecture.
pub(crate) fn is_possible(arch: &Arch) -> bool {
    require_library(&rustc(), arch).is_ok()
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The compiler comes with the library for its own architecture only.
fn require_library(rustc: &OsString, arch: &Arch) -> Outcome {
    let mut ask = Command::new(rustc);
    ask.args(["--print", "target-libdir", "--target", arch.rust]).current_dir(repo::root());
    if has_library(Path::new(process::output(&mut ask, PROBE)?.trim())) {
        return Ok(());
    }
    let target = arch.rust;
    Err(Failure::new(format!("Rust's standard library for {target} is missing; get it: rustup target add {target}")))
}

fn has_library(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// By which cargo is told the linker for a target.
fn linker_variable(arch: &Arch) -> String {
    format!("CARGO_TARGET_{}_LINKER", arch.rust.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_standard_library_is_told_with_its_cure() {
        let directory = tempfile::tempdir().unwrap();
        let rustc = directory.path().join("rustc");
        let script = format!("#!/bin/sh\necho {}\n", directory.path().display());
        std::fs::write(&rustc, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&rustc, mode).unwrap();
        let arch = Arch::named("arm64").unwrap();
        let failure = require_library(&rustc.clone().into(), arch).unwrap_err().to_string();
        assert_eq!(
            failure,
            "Rust's standard library for aarch64-unknown-linux-gnu is missing; get it: rustup target add \
             aarch64-unknown-linux-gnu"
        );
        std::fs::write(directory.path().join("libstd-0123.rlib"), "").unwrap();
        assert!(require_library(&rustc.into(), arch).is_ok());
    }

    #[test]
    fn cargo_is_told_the_linker_by_the_targets_name() {
        let variable = linker_variable(Arch::named("arm64").unwrap());
        assert_eq!(variable, "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER");
    }
}
