//! The host of hardware managers: protocol, commands and API of the agent.

pub mod managers;
