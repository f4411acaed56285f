//! The binary and the plugin files under test.
//!
//! Cargo tells an integration test where the binaries of its own package are, not those of others, so the target
//! directory is found from the test's own place. Cargo builds what the tests need before the first test asks, once per
//! test program and one program at a time; a build with nothing to do takes a moment. Set `IPA_TESTS_PREBUILT` where
//! everything has been built already.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

/// Packages whose libraries are plugins.
const PLUGINS: [&str; 3] = ["ipa-generic", "ipa-example-minimal", "ipa-example-vendor-device"];

/// The binary `ipa-host`.
pub fn host_binary() -> PathBuf {
    built().join("ipa-host")
}

/// The plugin file of a package, for example `ipa-generic`.
pub fn plugin(package: &str) -> PathBuf {
    assert!(PLUGINS.contains(&package), "{package} is not built for the tests");
    existing(built().join(format!("lib{}.so", package.replace('-', "_"))))
}

/// The well-behaved plugin: name `acme`, class `Acme`, support 3, clean step `acme_erase_cache` of priority 40.
pub fn minimal() -> PathBuf {
    plugin("ipa-example-minimal")
}

/// A plugin of `tests/misbehaving/examples`, by the name of its source file.
pub fn misbehaving(name: &str) -> PathBuf {
    existing(built().join("examples").join(format!("lib{name}.so")))
}

/// The plugin `panic_abort`, built with `panic = "abort"`.
pub fn panic_abort() -> PathBuf {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        cargo(&["build", "--package", "ipa-misbehaving", "--profile", "abort", "--example", "panic_abort"]);
    });
    existing(target_dir().join("abort/examples/libpanic_abort.so"))
}

/// The program `ipa-load`.
pub fn load_tool() -> PathBuf {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| cargo(&["build", "--package", "ipa-load"]));
    existing(profile_dir().join("ipa-load"))
}

/// The program `iso-image-create`.
pub fn iso_image_create() -> PathBuf {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| cargo(&["build", "--package", "ipa-imagebuild"]));
    existing(profile_dir().join("iso-image-create"))
}

/// The workspace's root.
pub fn workspace() -> &'static Path {
    // `tests` is a folder of the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace")
}

/// Cargo's target directory, found from the place of the running test.
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile's directory is in the target directory").to_owned()
}

/// Holds a lock that other test programs respect until the file is dropped.
pub(crate) fn lock() -> File {
    let path = target_dir().join("ipa-tests.lock");
    let file = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    flock(&file, FlockOperation::LockExclusive).expect("a regular file can be locked");
    file
}

/// The directory of the profile, for example `target/debug`, with everything built.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = profile_dir();
        if std::env::var_os("IPA_TESTS_PREBUILT").is_none() {
            // Apart, as vendors build: the host's features of plugin-api must not get into plugins.
            cargo(&["build", "--package", "ipa-host", "--bins"]);
            let packages = PLUGINS.iter().chain(&["ipa-misbehaving"]).flat_map(|name| ["--package", name]);
            let arguments: Vec<&str> = ["build", "--lib", "--examples"].into_iter().chain(packages).collect();
            cargo(&arguments);
        }
        directory
    })
}

fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    // target/PROFILE/deps/NAME-HASH
    test.ancestors().nth(2).expect("a test lies in target/PROFILE/deps").to_owned()
}

fn cargo(arguments: &[&str]) {
    let _lock = lock();
    let mut command = ipa_imagebuild::cargo::cargo(workspace());
    command.args(arguments).args(["--offline", "--target-dir"]).arg(target_dir());
    if profile_dir().ends_with("release") && !arguments.contains(&"--profile") {
        command.arg("--release");
    }
    let output = command.output().unwrap_or_else(|error| panic!("cargo {}: {error}", arguments.join(" ")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {} failed:\n{said}", arguments.join(" "));
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} was not built", path.display());
    path
}
