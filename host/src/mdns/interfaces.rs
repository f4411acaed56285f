//! The interfaces of this machine on which others may listen.
//!
//! An interface that is up is a member of the group of all hosts, so the kernel's lists of memberships have exactly
//! those that can multicast.

use std::fs::File;
use std::io::Read;
use std::net::Ipv6Addr;

use crate::root::Root;

/// Most interfaces on which is asked. A machine with more has virtual functions by the hundred.
const MOST: usize = 64;
/// Most bytes of a list that are read.
const LONGEST: u64 = 256 * 1024;
/// On which there is nobody else.
const LOOPBACK: &str = "lo";

/// Numbers of the interfaces on which IPv4 can multicast, in the kernel's order.
pub(super) fn with_ipv4(root: &Root) -> Vec<u32> {
    // Lines of groups begin with white space.
    let list = read(root, "proc/net/igmp");
    members(list.lines().filter(|line| !line.starts_with(char::is_whitespace)))
}

/// Numbers of the interfaces on which IPv6 can multicast, in the kernel's order.
pub(super) fn with_ipv6(root: &Root) -> Vec<u32> {
    members(read(root, "proc/net/igmp6").lines())
}

/// From lines that begin with the number and the name of an interface.
fn members<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u32> {
    let mut numbers = Vec::new();
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let (number, name) = (words.next().and_then(|number| number.parse().ok()), words.next());
        if let (Some(number), Some(name)) = (number, name)
            && name != LOOPBACK
            && !numbers.contains(&number)
            && numbers.len() < MOST
        {
            numbers.push(number);
        }
    }
    numbers
}

/// The number of the interface that has an address.
pub(super) fn with_address(root: &Root, address: Ipv6Addr) -> Option<u32> {
    read(root, "proc/net/if_inet6").lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let listed = u128::from_str_radix(words.next()?, 16).ok()?;
        (Ipv6Addr::from(listed) == address).then(|| u32::from_str_radix(words.next()?, 16).ok())?
    })
}

/// A list of the kernel; empty on a machine without it.
fn read(root: &Root, path: &str) -> String {
    let mut text = String::new();
    match File::open(root.path(path)).map(|file| file.take(LONGEST).read_to_string(&mut text)) {
        Ok(Ok(_)) => text,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGMP: &str = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
        1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
        12\teth1      :     2      V3\n\t\t\t\tFB0000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
        2\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
    const IGMP6: &str = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n\
        12   eth1            ff0200000000000000000001ff123456     1 00000004 0\n\
        12   eth1            ff020000000000000000000000000001     1 0000000C 0\n";
    const ADDRESSES: &str = "00000000000000000000000000000001 01 80 10 80       lo\n\
        fe80000000000000505400fffe123456 0c 40 20 80     eth1\nnonsense\n";

    #[test]
    fn the_kernels_lists_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        std::fs::create_dir_all(root.path("proc/net")).expect("made");
        for (name, text) in [("igmp", IGMP), ("igmp6", IGMP6), ("if_inet6", ADDRESSES)] {
            std::fs::write(root.path("proc/net").join(name), text).expect("written");
        }
        assert_eq!(with_ipv4(&root), [12, 2]);
        assert_eq!(with_ipv6(&root), [12]);
        let find = |address: &str| with_address(&root, address.parse().expect("an address"));
        assert_eq!(find("fe80::5054:ff:fe12:3456"), Some(12));
        assert_eq!(find("fe80::1"), None);
    }

    #[test]
    fn without_the_lists_there_is_no_interface() {
        let root = Root::at("/nonexistent");
        assert!(with_ipv4(&root).is_empty() && with_ipv6(&root).is_empty());
        assert_eq!(with_address(&root, Ipv6Addr::LOCALHOST), None);
    }
}
