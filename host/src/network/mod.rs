//! The machine's place in the network: when it is there, and under which address Ironic finds it.

mod advertise;
mod interfaces;
mod wait;

pub(crate) use self::advertise::source_towards;
pub use self::advertise::{Advertise, callback_url};
pub(crate) use self::interfaces::has_interface;
pub use self::wait::{for_addresses, for_interface};
