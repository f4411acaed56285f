//! What `finalize_rescue` leaves behind.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;

use ipa_plugin_api::error::HwError;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::agent::{Agent, Settings};
use crate::commands::Engine;
use crate::testing::agent_with;

/// An agent on a machine with the directory that the ramdisk has.
fn machine() -> (TempDir, Arc<Agent>) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("etc/ipa-rescue-config")).unwrap();
    let agent = agent_with(Settings { root: Root::at(directory.path()), ..Settings::default() });
    (directory, agent)
}

async fn rescue(agent: &Arc<Agent>, params: Value) -> Result<Value, HwError> {
    let Value::Object(params) = params else { panic!("params are an object") };
    let command = Engine::execute(agent, "rescue.finalize_rescue".into(), params).await?;
    Ok(serde_json::from_slice(&command.to_json()).unwrap())
}

#[tokio::test]
async fn the_file_holds_the_hash_alone_and_the_api_ends() {
    let (directory, agent) = machine();
    let hash = "$6$rounds=5000$salt$aB./9";
    let answer = rescue(&agent, json!({"rescue_password": hash, "hashed": true})).await.unwrap();
    assert_eq!((&answer["command_status"], &answer["command_result"]), (&json!("SUCCEEDED"), &Value::Null));
    let path = directory.path().join(PASSWORD_FILE);
    assert_eq!(fs::read_to_string(&path).unwrap(), hash);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    assert!(is_rescued(&agent.settings().root));
    assert!(!agent.is_serving() && !agent.is_locked_down(), "the network stays up");
    assert!(!agent.logging().ring().text().contains(hash), "the hash is no part of the log");
}

#[tokio::test]
async fn a_plain_password_is_hashed_as_crypt_does() {
    let (directory, agent) = machine();
    rescue(&agent, json!({"rescue_password": "pa\u{df}wort 1"})).await.unwrap();
    let hash = fs::read_to_string(directory.path().join(PASSWORD_FILE)).unwrap();
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "5", salt, _] = parts[..] else { panic!("{hash}") };
    assert_eq!(salt.len(), 16);
    let output = Command::new("openssl").args(["passwd", "-5", "-salt", salt, "pa\u{df}wort 1"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), hash);
    assert!(!agent.logging().ring().text().contains("wort"), "the password is no part of the log");
}

#[tokio::test]
async fn what_is_no_hash_is_refused_before_anything_happens() {
    let (directory, agent) = machine();
    for password in [json!(""), json!("$5$a$b\nroot::0:0:::"), json!("$5$a:$b"), json!(["x"]), json!("x".repeat(5000))]
    {
        let refusal = rescue(&agent, json!({"rescue_password": password, "hashed": true})).await.unwrap_err();
        assert_eq!((refusal.class(), refusal.code()), ("InvalidCommandParamsError", 400), "{password}");
    }
    assert!(agent.is_serving() && !is_rescued(&agent.settings().root));
    assert!(!directory.path().join(PASSWORD_FILE).exists());
    assert!(agent.engine().history().all().is_empty());
}

#[tokio::test]
async fn without_the_ramdisks_directory_the_command_fails_and_the_agent_stays() {
    let (directory, agent) = machine();
    fs::remove_dir(directory.path().join("etc/ipa-rescue-config")).unwrap();
    let answer = rescue(&agent, json!({"rescue_password": "$5$a$b", "hashed": true})).await.unwrap();
    assert_eq!(answer["command_status"], "FAILED");
    let details = answer["command_error"]["details"].as_str().unwrap();
    assert!(
        details.starts_with("/etc/ipa-rescue-config/ipa-rescue-password: the rescue password cannot be"),
        "{details}"
    );
    assert!(agent.is_serving() && !is_rescued(&agent.settings().root));
}

#[tokio::test]
async fn a_missing_marker_is_only_warned_about() {
    let (directory, agent) = machine();
    symlink("/nonexistent/marker", directory.path().join(MARKER)).unwrap();
    let answer = rescue(&agent, json!({"rescue_password": "$5$a$b", "hashed": true})).await.unwrap();
    assert_eq!(answer["command_status"], "SUCCEEDED");
    assert!(agent.logging().ring().text().contains("a restarted agent would not know"));
    assert!(!agent.is_serving());
}
