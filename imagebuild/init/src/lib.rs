//! PID 1 of the ramdisk: brings up devices and network, keeps the agent running, and takes the machine down.
//!
//! It is one program without threads and without a shell. What others do well is theirs, and they are run with
//! arguments of our own:
//! * **udev** (systemd-udevd, udevadm) makes device nodes and `/dev/disk/by-*`, loads modules by alias and names NICs, so
//!   that all of it is as on the installed system, and as the agent's hints and Ironic's inspection expect it.
//! * **kmod** loads the modules that no device asks for.
//! * **busybox** has the client of DHCP for IPv4 (`udhcpc`), `ip`, `getty` and `login`: one file that is in a ramdisk
//!   anyway.
//! * **dhcpcd** is the client of DHCPv6, which Debian's busybox has not. It is told to get an address, or what else a
//!   server tells, and nothing more.
//! * **dropbear**, only if the ramdisk has it and somebody may log in.
//!
//! # What the agent waits for
//! For an address, as upstream's unit does (`After=network-online.target`), but never longer than a minute; an address of
//! IPv6 alone is given some seconds in which one of IPv4 may come. It does **not** wait for all devices: storage with many
//! disks takes minutes to appear, the network a second, and the agent has its own rule for disks (it waits while udev is
//! at work before an inventory, and then for a disk). A machine that booted from virtual media is the exception: the
//! medium is looked for first, as it may hold the network.
//!
//! # What the kernel line can say
//! * `console=`: every one of them gets the log and logins, whenever it comes; so do others that the kernel takes into use.
//! * `ip=`, `nameserver=`, `vlan=`, `bond=` as dracut reads them, and `BOOTIF=`: see [`network::kernel`].
//! * `boot_method=vmedia` and `ir_pub_id=`, which Ironic writes: see [`medium`].
//! * `modules-load=`, `rd.driver.pre=`: modules, besides those of `/etc/modules-load.d`.
//! * `ipa-ntp-server=`, the agent's option: asked for the time, besides the servers that DHCP tells; see [`clock`].
//! * `sshkey=`, `rootpwd=`, `systemd.debug_shell`: see [`login`].
//!
//! # Parts
//! [`network`] is a pure state machine, and so are the readers of the [`kernel_line`], of leases and of Ironic's network
//! document; [`init`] is the loop that carries out what follows. [`supervise`] has the agent, [`login`] the users,
//! [`clock`] and [`sntp`] the time, [`power`] the end. [`console`] is the log.

#![forbid(unsafe_code)]

pub mod clock;
pub mod console;
pub mod devices;
pub mod init;
pub mod kernel_line;
pub mod log_file;
pub mod login;
pub mod medium;
pub mod mounts;
pub mod network;
pub mod power;
pub mod process;
pub mod signals;
pub mod sntp;
pub mod supervise;
