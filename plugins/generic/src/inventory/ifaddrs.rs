//! IP addresses of the interfaces, by the C library's netlink dump.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr;

use super::network::Address;

/// The list that `getifaddrs` makes, freed when dropped.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a successful getifaddrs and is freed once, here.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

/// See [`super::network::Network::addresses`].
pub(super) fn addresses() -> io::Result<Vec<Address>> {
    let mut head = ptr::null_mut();
    // SAFETY: getifaddrs writes one pointer to where it is told.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let list = List(head);
    let mut found = Vec::new();
    let mut next = list.0;
    // SAFETY: every node of the list is valid until the list is dropped, and the last one has no successor.
    while let Some(node) = unsafe { next.as_ref() } {
        next = node.ifa_next;
        let Some(ip) = ip_of(node) else { continue };
        // SAFETY: ifa_name is a string that ends in zero and lives as long as the list.
        let interface = unsafe { CStr::from_ptr(node.ifa_name) }.to_string_lossy().into_owned();
        let link_scope = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        found.push(Address { interface, ip, link_scope });
    }
    Ok(found)
}

fn ip_of(node: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: ifa_addr is null or a socket address that lives as long as the list.
    let family = unsafe { node.ifa_addr.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in; the C library may not have aligned it for one.
            let address = unsafe { node.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6; the C library may not have aligned it for one.
            let address = unsafe { node.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_its_address() {
        let found = addresses().unwrap();
        let loopback = |address: &&Address| address.interface == "lo" && address.ip.is_ipv4();
        assert_eq!(found.iter().find(loopback).map(|address| address.ip), Some(Ipv4Addr::LOCALHOST.into()));
    }
}
