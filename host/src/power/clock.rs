//! The clocks: the system's from the network, and the hardware's from the system's.

use std::net::IpAddr;
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};
use slog::{Logger, debug, error};

use crate::config::Config;
use crate::process::{ProcessError, Request, Runner};

/// Longest time until a time server has answered often enough.
const NETWORK_DEADLINE: Duration = Duration::from_secs(120);
/// Longest time for the hardware clock, which is set at the beginning of a second.
const HARDWARE_DEADLINE: Duration = Duration::from_secs(60);
/// Longest name of a host, in bytes.
const NAME_LIMIT: usize = 253;

/// How the clock is set: the options `ntp_server` and `fail_if_clock_not_set`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockOptions {
    /// The time server; None leaves the system's clock as it is.
    pub ntp_server: Option<String>,
    /// True if a clock that could not be set is an error, and not only logged.
    pub must_be_set: bool,
}

impl ClockOptions {
    /// The options of the configuration.
    pub fn of(config: &Config) -> Self {
        Self { ntp_server: config.ntp_server(), must_be_set: config.fail_if_clock_not_set() }
    }
}

/// Sets the system's clock from the time server, if there is one, with chrony or else with ntpdate.
///
/// # Errors
/// The name of the server is none, which no option makes harmless; or the clock must be set and could not be.
pub async fn set_from_network(options: &ClockOptions, runner: &Runner, log: &Logger) -> HwResult<()> {
    let Some(server) = options.ntp_server.as_deref().filter(|server| !server.is_empty()) else { return Ok(()) };
    if !is_server(server) {
        return Err(HwError::command_execution(format!(
            "ntp_server is {server:?}, which is neither an address nor the name of a host"
        )));
    }
    match ask(server, runner, log).await {
        Ok(program) => {
            debug!(log, "clock set from the network"; "server" => server, "program" => program);
            Ok(())
        }
        Err(why) => {
            error!(log, "the clock was not set from the network"; "server" => server, "error" => &why);
            if options.must_be_set {
                return Err(HwError::command_execution(format!("the clock was not set from {server}: {why}")));
            }
            Ok(())
        }
    }
}

async fn ask(server: &str, runner: &Runner, log: &Logger) -> Result<&'static str, String> {
    let run = |argv: &[&str]| runner.run(Request::new(argv.iter().copied()).deadline(NETWORK_DEADLINE));
    if runner.has("chronyd") {
        if let Err(error) = run(&["chronyc", "shutdown"]).await {
            debug!(log, "no running chronyd was stopped"; "error" => %error);
        }
        run(&["chronyd", "-q", &format!("server {server} iburst")]).await.map_err(|error| error.to_string())?;
        return Ok("chronyd");
    }
    if runner.has("ntpdate") {
        run(&["ntpdate", server]).await.map_err(|error| error.to_string())?;
        return Ok("ntpdate");
    }
    Err("neither chronyd nor ntpdate is installed".to_owned())
}

/// True for an address or a name of a host, so that it can be nothing else in a line of chrony's configuration.
pub(crate) fn is_server(name: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-');
    name.parse::<IpAddr>().is_ok()
        || (!name.is_empty() && name.len() <= NAME_LIMIT && !name.starts_with('-') && name.chars().all(harmless))
}

/// Sets both clocks before the power goes. A clock that could not be set stops nothing unless it must be; but without
/// the program `hwclock` the ramdisk is broken.
///
/// # Errors
/// `ClockSyncError`, or `CommandExecutionError` for a broken ramdisk.
pub(super) async fn before_power_action(options: &ClockOptions, runner: &Runner, log: &Logger) -> HwResult<()> {
    let hardware = Request::new(["hwclock", "-v", "--systohc"]).deadline(HARDWARE_DEADLINE);
    let why = match set_from_network(options, runner, log).await {
        Ok(()) => match runner.run(hardware).await {
            Ok(_) => return Ok(()),
            Err(error @ ProcessError::NotFound { .. }) => return Err(HwError::command_execution(error.to_string())),
            Err(error) => error.to_string(),
        },
        Err(error) => error.details().to_owned(),
    };
    error!(log, "the hardware clock was not set"; "error" => &why);
    if options.must_be_set {
        return Err(HwError::clock_sync(format!("the hardware clock was not set: {why}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_or_a_name() {
        for name in ["192.0.2.1", "2001:db8::1", "ntp.example", "ntp_1-a.example:123"] {
            assert!(is_server(name), "{name}");
        }
        for name in ["", "a b", "a;reboot", "a\nserver b", "-h", "ntp.ex\u{e4}mple", &"a".repeat(254)] {
            assert!(!is_server(name), "{name}");
        }
    }
}
