//! Prints the inventory of this machine as JSON, or how long taking it lasts.
//!
//! ```text
//! cargo run -p ipa-generic --example inventory
//! cargo run -p ipa-generic --example inventory --release -- --time 7
//! ```
//!
//! No tools are started, so a machine with a BMC shows none of its addresses.

use std::error::Error;
use std::time::{Duration, Instant};

use ipa_generic::inventory::Collector;
use ipa_generic::tools::{ToolError, ToolOutput, Tools};

struct NoTools;

impl Tools for NoTools {
    fn run(&self, argv: &[&str], _deadline: Duration) -> Result<ToolOutput, ToolError> {
        Err(ToolError::NotFound(argv[0].to_owned()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let inventory = Collector::live().inventory(None, &NoTools)?;
            println!("{}", serde_json::to_string_pretty(&inventory)?);
        }
        ["--time"] => time(7)?,
        ["--time", runs] => time(runs.parse()?)?,
        _ => return Err("usage: inventory [--time [RUNS]]".into()),
    }
    Ok(())
}

/// A new collector for every run, so that nothing is remembered.
fn time(runs: u32) -> Result<(), Box<dyn Error>> {
    let mut milliseconds = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        Collector::live().inventory(None, &NoTools)?;
        milliseconds.push((start.elapsed().as_secs_f64() * 1e6).round() / 1e3);
    }
    println!("{}", serde_json::json!({"runs": runs, "wall_ms": milliseconds}));
    Ok(())
}
