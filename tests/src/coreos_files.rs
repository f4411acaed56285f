//! What runs the agent on Fedora CoreOS, made once for a program under test and kept in the build directory.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use ipa_imagebuild::coreos::{self, Base};
use ipa_imagebuild::deb;

use crate::artifacts;
use crate::debian::RELEASE;

/// Where the test runner says that packages are; without it one is built of the programs under test.
const BUILT: &str = "IPA_PACKAGES";
/// Those of the packages that tests need. The others would only take time.
const PACKAGES: [&str; 4] = ["ca-certificates", "kmod", "parted", "udev"];
/// Where the tests' Ignition configuration has the file system from.
pub const URL: &str = "http://192.0.2.1/ipa-rootfs.tar.gz";

/// What is made of a program under test.
#[derive(Debug, Clone)]
pub struct CoreosFiles {
    /// The agent's Debian package.
    pub package: PathBuf,
    /// The packed file system, as `cargo xtask coreos` makes it, with few tools.
    pub root_file_system: PathBuf,
    /// The configuration that goes with it.
    pub ignition: PathBuf,
}

/// Makes it, or finds what another test made of the same program.
pub fn coreos_files() -> CoreosFiles {
    let built = std::env::var_os(BUILT).map(|directory| package(Path::new(&directory)));
    let programs = match &built {
        Some(package) => vec![package.clone()],
        None => vec![artifacts::host_binary(), artifacts::plugin("ipa-generic"), artifacts::iso_image_create()],
    };
    let _lock = artifacts::lock();
    let top = artifacts::target_dir().join("test-trees");
    let directory = top.join(format!("{:016x}", digest(&programs)));
    let done = directory.join("done");
    if !done.is_file() {
        // Those of former programs are of no use any more, and large.
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(&directory).expect("the build directory can be written to");
        let package = built.clone().unwrap_or_else(|| pack(&directory, &programs));
        make(&directory, &package);
        fs::write(&done, "").expect("the build directory can be written to");
    }
    CoreosFiles {
        package: built.unwrap_or_else(|| package(&directory)),
        root_file_system: directory.join(coreos::ROOT_FILE_SYSTEM),
        ignition: directory.join(coreos::IGNITION),
    }
}

/// Packs the programs, which a debug build makes too large to be packed as they are.
fn pack(directory: &Path, programs: &[PathBuf]) -> PathBuf {
    let stripped = directory.join("programs");
    fs::create_dir_all(&stripped).expect("the build directory can be written to");
    for program in programs {
        let to = stripped.join(program.file_name().expect("a file"));
        let status = Command::new("strip").arg("-o").arg(&to).arg(program).status().expect("binutils are installed");
        assert!(status.success(), "strip {}", program.display());
    }
    let plan = deb::Plan {
        repository: artifacts::workspace(),
        programs: &stripped,
        work: &directory.join("work"),
        output: directory,
    };
    deb::build(&plan).unwrap_or_else(|failure| panic!("{failure}"));
    package(directory)
}

fn make(directory: &Path, package: &Path) {
    let base = Base::new(RELEASE, PACKAGES.map(str::to_owned).to_vec());
    let plan = coreos::Plan { repository: artifacts::workspace(), package, base: &base, url: URL, output: directory };
    coreos::build(&plan).unwrap_or_else(|failure| panic!("{failure}"));
}

fn package(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("the build directory can be read");
    let mut files = entries.flatten().map(|entry| entry.path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ipa-host_"));
    files.find(named).expect("a package was built")
}

/// Of the programs, and of everything that gets into package, file system and configuration.
fn digest(programs: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut files = programs.to_vec();
    for directory in ["coreos", "deb", "systemd", "src/coreos", "src/deb"] {
        let directory = artifacts::workspace().join("imagebuild").join(directory);
        let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.append(&mut found);
    }
    for file in files {
        hasher.write(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    }
    for package in PACKAGES {
        hasher.write(package.as_bytes());
    }
    hasher.finish()
}
