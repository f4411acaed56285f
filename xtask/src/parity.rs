//! `cargo xtask parity`: rewrites the totals in README.md. The reading is done by the test that also checks them.

use std::time::Duration;

use crate::failure::Outcome;
use crate::process;

pub(crate) fn run() -> Outcome {
    let mut cargo = process::cargo(&["test", "--quiet", "--package", "ipa-tests", "--test", "parity"]);
    process::run(cargo.env("IPA_PARITY_WRITE", "1"), Duration::from_secs(1800))
}
