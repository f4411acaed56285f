//! placeholder front page
pub mod error;
pub mod manifest;
pub mod reply;
pub mod step;
