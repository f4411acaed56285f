//! The end of the machine's run: power-off and reboot, as the commands `standby.power_off` and `standby.run_image` ask
//! for them.
//!
//! The clocks are set, all managers flush what they hold, and then the system's own program is asked. Where that fails
//! or refuses, the kernel does it at once.

mod clock;

use std::fs::OpenOptions;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};
use serde_json::json;
use slog::{info, warn};

use crate::agent::Agent;
use crate::managers::CallContext;
use crate::process::Request;

pub(crate) use clock::is_server;
pub use clock::{ClockOptions, set_from_network};

/// Longest time for the system's program, which returns before the machine goes down.
const DEADLINE: Duration = Duration::from_secs(60);
/// Where the kernel takes orders, below the root.
const SYSRQ: &str = "proc/sysrq-trigger";
/// What `systemctl` says, with success, when it does nothing because it runs in a chroot.
const IGNORED: &str = "ignoring request";

/// What becomes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is powered off.
    PowerOff,
    /// It boots again, from whatever comes first in its boot order.
    Reboot,
}

impl Action {
    fn program(self) -> &'static str {
        match self {
            Self::PowerOff => "poweroff",
            Self::Reboot => "reboot",
        }
    }

    fn sysrq(self) -> &'static [u8] {
        match self {
            Self::PowerOff => b"o",
            Self::Reboot => b"b",
        }
    }
}

/// Ends the machine's run. It goes down some time after this returns.
///
/// # Errors
/// `ClockSyncError` if the clocks could not be set and must be, `SystemRebootError` if the machine stays up.
pub async fn run(agent: &Arc<Agent>, call: &CallContext, action: Action) -> HwResult<()> {
    let program = action.program();
    info!(agent.log(), "ending the run of this machine"; "action" => program);
    clock::before_power_action(&agent.settings().clock, agent.runner(), agent.log()).await?;
    if let Err(error) = agent.managers().dispatch_all(call, "full_sync", json!({})).await {
        warn!(agent.log(), "not everything was flushed to the disks"; "error" => %error);
    }
    // Not for the call: the agent's own end must not take the program back.
    let why = match agent.runner().run(Request::new([program]).deadline(DEADLINE)).await {
        Ok(output) if !output.stderr.text().contains(IGNORED) => return Ok(()),
        Ok(_) => format!("{program} ignored the request"),
        Err(error) => error.to_string(),
    };
    warn!(agent.log(), "the system does not obey, the kernel is asked"; "action" => program, "error" => &why);
    let path = agent.settings().root.path(SYSRQ);
    let order = move || OpenOptions::new().write(true).open(&path)?.write_all(action.sysrq());
    let ordered =
        tokio::task::spawn_blocking(order).await.map_err(|error| HwError::system_reboot(error.to_string()))?;
    ordered.map_err(|error| HwError::system_reboot(format!("{why}; and the kernel does not obey: /{SYSRQ}: {error}")))
}

#[cfg(test)]
mod tests;
