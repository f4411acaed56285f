//! Builds what the agent is shipped in.
//!
//! Nothing in here knows the agent's protocol; it takes finished programs and puts them where a machine boots them.
//! [`process`] starts every tool, and [`failure`] is the line that a person reads when one fails.

pub mod cpio;
pub mod failure;
pub mod iso;
pub mod process;
