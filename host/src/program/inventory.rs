//! `ipa-host inventory`: this machine's hardware as Ironic would see it.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::json;

use super::{Failure, start};
use crate::cli::{InventoryOptions, RunOptions, inventory_table};
use crate::managers::{CallContext, Managers};

/// Prints the inventory: a table on a terminal, JSON otherwise.
pub(super) async fn run(options: InventoryOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    let registry = start::look(options.common.or(outer.common)).await?;
    let inventory = registry
        .dispatch(&CallContext::new(), "list_hardware_info", json!({}))
        .await
        .map_err(|error| Failure::new(format!("no inventory: {error}")));
    registry.stop().await;
    let inventory = inventory?;
    if options.json || !std::io::stdout().is_terminal() {
        println!("{}", serde_json::to_string_pretty(&inventory)?);
    } else {
        print!("{}", inventory_table::render(&inventory));
    }
    Ok(ExitCode::SUCCESS)
}
