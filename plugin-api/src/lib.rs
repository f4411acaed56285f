#![allow(missing_docs)]
pub mod abi;
pub mod command;
pub mod context;
pub mod error;
pub mod export;
pub mod handlers;
pub mod inventory;
pub mod manager;
pub mod manifest;
pub mod note;
pub mod prelude;
pub mod reply;
pub mod routing;
pub mod services;
pub mod spec;
pub mod step;

pub use context::{Cx, Level};
