//! `ipa-host explain ...`: why the host does what it does.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{BAD_NEWS, Failure, start};
use crate::cli::{ExplainMethodOptions, ExplainRootDeviceOptions, RunOptions, root_device_table};
use crate::managers::{CallContext, Managers};
use crate::plugins::Registry;

/// Largest description of a node, in bytes.
const NODE_LIMIT: u64 = 16 << 20;

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

/// Says which disk would be the root device of a node. Nothing is written.
pub(super) async fn root_device(options: ExplainRootDeviceOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    let node = match (&options.node, options.hints) {
        (Some(file), _) => node(file)?,
        (None, Some(hints)) => json!({"instance_info": {"root_device": hints}}),
        (None, None) => json!({}),
    };
    let registry = start::look(options.common.or(outer.common)).await?;
    let explanation = registry
        .dispatch(&CallContext::new(), "explain_root_device", json!({"node": node}))
        .await
        .map_err(|error| Failure::new(format!("the root device cannot be explained: {error}")));
    let before = asked_before(&registry);
    registry.stop().await;
    let mut explanation = explanation?;
    explanation["asked_before"] = json!(before);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
    } else {
        print!("{}", root_device_table::render(&explanation));
    }
    Ok(if explanation["root_device"].is_null() { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS })
}

/// The managers that may choose a root device before the one that explains its choice is asked.
fn asked_before(registry: &Registry) -> Vec<String> {
    let explaining = registry.explain("explain_root_device").asked;
    // A dynamic manager is asked for everything, and answers what it likes.
    let explaining = explaining.into_iter().find(|asked| asked.because == "declares").map(|asked| asked.name);
    let choosing = registry.explain("get_os_install_device").asked.into_iter().map(|asked| asked.name);
    choosing.take_while(|name| Some(name) != explaining.as_ref()).collect()
}

/// A node as `openstack baremetal node show --format json` prints it.
fn node(file: &Path) -> Result<Value, Failure> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|file| file.take(NODE_LIMIT).read_to_end(&mut text))
        .map_err(|error| Failure::new(format!("{}: the node cannot be read: {error}", file.display())))?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{}: the node is no JSON: {error}", file.display())))
}
