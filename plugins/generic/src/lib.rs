//! The generic hardware manager: what any Linux machine can tell about itself. It is shipped as the default plugin and
//! ranks below every vendor's manager.
//!
//! * [`manager`]: the manager itself, which answers the host; thin.
//! * [`inventory`]: the hardware, read natively from sysfs, SMBIOS and netlink.
//! * [`root`] and [`tools`]: the two doors to the machine, files and external programs, so that tests can stand in.

pub mod inventory;
pub mod manager;
pub mod root;
pub mod tools;
