//! `ipa-host plugins list` and `ipa-host plugins check`.

use std::path::Path;
use std::process::ExitCode;

use super::{BAD_NEWS, Failure, start};
use crate::cli::{CONTROL_SOCKET, CheckOptions, ListOptions, RunOptions};
use crate::control;
use crate::plugins::Status;
use crate::plugins::check::{self, Verdict};

/// Lists the plugins of the running host, or loads them itself if none runs.
pub(super) async fn list(options: ListOptions, outer: RunOptions) -> Result<ExitCode, Failure> {
    // A directory on the command line asks for that directory, not for what runs.
    let named = options.common.flags.set("plugin_dir") || outer.common.flags.set("plugin_dir");
    let socket = options.control_socket.or(outer.control_socket);
    let running = match (&socket, named) {
        (None, true) => None,
        _ => ask(socket.as_deref().unwrap_or(Path::new(CONTROL_SOCKET))).await?,
    };
    let here = running.is_none();
    let status = match running {
        Some(status) => status,
        None => {
            let registry = start::look(options.common.or(outer.common)).await?;
            let status = registry.status();
            registry.stop().await;
            status
        }
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{status}");
        if here {
            println!("\nNo host was asked; the plugins were loaded for this list and have ended.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(socket: &Path) -> Result<Option<Status>, Failure> {
    let answer = control::ask(socket).await.map_err(|error| {
        let socket = socket.display();
        Failure::new(format!("{socket}: the running host does not answer; it may still load its plugins: {error}"))
    })?;
    answer
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| Failure::new(format!("the running host is of another version than this program: {error}")))
}

/// Checks a plugin file.
pub(super) fn check(options: &CheckOptions) -> Result<ExitCode, Failure> {
    let report = check::check(&options.file, options.plugin_key.as_deref());
    if options.comment {
        let comment = report.signature.as_ref().and_then(|signature| signature.comment.as_deref());
        let no_comment = || Failure::new(format!("{report}nothing can be said in a signature of it"));
        println!("{}", comment.ok_or_else(no_comment)?);
        return Ok(ExitCode::SUCCESS);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.verdict == Verdict::Refused { ExitCode::from(BAD_NEWS) } else { ExitCode::SUCCESS })
}
