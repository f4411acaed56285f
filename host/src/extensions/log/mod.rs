//! Log collection: everything that helps to find out why a deployment failed, as one archive.
//!
//! A part that cannot be had is replaced by a member that says why. (The Python agent fails the whole command then,
//! just when the logs are wanted most.)

mod archive;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::{Value, json};
use slog::{info, warn};

use self::archive::Archive;
use super::{CommandSpec, Extension, Invocation, Kind};
use crate::agent::Agent;
use crate::managers::CallContext;
use crate::process::{ProcessError, Request};

/// Longest time for the journal.
const JOURNAL_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes kept of the journal.
const JOURNAL_LIMIT: usize = 32 * 1024 * 1024;
/// Where logs are without a journal.
const LOG_DIR: &str = "/var/log";

pub(super) static EXTENSION: Extension = Extension {
    name: "log",
    commands: &[CommandSpec::new("collect_system_logs", Kind::Sync, |call| Box::pin(run(call)))],
};

async fn run(call: Invocation) -> HwResult<Value> {
    Ok(json!({ "system_logs": collect(&call.agent, &call.call, call.agent.settings().journal_lines).await? }))
}

/// Collects the logs of the system, of the agent and of all managers: a base64 text of a gzipped tar archive. Of the
/// journal it takes the last lines, or all.
///
/// # Errors
/// The archive could not be made at all.
pub async fn collect(agent: &Arc<Agent>, call: &CallContext, journal_lines: Option<u32>) -> HwResult<String> {
    info!(agent.log(), "collecting logs");
    let journal = journal(agent, call, journal_lines).await;
    let answers = agent.managers().dispatch_all(call, "collect_system_logs", json!({})).await;
    let failure = answers.err().map(|error| error.to_string());
    if let Some(error) = &failure {
        warn!(agent.log(), "not all managers gave their logs"; "error" => error);
    }
    let attached = call.take_logs();
    let own = agent.logging().ring().text();
    let pack = move || -> std::io::Result<String> {
        let mut archive = Archive::new();
        archive.add("ipa-host.log", own.as_bytes())?;
        match journal {
            Journal::Text(text) => archive.add("journal", &text)?,
            Journal::Absent(why) => {
                archive.add("journal.error", why.as_bytes())?;
                tree::add(&mut archive, Path::new(LOG_DIR))?;
            }
        }
        if let Some(error) = failure {
            archive.add("managers.error", error.as_bytes())?;
        }
        for (name, bytes) in attached {
            archive.add(&name, &bytes)?;
        }
        Ok(BASE64_STANDARD.encode(archive.finish()?))
    };
    let packed =
        tokio::task::spawn_blocking(pack).await.map_err(|error| HwError::command_execution(error.to_string()))?;
    packed.map_err(|error| HwError::command_execution(format!("cannot pack the logs: {error}")))
}

enum Journal {
    Text(Vec<u8>),
    Absent(String),
}

/// The journal since boot, as text.
async fn journal(agent: &Agent, call: &CallContext, lines: Option<u32>) -> Journal {
    let mut argv = vec!["journalctl".to_owned(), "--full".into(), "--no-pager".into(), "-b".into()];
    if let Some(lines) = lines {
        argv.extend(["-n".into(), lines.to_string()]);
    }
    let request = Request::new(argv).deadline(JOURNAL_DEADLINE).keep(JOURNAL_LIMIT).for_call(call);
    match agent.runner().run(request).await {
        Ok(output) => Journal::Text(output.stdout.into_bytes()),
        Err(error) => {
            if !matches!(error, ProcessError::NotFound { .. }) {
                warn!(agent.log(), "no journal"; "error" => %error);
            }
            Journal::Absent(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Settings;
    use crate::testing::agent_with;

    #[tokio::test]
    async fn the_archive_has_the_agents_and_the_managers_logs() {
        let agent = agent_with(Settings::default());
        info!(agent.log(), "a line of the agent");
        let text = collect(&agent, &CallContext::new(), None).await.unwrap();
        let members = archive::read(&BASE64_STANDARD.decode(text).unwrap());
        let text = |name: &str| String::from_utf8_lossy(&members[name]).into_owned();
        assert!(text("ipa-host.log").contains("a line of the agent"));
        assert_eq!(text("acme/controller"), "ok\n");
        assert!(members.contains_key("journal") || members.contains_key("journal.error"));
    }
}
