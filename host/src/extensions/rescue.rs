//! The start of rescue mode: the machine's user gets in, and the agent goes away.
//!
//! Ironic changes the network after the answer, so that the API would be in the user's reach: it ends, and the marker
//! keeps a restarted agent from serving it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::Value;
use sha_crypt::{PasswordHasher, ShaCrypt};
use slog::{debug, warn};

use super::{CommandSpec, Extension, Invocation, Kind};
use crate::config::boolean::is_true;
use crate::root::Root;

/// What the ramdisk's unit for the rescue user waits for, below the root.
const PASSWORD_FILE: &str = "etc/ipa-rescue-config/ipa-rescue-password";
/// What tells the next start of the agent that the machine is in rescue mode, below the root.
const MARKER: &str = "etc/.rescued";
/// Longest password or hash, in bytes.
const LIMIT: usize = 4096;
/// Random bytes of a salt, which has 16 characters then.
const SALT: usize = 12;
/// The number of rounds that goes without saying.
const DEFAULT_ROUNDS: &str = "rounds=5000$";

pub(super) static EXTENSION: Extension = Extension {
    name: "rescue",
    commands: &[CommandSpec {
        optional: &["rescue_password", "hashed"],
        changes_machine: true,
        ..CommandSpec::new("finalize_rescue", Kind::Sync, |call| Box::pin(finalize_rescue(call)))
    }],
};

async fn finalize_rescue(mut call: Invocation) -> HwResult<Value> {
    let (password, hashed) = (text(&call.take("rescue_password"))?, is_true(&call.take("hashed")));
    let (log, root) = (call.agent.log().clone(), call.agent.settings().root.clone());
    debug!(log, "writing the rescue password's hash"; "file" => %format_args!("/{PASSWORD_FILE}"));
    let write = move || -> HwResult<Option<io::Error>> {
        let hash = if hashed { checked(&password)?.to_owned() } else { hash(&password)? };
        replace(&root.path(PASSWORD_FILE), hash.as_bytes()).map_err(|error| {
            HwError::command_execution(format!("/{PASSWORD_FILE}: the rescue password cannot be written: {error}"))
        })?;
        Ok(mark(&root).err())
    };
    // Hashing takes its time.
    let marked = tokio::task::spawn_blocking(write).await;
    if let Some(error) = marked.map_err(|error| HwError::command_execution(error.to_string()))?? {
        warn!(log, "a restarted agent would not know that the machine is rescued";
            "file" => %format_args!("/{MARKER}"), "error" => %error);
    }
    call.agent.stop_serving();
    Ok(Value::Null)
}

/// True if the machine was put into rescue mode since it booted.
pub fn is_rescued(root: &Root) -> bool {
    root.path(MARKER).exists()
}

/// The text of the argument, as `str()` of Python gives it for what JSON has besides text and is no accident.
fn text(argument: &Value) -> HwResult<String> {
    let text = match argument {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(HwError::invalid_command_params("rescue_password must be text")),
    };
    if text.len() > LIMIT {
        return Err(HwError::invalid_command_params(format!("rescue_password is longer than {LIMIT} bytes")));
    }
    Ok(text)
}

/// A hash as it may stand in a line of `/etc/shadow`. Without any, anyone would get in.
fn checked(hash: &str) -> HwResult<&str> {
    if hash.is_empty() || hash.contains(|c: char| c.is_control() || matches!(c, ':' | ' ')) {
        return Err(HwError::invalid_command_params(
            "rescue_password is no hash of a password: it is empty, or has blanks, colons or control characters",
        ));
    }
    Ok(hash)
}

/// The SHA-256 crypt of a password, as the Python agent writes it.
fn hash(password: &str) -> HwResult<String> {
    let failed = |error: &dyn std::fmt::Display| {
        HwError::command_execution(format!("the rescue password cannot be hashed: {error}"))
    };
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|error| failed(&error))?;
    let hash = ShaCrypt::SHA256.hash_password_with_salt(password.as_bytes(), &salt).map_err(|error| failed(&error))?;
    Ok(hash.to_string().replacen(DEFAULT_ROUNDS, "", 1))
}

/// Puts a file in place at once: whoever waits for it finds it whole. The directory belongs to the ramdisk; without it
/// nobody waits.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        // It holds the hash; its removal is all that can still be tried.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn mark(root: &Root) -> io::Result<File> {
    File::create(root.path(MARKER))
}

#[cfg(test)]
mod tests;
