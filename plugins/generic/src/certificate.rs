//! The certificate that the agent serves its API with: a new key and a self-signed certificate at each start.
//!
//! Ironic gets the certificate with the heartbeat and trusts it alone, so it names what Ironic checks, the one IP
//! address, and nothing else.

mod x509;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipa_plugin_api::prelude::*;
use serde::Deserialize;

use self::x509::Pem;
use crate::root::Root;

/// Where certificate and key lie, below the root.
const DIRECTORY: &str = "run/ironic-python-agent";

/// The curve of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    #[default]
    P384,
    /// NIST P-521.
    P521,
}

impl FromStr for Curve {
    type Err = HwError;

    fn from_str(text: &str) -> HwResult<Self> {
        match text.to_ascii_lowercase().as_str() {
            "p256" => Ok(Self::P256),
            "p384" => Ok(Self::P384),
            "p521" => Ok(Self::P521),
            _ => {
                Err(HwError::configuration(format!("tls_certificate_curve is {text:?}; there are p256, p384 and p521")))
            }
        }
    }
}

/// What the operator may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The curve of the key.
    pub curve: Curve,
    /// How far the certificate's beginning lies in the past, for an Ironic whose clock is late.
    pub skew: Duration,
}

impl Default for Choice {
    fn default() -> Self {
        Self { curve: Curve::default(), skew: Duration::from_secs(3600) }
    }
}

impl Choice {
    /// The choice of the plugin's configuration section, and below it of the kernel command line.
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
        let curve = match section.tls_certificate_curve {
            Some(curve) => Some(curve),
            None => cx.kernel_params()?.remove("ipa-tls-certificate-curve"),
        };
        Self::parse(curve.as_deref(), section.auto_tls_allowed_clock_skew.as_deref())
    }

    fn parse(curve: Option<&str>, skew: Option<&str>) -> HwResult<Self> {
        let mut choice = Self::default();
        if let Some(curve) = curve {
            choice.curve = curve.trim().parse()?;
        }
        if let Some(skew) = skew {
            let seconds = skew.trim().parse().map_err(|_| {
                HwError::configuration(format!(
                    "auto_tls_allowed_clock_skew is {skew:?}; it is a number of seconds, 0 or more"
                ))
            })?;
            choice.skew = Duration::from_secs(seconds);
        }
        Ok(choice)
    }
}

/// Makes a key and a certificate for an address and writes both, readable by their owner alone.
///
/// # Errors
/// The address is none, or a file cannot be written; the text names it.
pub fn generate(root: &Root, ip_address: &str, host_name: &str, choice: Choice) -> HwResult<TlsCertificate> {
    let address: IpAddr = ip_address
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .map_err(|_| HwError::bad_arguments(format!("no certificate for {ip_address:?}: it is no IP address")))?;
    let Pem { certificate, key } = x509::make(address, host_name, choice)
        .map_err(|error| HwError::command_execution(format!("no certificate for {address}: {error}")))?;
    let directory = root.path(DIRECTORY);
    let (path, key_path) = (directory.join("agent.crt"), directory.join("agent.key"));
    fs::create_dir_all(&directory).map_err(|error| unwritten(&directory, &error))?;
    replace(&key_path, &key)?;
    replace(&path, &certificate)?;
    Ok(TlsCertificate { text: certificate, path: text(path), private_key_path: text(key_path) })
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
