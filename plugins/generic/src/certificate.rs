//! The certificate that the agent serves its API with: a new key and a self-signed certificate at each start.
//!
//! Ironic gets the certificate with the heartbeat and trusts it alone, so it names what Ironic checks, the one IP
//! address, and nothing else. The host has the cryptography, and makes it; what it is like, and where it lies, is
//! decided here.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ipa_plugin_api::prelude::*;
use serde::Deserialize;

use crate::root::Root;

/// Where certificate and key lie, below the root.
const DIRECTORY: &str = "run/ironic-python-agent";

/// The host's service that makes it.
const SERVICE: &str = "self_signed_certificate";
/// The curves that there are; the second one is the default.
const CURVES: [&str; 3] = ["p256", "p384", "p521"];
/// How far the certificate's beginning lies in the past unless told otherwise, in seconds.
const SKEW: u64 = 3600;

/// What the operator may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The curve of the key: p256, p384 or p521.
    pub curve: &'static str,
    /// How far the certificate's beginning lies in the past, in seconds, for an Ironic whose clock is late.
    pub skew: u64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { curve: CURVES[1], skew: SKEW }
    }
}

impl Choice {
    /// The choice of the plugin's configuration section, to which the host adds the options of these names.
    ///
    /// # Errors
    /// A value makes no sense; the text names it and what there is.
    pub fn read(cx: &Cx<'_>) -> HwResult<Self> {
        #[derive(Deserialize)]
        struct Section {
            tls_certificate_curve: Option<String>,
            auto_tls_allowed_clock_skew: Option<String>,
        }
        let section: Section = cx.config()?;
        Self::parse(section.tls_certificate_curve.as_deref(), section.auto_tls_allowed_clock_skew.as_deref())
    }

    fn parse(curve: Option<&str>, skew: Option<&str>) -> HwResult<Self> {
        let mut choice = Self::default();
        if let Some(curve) = curve {
            let known = CURVES.into_iter().find(|known| known.eq_ignore_ascii_case(curve.trim()));
            choice.curve = known.ok_or_else(|| {
                HwError::configuration(format!("tls_certificate_curve is {curve:?}; there are p256, p384 and p521"))
            })?;
        }
        if let Some(skew) = skew {
            choice.skew = skew.trim().parse().map_err(|_| {
                HwError::configuration(format!(
                    "auto_tls_allowed_clock_skew is {skew:?}; it is a number of seconds, 0 or more"
                ))
            })?;
        }
        Ok(choice)
    }
}

/// What the host makes.
#[derive(Deserialize)]
struct Pem {
    certificate: String,
    key: String,
}

/// Has a key and a certificate made for an address and writes both, readable by their owner alone.
///
/// # Errors
/// The address is none, or a file cannot be written; the text names it.
pub fn generate(
    cx: &Cx<'_>,
    root: &Root,
    ip_address: &str,
    host_name: &str,
    choice: &Choice,
) -> HwResult<TlsCertificate> {
    let address: IpAddr = ip_address
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| HwError::bad_arguments(format!("no certificate for {ip_address:?}: it is no IP address")))?;
    let wish =
        json!({"ip_address": address, "host_name": host_name, "curve": choice.curve, "clock_skew_s": choice.skew});
    keep(root, &cx.host(SERVICE, &wish)?)
}

fn keep(root: &Root, Pem { certificate, key }: &Pem) -> HwResult<TlsCertificate> {
    let directory = root.path(DIRECTORY);
    let (path, key_path) = (directory.join("agent.crt"), directory.join("agent.key"));
    fs::create_dir_all(&directory).map_err(|error| unwritten(&directory, &error))?;
    replace(&key_path, key)?;
    replace(&path, certificate)?;
    Ok(TlsCertificate { text: certificate.clone(), path: text(path), private_key_path: text(key_path) })
}

fn text(path: PathBuf) -> String {
    path.into_os_string().to_string_lossy().into_owned()
}

/// Writes a file anew, readable by its owner alone. It is in place at once or not at all, and a link that was planted
/// in its place is not followed.
fn replace(path: &Path, content: &str) -> HwResult<()> {
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(content.as_bytes())?;
        fs::rename(&draft, path)
    };
    write().map_err(|error| {
        // What is left of the draft is of no use; the error above is the one to tell.
        let _ = fs::remove_file(&draft);
        unwritten(path, &error)
    })
}

fn unwritten(path: &Path, error: &io::Error) -> HwError {
    HwError::command_execution(format!("{}: the agent's certificate cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests;
