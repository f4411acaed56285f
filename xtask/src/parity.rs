//! `cargo xtask parity`: rewrites the totals in README.md. The reading is done by the test that also checks them.

use std::time::Duration;

use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::process;

use crate::cargo::cargo;

pub(crate) fn run() -> Outcome {
    let mut cargo = cargo(&["test", "--quiet", "--package", "ipa-tests", "--test", "parity"]);
    process::run(cargo.env("IPA_PARITY_WRITE", "1"), Duration::from_secs(1800))
}
