//! The generic hardware manager: what any Linux machine can tell about itself.

pub mod inventory;
pub mod root;
pub mod tools;
