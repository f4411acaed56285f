//! Builds what the agent is shipped in.
//!
//! Nothing in here knows the agent's protocol; it takes finished programs and puts them where a machine boots them.
//! [`ramdisk`] makes the ramdisk of [`debian`]'s packages, and [`manifest`] and [`sbom`] tell what it is made of.
//! [`iso`] makes an image that boots it, [`deb`] makes Debian packages of the agent and [`coreos`] what Fedora CoreOS runs.
//! All of them take the time of their files from [`epoch`], and file systems for firmware from [`fat`].
//! [`signing`] signs plugins that are fetched at boot. [`process`] starts every tool, found by [`search_path`],
//! [`cargo`] is the one that builds what is missing, and [`failure`] is the line that a person reads when one fails.

pub mod arch;
pub mod cargo;
pub mod compress;
pub mod coreos;
pub mod cpio;
pub mod deb;
pub mod debian;
pub mod digest;
pub mod elf;
pub mod epoch;
pub mod failure;
pub mod fat;
pub mod iso;
pub mod manifest;
pub mod names;
pub mod process;
pub mod ramdisk;
pub mod sbom;
pub mod search_path;
pub mod signing;
