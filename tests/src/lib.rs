//! The test library of the whole-program tests: the real `ipa-host` binary, real plugin files, real sockets.
//!
//! * [`artifacts`] finds the binary and the plugin files, and has cargo build them first.
//! * [`plugin_dir`] makes plugin directories of them, [`broken_files`] adds files that are no plugins.
//! * [`host`] starts a host and takes it down again, down to the last process.
//! * [`client`] speaks to its API, [`program`] runs one of its other commands.
//! * [`fake_ironic`] is the server that the host looks its node up at, [`machine`] the machine that it knows,
//!   [`certificates`] and [`tls`] are for where they speak TLS, [`tunnel`] is a proxy between them.
//! * [`browser`] opens a page in Chromium and looks at it.
//! * [`signer`] signs plugins as operators do.
//! * [`web`] gives away files over TLS.
//! * [`own_network`] gives a test a network with multicast, [`responder`] announces services in it.
//! * [`real_ironic`] starts an unmodified Ironic and lets agents meet it.
//! * [`debian`] is a Debian with systemd, [`container`] boots it for what is installed from packages.
//! * [`coreos_files`] has what runs the agent on Fedora CoreOS, [`ignition`] puts it where Ignition would, and [`image`]
//!   builds the container image.
//! * [`ramdisk`] boots the agent's ramdisk in guests of QEMU; [`power_button`] has Ironic do so over a pretended network
//!   boot, and [`bmc`] by Redfish and virtual media.
//! * [`api_copies`] builds plugins against versions of plugin-api that do not exist yet.
//!
//! Nothing here waits for a fixed time. What is waited for has a deadline and an event: a log line, the end of a
//! process, an answer.

pub mod api_copies;
pub mod artifacts;
pub mod bmc;
pub mod broken_files;
pub mod browser;
pub mod c_plugin;
pub mod certificates;
pub mod client;
pub mod container;
pub mod coreos_files;
pub mod debian;
pub mod fake_ironic;
pub mod host;
pub mod ignition;
pub mod image;
pub mod machine;
pub mod own_network;
pub mod plugin_dir;
pub mod power_button;
pub mod processes;
pub mod program;
pub mod ramdisk;
pub mod real_ironic;
pub mod responder;
pub mod signer;
pub mod tls;
pub mod tunnel;
pub mod web;

pub use client::{Answer, Client};
pub use fake_ironic::FakeIronic;
pub use host::Host;
pub use plugin_dir::PluginDir;
