//! The package `ipa-plugin-api-dev`: what a vendor builds hardware managers with, without any network.
//!
//! Debian keeps the sources of crates in `/usr/share/cargo/registry`, one package a crate; of those that the SDK is built
//! on it has other versions or none. So they come along, in a registry of their own, where their files are in nobody's
//! way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Plan;
use super::package::Package;
use super::tree::{DATA, Tree, set_mode};
use crate::cargo::cargo;
use crate::failure::{Doing, Failure, Outcome};
use crate::process;

const NAME: &str = "ipa-plugin-api-dev";
/// Where the crates lie, below the root.
const REGISTRY: &str = "usr/share/ipa-plugin-api/registry";
const CARGO: Duration = Duration::from_secs(600);
/// Crates for other systems. cargo wants to see that they exist, and reads no more than their manifests.
const FOREIGN: [&str; 4] = ["redox_syscall-", "winapi-", "windows-", "wasi-"];
const DESCRIPTION: &str = "SDK for hardware managers of the bare-metal agent ipa-host
A hardware manager is a Rust library that teaches ipa-host to inventory, clean
and deploy a vendor's machines. This package has the crate ipa-plugin-api, the
crates that it is built on, and an example, so that managers are built without
a network.

Rust 1.95 or later is needed, which Debian 12 does not have.";
const COPYRIGHT: &str = "ipa-plugin-api, the example and the packaging: Copyright 2026 the
authors of ipa-host.
License: Apache-2.0

On Debian systems the text of the Apache License, version 2.0, is in
/usr/share/common-licenses/Apache-2.0.

The other crates below /usr/share/ipa-plugin-api/registry are unmodified, but
for those of other systems, which are left empty. Each has its own license,
whose text is in its directory:

";

pub(super) fn build(plan: &Plan<'_>, time: u32) -> Outcome<PathBuf> {
    let tree = Tree::new(plan.work.join(NAME))?;
    let version = plan.version("plugin-api")?;
    let own = format!("ipa-plugin-api-{version}");
    unpack_own(plan, &tree, &own)?;
    vendor(plan, &tree, &own)?;
    let mut copyright = COPYRIGHT.to_owned();
    for directory in crates(&tree)? {
        let name = file_name(&directory);
        if FOREIGN.iter().any(|prefix| name.starts_with(prefix)) {
            empty(&directory)?;
        }
        copyright += &format!("  {name}: {}\n", license(&directory)?);
    }
    for path in tree.paths()? {
        let place = tree.path().join(path);
        if place.is_file() {
            set_mode(&place, DATA)?;
        }
    }
    tree.link(&format!("../../ipa-plugin-api/registry/{own}"), &format!("usr/share/cargo/registry/{own}"))?;

    let documents = format!("usr/share/doc/{NAME}");
    let example = format!("{documents}/examples/minimal");
    tree.copy(&plan.repository.join("examples/minimal/src/lib.rs"), &format!("{example}/src/lib.rs"), DATA)?;
    tree.write(&format!("{example}/Cargo.toml"), include_str!("../../deb/example.Cargo.toml"), DATA)?;
    tree.write(&format!("{example}/.cargo/config.toml"), include_str!("../../deb/example.config.toml"), DATA)?;
    tree.copy(&plan.repository.join("plugin-api/include/ipa_plugin.h"), "usr/include/ipa_plugin.h", DATA)?;
    tree.copy(&plan.repository.join("examples/c/acme.c"), &format!("{documents}/examples/c/acme.c"), DATA)?;
    tree.write(&format!("{documents}/README"), include_str!("../../deb/ipa-plugin-api-dev.README"), DATA)?;
    tree.write(&format!("{documents}/copyright"), copyright, DATA)?;

    let package = Package {
        name: NAME,
        version: &version,
        architecture: "all",
        section: "libdevel",
        relations: &[("Recommends", "gcc | c-compiler".to_owned()), ("Suggests", "cargo, ipa-host".to_owned())],
        description: DESCRIPTION,
        scripts: &[],
    };
    package.pack(&tree, time, plan.output)
}

/// Our own crate as it would be published: its manifest needs no workspace.
fn unpack_own(plan: &Plan<'_>, tree: &Tree, own: &str) -> Outcome {
    let target = plan.work.join("crate");
    let mut package = cargo(plan.repository);
    package.args(["package", "--quiet", "--offline", "--no-verify", "--allow-dirty", "--package", "ipa-plugin-api"]);
    process::output(package.arg("--target-dir").arg(&target), CARGO)?;
    let registry = tree.path().join(REGISTRY);
    tree.directory(REGISTRY, 0o755)?;
    let mut unpack = Command::new("tar");
    unpack.args(["--extract", "--gzip", "--no-same-owner", "--file"]);
    unpack.arg(target.join("package").join(format!("{own}.crate"))).arg("--directory").arg(&registry);
    process::output(&mut unpack, CARGO)?;
    // They tell of the one who built it; and a library's lock file is for nobody.
    for file in [".cargo_vcs_info.json", "Cargo.toml.orig", "Cargo.lock"] {
        let path = registry.join(own).join(file);
        fs::remove_file(&path).doing(format_args!("removing {}", path.display()))?;
    }
    tree.write(&format!("{REGISTRY}/{own}/.cargo-checksum.json"), "{\"files\":{}}", DATA)
}

/// The crates that ours is built on, in the versions of our lock file.
fn vendor(plan: &Plan<'_>, tree: &Tree, own: &str) -> Outcome {
    let user = Tree::new(plan.work.join("user"))?;
    let path = fs::canonicalize(tree.path().join(REGISTRY).join(own)).doing("finding the unpacked crate")?;
    let manifest = format!(
        "[package]\nname = \"user\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         ipa-plugin-api = {{ path = {:?} }}\n",
        path.display().to_string()
    );
    user.write("Cargo.toml", manifest, DATA)?;
    user.write("src/lib.rs", "", DATA)?;
    user.copy(&plan.repository.join("Cargo.lock"), "Cargo.lock", DATA)?;
    let mut vendor = cargo(user.path());
    vendor.args(["vendor", "--quiet", "--offline", "--versioned-dirs"]).arg("crates");
    process::output(&mut vendor, CARGO)?;
    for directory in subdirectories(&user.path().join("crates"))? {
        let place = tree.path().join(REGISTRY).join(file_name(&directory));
        fs::rename(&directory, &place).doing(format_args!("moving {}", directory.display()))?;
    }
    Ok(())
}

fn crates(tree: &Tree) -> Outcome<Vec<PathBuf>> {
    subdirectories(&tree.path().join(REGISTRY))
}

fn subdirectories(path: &Path) -> Outcome<Vec<PathBuf>> {
    let reading = || format!("reading {}", path.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(path).doing(reading())? {
        found.push(entry.doing(reading())?.path());
    }
    found.sort();
    Ok(found)
}

/// Leaves nothing of a crate but its manifest and an empty library.
fn empty(directory: &Path) -> Outcome {
    let manifest = read(directory, "Cargo.toml")?;
    let checksum = read(directory, ".cargo-checksum.json")?;
    let tree = Tree::new(directory.to_owned())?;
    tree.write("Cargo.toml", manifest, DATA)?;
    tree.write("src/lib.rs", "", DATA)?;
    // The sum of the published crate is what lock files name; those of its files are checked where there are any.
    let package = checksum.rsplit_once("\"package\":").map(|(_, rest)| rest);
    let package = package.ok_or_else(|| Failure::new(format!("{}: no checksum in it", directory.display())))?;
    tree.write(".cargo-checksum.json", format!("{{\"files\":{{}},\"package\":{package}"), DATA)
}

/// What a crate says in its manifest.
fn license(directory: &Path) -> Outcome<String> {
    let manifest = read(directory, "Cargo.toml")?;
    let license = manifest.lines().find_map(|line| line.strip_prefix("license = \"")?.strip_suffix('"'));
    let missing = || Failure::new(format!("{}: its manifest names no license", directory.display()));
    license.map(str::to_owned).ok_or_else(missing)
}

fn read(directory: &Path, name: &str) -> Outcome<String> {
    let path = directory.join(name);
    fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
