//! The generic hardware manager: what any Linux machine can tell about itself. It is shipped as the default plugin and
//! ranks below every vendor's manager.
//!
//! * [`manager`]: the manager itself, which answers the host; thin.
//! * [`certificate`]: the certificate that the agent serves its API with.
//! * [`first`]: what need not be dispatched, since this manager would be asked first.
//! * [`full_sync`]: what is in memory goes to the disks.
//! * [`hints`]: which disks an operator means.
//! * [`inventory`]: the hardware, read natively from sysfs, SMBIOS and netlink.
//! * [`ipmi_modules`]: the kernel modules for the BMC.
//! * [`logs`]: the state of the machine, for a collection of logs.
//! * [`root_device`]: the disk that an image is written to.
//! * [`root`] and [`tools`]: the two doors to the machine, files and external programs, so that tests can stand in.

pub mod certificate;
pub mod first;
pub mod full_sync;
pub mod hints;
pub mod inventory;
pub mod ipmi_modules;
pub mod logs;
pub mod manager;
pub mod root;
pub mod root_device;
pub mod tools;
