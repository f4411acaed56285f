//! The ethtool ioctl: permanent hardware addresses and link modes.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GSET: u32 = 0x0000_0001;
const ETHTOOL_GPERMADDR: u32 = 0x0000_0020;
const ETHTOOL_GLINKSETTINGS: u32 = 0x0000_004c;

/// `struct ethtool_perm_addr` with room for the longest address (`MAX_ADDR_LEN`).
#[repr(C)]
struct PermanentAddress {
    command: u32,
    size: u32,
    data: [u8; 32],
}

/// `struct ethtool_cmd`.
#[repr(C)]
struct LegacySettings {
    command: u32,
    supported: u32,
    rest: [u32; 9],
}

/// Words of one mask that the kernel may want; it wants 4 today.
const MASK_WORDS: usize = 16;

/// `struct ethtool_link_settings` with room for its three masks.
#[repr(C)]
struct LinkSettings {
    command: u32,
    speed: u32,
    duplex_to_mdix_control: [u8; 7],
    mask_words: i8,
    transceiver_to_rate_matching: [u8; 4],
    reserved: [u32; 7],
    masks: [u32; 3 * MASK_WORDS],
}

/// `struct ifreq` as the ethtool ioctl uses it: a name and a pointer, 40 bytes in all.
#[repr(C)]
struct Request<T> {
    name: [u8; libc::IFNAMSIZ],
    data: *mut T,
    padding: [u8; 24 - size_of::<*mut ()>()],
}

/// Types that begin with the command and are as long as the kernel may write for that command.
trait Command {}
impl Command for PermanentAddress {}
impl Command for LegacySettings {}
impl Command for LinkSettings {}

fn any_socket() -> Option<OwnedFd> {
    socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()
}

fn ask<T: Command>(interface: &str, mut command: T) -> Option<T> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let bytes = interface.as_bytes();
    // The name must leave room for its terminating zero.
    if bytes.len() >= name.len() || bytes.contains(&0) {
        return None;
    }
    name[..bytes.len()].copy_from_slice(bytes);
    let socket = any_socket()?;
    let mut request = Request { name, data: &raw mut command, padding: [0; 24 - size_of::<*mut ()>()] };
    // SAFETY: SIOCETHTOOL takes a `struct ifreq`, which `Request` has the layout and size of. Its pointer leads to
    // `command`, which lives until after the call, and which is as long as the kernel writes for the command number
    // that it begins with (`Command` is implemented for such types only, here in this module).
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    (result == 0).then_some(command)
}

/// See [`super::network::Network::permanent_address`].
pub(super) fn permanent_address(interface: &str) -> Option<Vec<u8>> {
    let answer = ask(interface, PermanentAddress { command: ETHTOOL_GPERMADDR, size: 32, data: [0; 32] })?;
    let address = answer.data.get(..usize::try_from(answer.size).ok()?)?;
    address.iter().any(|byte| *byte != 0).then(|| address.to_vec())
}

/// See [`super::network::Network::supported_modes`].
pub(super) fn supported_modes(interface: &str) -> Option<u64> {
    link_settings(interface).or_else(|| {
        let legacy = LegacySettings { command: ETHTOOL_GSET, supported: 0, rest: [0; 9] };
        ask(interface, legacy).map(|answer| u64::from(answer.supported))
    })
}

/// The newer command; asked without masks, the kernel answers how many words one has, as a negative number.
fn link_settings(interface: &str) -> Option<u64> {
    let question = |mask_words| LinkSettings {
        command: ETHTOOL_GLINKSETTINGS,
        speed: 0,
        duplex_to_mdix_control: [0; 7],
        mask_words,
        transceiver_to_rate_matching: [0; 4],
        reserved: [0; 7],
        masks: [0; 3 * MASK_WORDS],
    };
    let words = ask(interface, question(0))?.mask_words.checked_neg()?;
    if !(2..=MASK_WORDS).contains(&usize::try_from(words).ok()?) {
        return None;
    }
    let answer = ask(interface, question(words)).filter(|answer| answer.mask_words == words)?;
    Some(u64::from(answer.masks[0]) | u64::from(answer.masks[1]) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_kernels_layout() {
        assert_eq!(size_of::<Request<LinkSettings>>(), 40);
        assert_eq!(size_of::<PermanentAddress>(), 40);
        assert_eq!(size_of::<LegacySettings>(), 44);
        assert_eq!(std::mem::offset_of!(LinkSettings, mask_words), 15);
        assert_eq!(std::mem::offset_of!(LinkSettings, masks), 48);
    }

    #[test]
    fn no_such_interface_is_no_answer() {
        for name in ["", "nosuchif0", "a-name-that-is-far-too-long", "nul\0"] {
            assert_eq!(permanent_address(name), None, "{name:?}");
            assert_eq!(supported_modes(name), None, "{name:?}");
        }
        // The loopback has neither.
        assert_eq!(permanent_address("lo"), None);
    }
}
