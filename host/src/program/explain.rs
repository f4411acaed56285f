//! `ipa-host explain ...`: why the host does what it does.

use std::process::ExitCode;

use super::{Failure, start};
use crate::cli::{ExplainMethodOptions, RunOptions};

/// Says which managers would be asked for a method.
pub(super) async fn method(options: ExplainMethodOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    let registry = start::look(options.common.or(outer.common)).await?;
    let explanation = registry.explain(&options.name);
    registry.stop().await;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
    } else {
        print!("{explanation}");
    }
    Ok(ExitCode::SUCCESS)
}
