//! Has the linker put what the idle agent runs side by side.
//!
//! Linux maps a file in pieces of 64 KiB. The functions that the agent runs are a fifth of the program, and spread over
//! it they would have nearly all of it mapped, in the host and in each worker. `cargo xtask resident` lists them.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const NAMES: &str = "resident.txt";

fn main() {
    println!("cargo::rerun-if-changed={NAMES}");
    let is = |variable: &str, value: &str| env::var(variable).as_deref() == Ok(value);
    // Only GNU's linker and LLVM's read such scripts. What is built for development is not laid out, to link quickly.
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("PROFILE", "release") {
        return;
    }
    let names = fs::read_to_string(NAMES).expect("the list beside this script");
    let mut script = "SECTIONS\n{\n  .text.resident :\n  {\n".to_owned();
    for name in names.lines().filter(|line| !line.starts_with('#')) {
        // The compiler keeps functions that it thinks are seldom called apart.
        writeln!(script, "    *(.text.{name} .text.unlikely.{name})").expect("memory");
    }
    script.push_str("  }\n}\nINSERT BEFORE .text;\n");
    let path = Path::new(&env::var("OUT_DIR").expect("set by cargo")).join("resident.ld");
    fs::write(&path, script).expect("a directory of our own");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", path.display());
}
