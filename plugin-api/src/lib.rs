//! placeholder front page
pub mod error;
pub mod inventory;
pub mod manifest;
pub mod reply;
pub mod step;
