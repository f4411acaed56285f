//! `cargo xtask ramdisk`: the agent as a kernel and an archive that a machine boots over the network.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::compress::{Compression, Method};
use ipa_imagebuild::debian;
use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::ramdisk::{self, Firmware, Programs};
use ipa_imagebuild::sbom::Crate;
use ipa_imagebuild::{epoch, process};
use serde_json::Value;
use structopt::StructOpt;

use crate::cargo::cargo;
use crate::steps::{COMMAND, duration};
use crate::{cross, repo, tools};

/// The crates of the agent's own programs.
const CRATES: [&str; 3] = ["ipa-host", "ipa-generic", "ipa-init"];
/// Directory below the build directory for what is kept from one build to the next.
pub(crate) const CACHE: &str = "ramdisk-cache";

#[derive(Debug, StructOpt)]
#[structopt(rename_all = "kebab-case")]
pub(crate) struct Options {
    /// Writes an archive with nothing but the plugins to this file, for a ramdisk that is there already. Boot loaders take
    /// it as a second initrd, and it may be appended to the first.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    segment: Option<PathBuf>,
    /// A plugin besides the generic one; repeatable.
    #[structopt(long, value_name = "FILE", number_of_values = 1, parse(from_os_str))]
    plugin: Vec<PathBuf>,
    /// A Debian package that is put in whole, with the libraries that it needs; repeatable.
    #[structopt(long, value_name = "NAME", number_of_values = 1)]
    package: Vec<String>,
    /// A kernel module besides those in imagebuild/ramdisk/modules.toml; repeatable. A star stands for anything.
    #[structopt(long, value_name = "NAME", number_of_values = 1)]
    module: Vec<String>,
    /// Firmware: a directory laid out as /lib/firmware, or a Debian package; repeatable. Only what modules ask for is taken.
    #[structopt(long, value_name = "DIR|PACKAGE", number_of_values = 1)]
    firmware: Vec<String>,
    /// Public SSH keys that may log in, as in authorized_keys; repeatable.
    #[structopt(long, value_name = "FILE", number_of_values = 1, parse(from_os_str))]
    ssh_key: Vec<PathBuf>,
    /// Puts in an SSH server also without keys, for those that come on the kernel line.
    #[structopt(long)]
    ssh: bool,
    /// Certificates in PEM that the agent trusts besides the public authorities; repeatable.
    #[structopt(long, value_name = "FILE", number_of_values = 1, parse(from_os_str))]
    ca: Vec<PathBuf>,
    /// Public key of minisign that plugins must be signed with; repeatable.
    #[structopt(long, value_name = "FILE.pub", number_of_values = 1, parse(from_os_str))]
    plugin_key: Vec<PathBuf>,
    /// Configuration file of the agent; repeatable, and read in the order of the names.
    #[structopt(long, value_name = "FILE.conf", number_of_values = 1, parse(from_os_str))]
    config: Vec<PathBuf>,
    /// zstd, xz, gzip or none.
    #[structopt(long, default_value = "zstd")]
    compression: Method,
    /// Level of the compression, in its own numbers.
    #[structopt(long)]
    level: Option<u8>,
    /// Makes NAME.efi as well, a program for UEFI that boots kernel and ramdisk with this kernel line.
    #[structopt(long, value_name = "LINE")]
    kernel_line: Option<String>,
    /// Debian's name of the architecture; this machine's by default.
    #[structopt(long)]
    arch: Option<String>,
    /// Another program as the first process.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    init: Option<PathBuf>,
    /// Sources of Debian packages, as apt reads them, instead of this machine's mirrors of Debian.
    #[structopt(long, value_name = "FILE", env = debian::GIVEN, parse(from_os_str))]
    apt_sources: Option<PathBuf>,
    /// Where the files go instead of target/ramdisk, or target/ramdisk-ARCH for another architecture than this machine's.
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    output: Option<PathBuf>,
    /// What the files are called.
    #[structopt(long, default_value = "ipa")]
    name: String,
}

pub(crate) fn run(options: &Options) -> Outcome {
    tools::ensure(tools::FOR_RAMDISK)?;
    let compression = Compression::new(options.compression, options.level)?;
    if let Some(output) = &options.segment {
        let size = ramdisk::segment(output, &options.plugin, compression, epoch::given_or_first()?)?;
        println!("{}: {size} bytes with {} plugins", output.display(), options.plugin.len());
        return Ok(());
    }
    if options.name.is_empty() || options.name.contains('/') {
        return Err(Failure::new(format!("{:?} is no name for files", options.name)));
    }
    let begin = std::time::Instant::now();
    let arch = options.arch.as_deref().map_or_else(Arch::native, Arch::named)?;
    let data = repo::root().join("imagebuild/ramdisk");
    let built = ramdisk::build(&ramdisk::Options {
        cache: repo::target(CACHE),
        output: options.output.clone().unwrap_or_else(|| place(arch)),
        name: options.name.clone(),
        arch,
        sources: sources(options)?,
        data,
        programs: programs(options, arch)?,
        crates: crates(options, arch)?,
        packages: options.package.clone(),
        modules: options.module.clone(),
        firmware: options.firmware.iter().map(|from| firmware(from)).collect(),
        ssh: options.ssh,
        ssh_keys: options.ssh_key.clone(),
        authorities: options.ca.clone(),
        plugin_keys: options.plugin_key.clone(),
        config: options.config.clone(),
        compression,
        kernel_line: options.kernel_line.clone(),
        time: epoch::given_or_first()?,
    })?;
    println!("{built}, {}", duration(begin.elapsed()));
    Ok(())
}

/// Builds what is shipped.
pub(crate) fn run_default() -> Outcome {
    run(&Options::from_iter(["ramdisk"]))
}

/// Builds what is shipped for an architecture.
pub(crate) fn run_for(arch: &Arch) -> Outcome {
    run(&Options::from_iter(["ramdisk", "--arch", arch.debian]))
}

/// Where the files go unless an option says otherwise.
pub(crate) fn place(arch: &Arch) -> PathBuf {
    let name = if arch.is_native() { "ramdisk".to_owned() } else { format!("ramdisk-{}", arch.debian) };
    repo::target(&name)
}

/// The file with the sources of packages.
fn sources(options: &Options) -> Outcome<PathBuf> {
    debian::sources(options.apt_sources.as_deref(), &repo::target(CACHE))
}

/// The same for what takes no options.
pub(crate) fn default_sources() -> Outcome<PathBuf> {
    sources(&Options::from_iter(["ramdisk"]))
}

/// Whatever has a slash or is there is a directory.
fn firmware(from: &str) -> Firmware {
    let path = PathBuf::from(from);
    if from.contains('/') || path.is_dir() { Firmware::Directory(path) } else { Firmware::Package(from.to_owned()) }
}

/// The crates that are built: all of the agent's but an init that is given.
fn own(options: &Options) -> impl Iterator<Item = &'static str> {
    let given = options.init.is_some();
    CRATES.into_iter().filter(move |name| !(given && *name == "ipa-init"))
}

/// Builds the agent's programs.
fn programs(options: &Options, arch: &Arch) -> Outcome<Programs> {
    let mut build = cargo(&["build", "--release"]);
    for name in own(options) {
        build.args(["--package", name]);
    }
    let mut target = repo::target("release");
    if !arch.is_native() {
        cross::prepare(&mut build, arch)?;
        target = repo::target(arch.rust).join("release");
    }
    process::run(&mut build, COMMAND)?;
    let mut plugins = vec![target.join("libipa_generic.so")];
    plugins.extend(options.plugin.iter().cloned());
    let init = options.init.clone().unwrap_or_else(|| target.join("ipa-init"));
    Ok(Programs { host: target.join("ipa-host"), init, plugins })
}

/// The crates that are built into the programs, without those that only build or test them.
fn crates(options: &Options, arch: &Arch) -> Outcome<Vec<Crate>> {
    let mut command = cargo(&["metadata", "--format-version=1", "--locked", "--filter-platform", arch.rust]);
    let text = process::output(&mut command, COMMAND)?;
    let metadata: Value = serde_json::from_str(&text).doing("reading what cargo says of the workspace")?;
    let path = repo::root().join("Cargo.lock");
    let lock = fs::read_to_string(&path).doing(format_args!("reading {}", path.display()))?;
    let roots: Vec<&str> = own(options).collect();
    linked(&metadata, &checksums(&lock)?, &roots)
}

/// SHA-256 by name and version, from a `Cargo.lock`.
fn checksums(lock: &str) -> Outcome<BTreeMap<(String, String), String>> {
    let lock: toml::Value = toml::from_str(lock).doing("reading Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |package: &toml::Value, key: &str| package.get(key)?.as_str().map(str::to_owned);
    Ok(packages
        .iter()
        .filter_map(|package| Some(((text(package, "name")?, text(package, "version")?), text(package, "checksum")?)))
        .collect())
}

/// What `roots` are linked with, themselves included, by what `cargo metadata` says.
fn linked(metadata: &Value, checksums: &BTreeMap<(String, String), String>, roots: &[&str]) -> Outcome<Vec<Crate>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package, "id"), package)).collect();
    let nodes: BTreeMap<String, Value> =
        list(&metadata["resolve"]["nodes"]).into_iter().map(|node| (text(&node, "id"), node)).collect();
    let mut waiting: Vec<String> = packages
        .iter()
        .filter(|(_, package)| roots.contains(&text(package, "name").as_str()))
        .map(|(id, _)| id.clone())
        .collect();
    if waiting.len() != roots.len() {
        return Err(Failure::new(format!("the workspace should have the crates {}", roots.join(", "))));
    }
    let mut seen = BTreeSet::new();
    let mut crates = Vec::new();
    while let Some(id) = waiting.pop() {
        let Some(package) = packages.get(&id) else { continue };
        // A macro works in the compiler, and so does all that it depends on.
        let is_macro =
            list(&package["targets"]).iter().any(|target| list(&target["kind"]).contains(&Value::from("proc-macro")));
        if is_macro || !seen.insert(id.clone()) {
            continue;
        }
        let (name, version) = (text(package, "name"), text(package, "version"));
        let license = package["license"].as_str().map(|license| license.replace('/', " OR "));
        let checksum = checksums.get(&(name.clone(), version.clone())).cloned();
        crates.push(Crate { name, version, checksum, license });
        for dependency in nodes.get(&id).map(|node| list(&node["deps"])).unwrap_or_default() {
            if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                waiting.push(text(&dependency, "pkg"));
            }
        }
    }
    crates.sort();
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_builds_or_tests_is_not_in_the_agent() {
        let crates = |name: &str| Crate {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            checksum: (name == "used").then(|| "ab".to_owned()),
            license: Some("MIT OR Apache-2.0".to_owned()),
        };
        let package = |name: &str, kind: &str| {
            serde_json::json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "targets": [{"kind": [kind]}],
            })
        };
        let depends = |name: &str, kind: Option<&str>| serde_json::json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = serde_json::json!({
            "packages": [
                package("root", "bin"), package("used", "lib"), package("derive", "proc-macro"),
                package("syn", "lib"), package("tempfile", "lib"),
            ],
            "resolve": {"nodes": [
                {"id": "root", "deps": [depends("used", None), depends("derive", None), depends("tempfile", Some("dev"))]},
                {"id": "derive", "deps": [depends("syn", None)]},
            ]},
        });
        let lock = "[[package]]\nname = 'used'\nversion = '1.0.0'\nchecksum = 'ab'\n[[package]]\nname = 'root'\nversion = '1.0.0'\n";
        let checksums = checksums(lock).unwrap();
        assert_eq!(linked(&metadata, &checksums, &["root"]).unwrap(), [crates("root"), crates("used")]);
        assert!(linked(&metadata, &checksums, &["other"]).unwrap_err().to_string().contains("other"));
    }

    #[test]
    fn firmware_is_a_directory_if_it_looks_like_one() {
        assert_eq!(firmware("firmware-bnx2x"), Firmware::Package("firmware-bnx2x".to_owned()));
        assert_eq!(firmware("./firmware"), Firmware::Directory(PathBuf::from("./firmware")));
    }
}
