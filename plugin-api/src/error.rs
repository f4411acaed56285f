//! The errors a hardware manager can raise, under the class names that Ironic shows to operators.
//!
//! Every error has a class, an HTTP status, a fixed message of its class and free details. What the conductor puts
//! into a node's `last_error` is the details, so details must name what was tried, on what, and with what result.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a manager's method gives back.
pub type HwResult<T> = Result<T, HwError>;

/// How the dispatcher treats an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The manager has no such method: the next manager is asked.
    Absent,
    /// The method does not fit this hardware: the next manager is asked.
    Incompatible,
    /// The manager's own configuration is wrong: dispatch stops.
    Configuration,
    /// The method failed: dispatch stops.
    Failed,
    /// The method panicked: dispatch stops.
    Panicked,
    /// The call was cancelled by the host: dispatch stops.
    Cancelled,
    /// The arguments do not fit the method: dispatch stops.
    BadArguments,
}

/// An error as it travels from a manager to Ironic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HwError {
    kind: ErrorKind,
    class: Cow<'static, str>,
    code: u16,
    message: Cow<'static, str>,
    details: String,
    agent_defined: bool,
}

/// The JSON form of an error on its way through the seam.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    class: Cow<'a, str>,
    #[serde(default = "internal")]
    code: u16,
    #[serde(default)]
    message: Cow<'a, str>,
    #[serde(default)]
    details: Cow<'a, str>,
    #[serde(default)]
    agent_defined: bool,
}

fn internal() -> u16 {
    500
}

macro_rules! classes {
    ($( $(#[$doc:meta])* $name:ident = $class:literal, $code:literal, $message:literal; )*) => {
        impl HwError {
            $( $(#[$doc])*
            pub fn $name(details: impl Into<String>) -> Self {
                Self::agent($class, $code, $message, details)
            } )*
        }
    };
}

classes! {
    /// A clean step failed.
    cleaning = "CleaningError", 500, "Clean step failed";
    /// A deploy step failed.
    deployment = "DeploymentError", 500, "Deploy step failed";
    /// A service step failed.
    servicing = "ServicingError", 500, "Service step failed";
    /// A command, most often an external tool, failed.
    command_execution = "CommandExecutionError", 500, "Command execution failed";
    /// A block device could not be erased.
    block_device_erase = "BlockDeviceEraseError", 500, "Error erasing block device";
    /// A block device misbehaved.
    block_device = "BlockDeviceError", 500, "Block device caused unknown error";
    /// A software RAID could not be made, read or removed.
    software_raid = "SoftwareRAIDError", 500, "Software RAID caused unknown error";
    /// The configuration on virtual media could not be used.
    virtual_media_boot = "VirtualMediaBootError", 500, "Configuring agent from virtual media failed";
    /// No device fits: the root device hints match nothing, or the device vanished.
    device_not_found = "DeviceNotFound", 404,
        "Error finding the disk or partition device to deploy the image onto";
    /// The image failed validation.
    invalid_image = "InvalidImage", 500, "The provided image is not valid for use";
    /// The image could not be downloaded.
    image_download = "ImageDownloadError", 500, "Error downloading image";
    /// The download took longer than allowed.
    image_download_timeout = "ImageDownloadTimeoutError", 408, "Image download timeout";
    /// The image does not match its checksum.
    image_checksum = "ImageChecksumError", 500, "Error verifying image checksum";
    /// The image could not be written to a device.
    image_write = "ImageWriteError", 500, "Error writing image to device";
    /// The machine could not be rebooted or powered off.
    system_reboot = "SystemRebootError", 500, "Error rebooting system";
    /// The system clock could not be set.
    clock_sync = "ClockSyncError", 500, "Error syncing system clock";
    /// A NUMA table could not be read.
    incompatible_numa_format = "IncompatibleNumaFormatError", 500, "Error in NUMA node data format";
    /// The request body is wrong.
    invalid_content = "InvalidContentError", 400, "Invalid request body";
    /// The command does not exist or may not run now.
    invalid_command = "InvalidCommandError", 400, "Invalid command";
    /// The arguments of a step or command are wrong.
    invalid_command_params = "InvalidCommandParamsError", 400, "Invalid command parameters";
}

impl HwError {
    /// An agent-defined error of any class: it reaches Ironic unchanged, whichever command it stops.
    pub fn agent(
        class: impl Into<Cow<'static, str>>,
        code: u16,
        message: impl Into<Cow<'static, str>>,
        details: impl Into<String>,
    ) -> Self {
        Self {
            kind: ErrorKind::Failed,
            class: class.into(),
            code,
            message: message.into(),
            details: details.into(),
            agent_defined: true,
        }
    }

    /// A failure that is not one of the agent's classes. A step command wraps it into its own class
    /// (`CleaningError`, `DeploymentError`, `ServicingError`) and keeps class and details in the text.
    pub fn other(class: impl Into<Cow<'static, str>>, details: impl Into<String>) -> Self {
        Self { agent_defined: false, ..Self::agent(class, 500, "", details) }
    }

    /// The method exists but does not fit this hardware; the next manager is asked.
    pub fn incompatible(details: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Incompatible,
            ..Self::agent(
                "IncompatibleHardwareMethodError",
                500,
                "HardwareManager method is not compatible with hardware",
                details,
            )
        }
    }

    /// The manager has no such method; the next manager is asked.
    pub fn absent(method: &str) -> Self {
        Self {
            kind: ErrorKind::Absent,
            ..Self::agent(
                "HardwareManagerMethodNotFound",
                500,
                "No HardwareManager found to handle method",
                format!("Could not find method: {method}"),
            )
        }
    }

    /// The manager's configuration (its section, a file it reads) is wrong; no other manager is asked.
    pub fn configuration(details: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Configuration,
            ..Self::agent("HardwareManagerConfigurationError", 500, "Hardware manager configuration error", details)
        }
    }

    /// The call was cancelled; raise it once `Cx::is_cancelled` is true.
    pub fn cancelled(details: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Cancelled, ..Self::command_execution(details) }
    }

    /// The arguments do not fit the method's signature.
    pub fn bad_arguments(details: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadArguments, ..Self::other("TypeError", details) }
    }

    /// The method panicked. Made by the glue, not by managers.
    pub fn panicked(details: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Panicked, ..Self::command_execution(details) }
    }

    /// A device is protected (a cluster file system lives on it), so cleaning must stop.
    pub fn protected_device(device: &str, what: &str) -> Self {
        let text = format!(
            "Protected {what} located on device {device}. It may be shared with other machines. Ask your storage \
             administrator, then detach the volume or allow the agent to erase it \
             (wipe_special_filesystems), and restart cleaning."
        );
        Self::agent("ProtectedDeviceError", 500, text.clone(), text)
    }

    /// How the dispatcher treats it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The class name, for example `CleaningError`.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The HTTP status it has if it ends a request.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The fixed text of the class.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What happened, in the manager's words.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// True for the agent's own classes, false for foreign failures such as an I/O error.
    pub fn is_agent_defined(&self) -> bool {
        self.agent_defined
    }

    /// True if a dispatch found no manager that answers, as opposed to one that failed.
    pub fn is_method_not_found(&self) -> bool {
        self.class == "HardwareManagerMethodNotFound"
    }

    /// The same error with other details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// The reply code and JSON body that carry this error through the seam.
    pub fn to_reply(&self) -> (u32, Vec<u8>) {
        let wire = Wire {
            class: Cow::Borrowed(&self.class),
            code: self.code,
            message: Cow::Borrowed(&self.message),
            details: Cow::Borrowed(&self.details),
            agent_defined: self.agent_defined,
        };
        // Strings and integers always serialise.
        (crate::reply::code_of(self.kind), serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads an error reply. A body that is no error object becomes the details, so nothing is lost.
    pub fn from_reply(code: u32, body: &[u8]) -> Self {
        let kind = crate::reply::kind_of(code);
        match serde_json::from_slice::<Wire<'_>>(body) {
            Ok(wire) => Self {
                kind,
                class: Cow::Owned(wire.class.into_owned()),
                code: wire.code,
                message: Cow::Owned(wire.message.into_owned()),
                details: wire.details.into_owned(),
                agent_defined: wire.agent_defined,
            },
            Err(_) => Self {
                kind,
                ..Self::command_execution(format!(
                    "the plugin answered with code {code} and no readable error: {}",
                    String::from_utf8_lossy(&body[..body.len().min(512)])
                ))
            },
        }
    }
}

impl fmt::Display for HwError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{}: {}", self.class, self.details)
        } else if self.details.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.message, self.details)
        }
    }
}

impl std::error::Error for HwError {}

impl From<std::io::Error> for HwError {
    fn from(error: std::io::Error) -> Self {
        Self::other("OSError", error.to_string())
    }
}

impl From<serde_json::Error> for HwError {
    fn from(error: serde_json::Error) -> Self {
        Self::other("ValueError", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_seam() {
        let error = HwError::cleaning("step acme_erase_cache: controller 0 answered 0x11");
        let (code, body) = error.to_reply();
        assert_eq!(code, crate::reply::FAILED);
        assert_eq!(HwError::from_reply(code, &body), error);
    }

    #[test]
    fn the_kind_follows_the_code_and_not_the_body() {
        let (_, body) = HwError::incompatible("no such controller").to_reply();
        assert_eq!(HwError::from_reply(crate::reply::INCOMPATIBLE, &body).kind(), ErrorKind::Incompatible);
        assert_eq!(HwError::from_reply(99, &body).kind(), ErrorKind::Failed);
    }

    #[test]
    fn an_unreadable_body_is_kept_as_details() {
        let error = HwError::from_reply(crate::reply::FAILED, b"\xffoops");
        assert!(error.details().contains("oops"), "{error}");
    }

    #[test]
    fn text_is_message_and_details() {
        assert_eq!(HwError::cleaning("why").to_string(), "Clean step failed: why");
        assert_eq!(HwError::other("ValueError", "bad").to_string(), "ValueError: bad");
    }
}
