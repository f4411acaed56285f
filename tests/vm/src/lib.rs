//! Guests of QEMU: machines that tests and people can break.
//!
//! * [`Machine`] is the hardware: [`Firmware`], memory, processors, [`Disk`]s, [`Nic`]s, [`Smbios`] strings, [`Cd`]s. Its
//!   disks and its firmware's variables outlive a boot.
//! * [`Machine::power_on`] boots it from what [`Boot`] says and gives a [`Guest`], which is off again when dropped.
//! * [`Guest`] waits for lines of the console, for resets and for the end, and does to the hardware what happens to
//!   hardware: a disk breaks or is pulled, a cable too, a CD is ejected.
//!
//! Everything that waits has a deadline, and its error names the guest, what it waited for, and the last lines of the
//! console. QEMU is killed with the guest, and by the kernel if this process is killed first.
//!
//! Guests reach this machine's loopback interface as `10.0.2.2`, and tests reach the agent through a port of the
//! loopback interface that is forwarded; nothing else is connected.

mod archive;
mod arguments;
mod balloon;
mod boot;
mod console;
mod disk;
mod faults;
mod feed;
mod firmware;
mod guest;
mod machine;
mod nic;
mod platform;
mod process;
mod qmp;
mod smbios;
mod stick;

pub use archive::Archive;
pub use boot::{Boot, Kernel};
pub use console::Console;
pub use disk::{Bus, Cd, Disk};
pub use firmware::{Acceleration, Firmware};
pub use guest::Guest;
pub use machine::Machine;
pub use nic::{HOST, Nic};
pub use smbios::Smbios;
