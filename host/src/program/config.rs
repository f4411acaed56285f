//! `ipa-host config`: what the agent would run with, and who said so.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::Failure;
use super::start::{self, Media, Told};
use crate::cli::{ConfigOptions, RunOptions, config_table};

/// Prints every option, its value and its source, or the reference of all options.
pub(super) async fn run(options: ConfigOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    if options.reference {
        if options.json {
            println!("{}", serde_json::to_string_pretty(&config_table::reference_json())?);
        } else {
            print!("{}", config_table::reference());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let root = options.root.as_deref().unwrap_or(Path::new("/"));
    let flags = options.flags.or(outer.flags);
    let runner = start::runner()?;
    let told = Told::read(root, Media::Read, &runner, options.common.or(outer.common), flags.all()).await?;
    let settings = told.config().settings();
    if options.json {
        let document = json!({"options": config_table::json(&settings), "warnings": told.warnings()});
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print!("{}", config_table::render(&settings));
        for warning in told.warnings() {
            eprintln!("warning: {warning}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
