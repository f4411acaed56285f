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
/// Longest time for what the managers add. Ironic waits a minute for all, and packing takes its time too.
const MANAGERS_DEADLINE: Duration = Duration::from_secs(45);
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
    let (journal, failure) = tokio::join!(journal(agent, call, journal_lines), ask_managers(agent, call));
    if let Some(error) = &failure {
        warn!(agent.log(), "not all managers gave their logs"; "error" => error);
    }
    let attached = call.take_logs();
    let own = agent.logging().ring().text();
    let log_file = agent.logging().file().map(Path::to_owned);
    let pack = move || pack(&own, log_file.as_deref(), journal, failure, attached, Path::new(LOG_DIR));
    let packed =
        tokio::task::spawn_blocking(pack).await.map_err(|error| HwError::command_execution(error.to_string()))?;
    packed.map_err(|error| HwError::command_execution(format!("cannot pack the logs: {error}")))
}

/// Has every manager attach what it knows. Gives what went wrong.
async fn ask_managers(agent: &Agent, call: &CallContext) -> Option<String> {
    let asked = agent.managers().dispatch_all(call, "collect_system_logs", json!({}));
    match tokio::time::timeout(MANAGERS_DEADLINE, asked).await {
        Ok(answers) => answers.err().map(|error| error.to_string()),
        Err(_) => Some(format!("the managers took longer than {} s for their logs", MANAGERS_DEADLINE.as_secs())),
    }
}

/// The archive as text. Without a journal the log directory is taken.
fn pack(
    own: &str,
    log_file: Option<&Path>,
    journal: Journal,
    failure: Option<String>,
    attached: Vec<(String, Vec<u8>)>,
    log_dir: &Path,
) -> std::io::Result<String> {
    let mut archive = Archive::new();
    archive.add("ipa-host.log", own.as_bytes())?;
    if let Some(path) = log_file.filter(|path| matches!(journal, Journal::Text(_)) || !path.starts_with(log_dir)) {
        tree::add_file(&mut archive, path)?;
    }
    match journal {
        Journal::Text(text) => archive.add("journal", &text)?,
        Journal::Absent(why) => {
            archive.add("journal.error", why.as_bytes())?;
            tree::add(&mut archive, log_dir)?;
        }
    }
    if let Some(error) = failure {
        archive.add("managers.error", error.as_bytes())?;
    }
    for (name, bytes) in attached {
        archive.add(&name, &bytes)?;
    }
    Ok(BASE64_STANDARD.encode(archive.finish()?))
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
    use crate::commands::Engine;
    use crate::process::{Runner, Spawner, find_program};
    use crate::testing::{FakeManagers, agent_with};

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

    fn members(text: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
        archive::read(&BASE64_STANDARD.decode(text).unwrap())
    }

    #[test]
    fn a_missing_part_is_told_and_the_rest_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("messages"), "a line").unwrap();
        let attached = || vec![("acme/controller".to_owned(), b"ok".to_vec())];
        let whole =
            members(&pack("own", None, Journal::Text(b"journal".to_vec()), None, attached(), dir.path()).unwrap());
        assert_eq!(whole.keys().collect::<Vec<_>>(), ["acme/controller", "ipa-host.log", "journal"]);

        let absent = Journal::Absent("no program journalctl".into());
        let part = pack("own", None, absent, Some("acme failed".into()), attached(), dir.path()).unwrap();
        let part = members(&part);
        let messages = dir.path().join("messages").to_string_lossy().trim_start_matches('/').to_owned();
        assert_eq!(part[&messages], b"a line");
        assert_eq!(part["journal.error"], b"no program journalctl");
        assert_eq!(part["managers.error"], b"acme failed");
        assert_eq!(part["acme/controller"], b"ok");
        assert!(!part.contains_key("journal"));
    }

    #[test]
    fn the_log_file_is_a_member_once() {
        let (logs, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&logs, &other] {
            std::fs::write(dir.path().join("agent.log"), "a line").unwrap();
        }
        let journal = || Journal::Text(b"journal".to_vec());
        let absent = || Journal::Absent("none".into());
        let name = |path: &Path| path.to_string_lossy().trim_start_matches('/').to_owned();
        for (dir, journal, absent) in [(&logs, journal(), absent()), (&other, journal(), absent())] {
            let file = dir.path().join("agent.log");
            for journal in [journal, absent] {
                let packed = members(&pack("own", Some(&file), journal, None, Vec::new(), logs.path()).unwrap());
                assert_eq!(packed[&name(&file)], b"a line");
            }
        }
        let gone = logs.path().join("gone.log");
        let packed = members(&pack("own", Some(&gone), journal(), None, Vec::new(), logs.path()).unwrap());
        assert_eq!(packed.keys().collect::<Vec<_>>(), ["ipa-host.log", "journal"]);
    }

    /// Every program of this agent is `echo`, which tells what it was to be.
    #[tokio::test]
    async fn the_journal_of_this_boot_is_asked_for() {
        let runner = Runner::with_shim(Spawner::start().unwrap(), vec!["/bin/echo".into()]);
        let settings = Settings { journal_lines: Some(7), ..Settings::default() };
        let logging = crate::log::Logging::to(std::io::sink, true);
        let agent = Agent::new(settings, Arc::new(FakeManagers::default()), runner, logging);
        let command = Engine::execute(&agent, "log.collect_system_logs".into(), super::super::Params::new()).await;
        let record: Value = serde_json::from_slice(&command.unwrap().to_json()).unwrap();
        let members = members(record["command_result"]["system_logs"].as_str().unwrap());
        if find_program(Path::new("journalctl")).is_some() {
            let journal = String::from_utf8_lossy(&members["journal"]).into_owned();
            assert!(journal.ends_with("journalctl --full --no-pager -b -n 7\n"), "{journal}");
        } else {
            assert!(members.contains_key("journal.error"), "{:?}", members.keys());
        }
    }
}
