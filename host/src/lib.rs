//! The host of hardware managers: protocol, commands and API of the agent.

pub mod agent;
pub mod api;
pub mod commands;
pub mod errors;
pub mod extensions;
pub mod log;
pub mod managers;
pub mod process;
#[cfg(test)]
mod testing;
