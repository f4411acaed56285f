//! The host of hardware managers: protocol, commands and API of the agent.
//!
//! The way of a command through the crate:
//!
//! ```text
//! POST /v1/commands -> api (routes, limits, token) -> commands (one at a time, history)
//!      -> extensions (clean, deploy, service, standby, rescue, log, poll, flow, system)
//!      -> managers (the trait) -> plugins (rank, dispatch, worker processes) -> a manager's .so
//! ```
//!
//! and back the same way.
//!
//! * [`program`]: the commands a person calls, and the agent's life. [`cli`] and [`config`]: what the agent is told, and by whom.
//! * [`vmedia`]: what a BMC's virtual drives tell it.
//! * [`agent`]: the state that all parts share.
//! * [`api`], [`commands`], [`extensions`]: the protocol that Ironic speaks.
//! * [`ironic`], [`inspect`]: what the agent says to Ironic. [`network`], [`mdns`]: how the two find each other.
//! * [`status_page`], [`metrics`], [`systemd`]: the agent as people, Prometheus and the init system see it.
//! * [`managers`], [`plugins`]: the hardware managers, the trait and the host of plugin files.
//! * [`tls`]: certificates and keys, for the API and for what the agent asks. [`power`]: the end of the machine's run.
//! * [`process`]: the one place that starts external programs. [`log`]: the one place that writes lines. [`root`]: the
//!   door to the files of the machine.

pub mod agent;
pub mod api;
pub mod cli;
pub mod commands;
pub mod config;
pub mod control;
pub mod errors;
pub mod extensions;
pub mod inspect;
pub mod ironic;
pub mod log;
pub mod managers;
pub mod mdns;
pub mod metrics;
pub mod network;
pub mod plugins;
pub mod power;
pub mod process;
pub mod program;
mod random;
pub mod root;
pub mod status_page;
pub mod systemd;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod token;
pub mod vmedia;
