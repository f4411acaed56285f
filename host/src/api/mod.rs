//! The REST API that Ironic drives the agent with.
//!
//! Each answer is that of the Python agent, down to its web framework's redirects and fault texts; the differences are
//! listed, with their reasons, where a test compares the two (`tests/upstream.rs`). A request passes these gates in
//! this order: route (308, 404, 405), token (401), body (400, 408, 413), form of the name (400), busy (409), extension
//! (404), command (400).
//!
//! The listener is on the provisioning network, where anyone may knock. A request line and its header have 10 s and
//! 32 KiB, a body 60 s and 16 MiB, JSON 64 levels. There are 256 connections; when all are taken, the oldest one that
//! is not being served makes room, so that no crowd of idle or slow clients keeps Ironic out.

mod body;
mod connections;
mod document;
mod exchange;
mod fault;
mod listen;
mod reply;
mod route;
mod server;
mod uri;

pub use listen::bind;
pub(crate) use reply::SERVER_NAME;
pub use server::{Limits, Server, Stream, TlsAccept, Transport};

#[cfg(test)]
mod tests;
