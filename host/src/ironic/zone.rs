//! Interfaces as they stand in a link-local address: by name or by number.

use std::net::UdpSocket;

use rustix::net::netdevice::{index_to_name, name_to_index};

/// Name of the interface.
///
/// # Errors
/// There is none with this number.
pub(super) fn name(zone: &str) -> Result<String, String> {
    let Ok(number) = zone.parse::<u32>() else { return Ok(zone.to_owned()) };
    index_to_name(&socket()?, number).map_err(|error| format!("no network interface has the number {number}: {error}"))
}

/// Number of the interface.
///
/// # Errors
/// There is none with this name.
pub(super) fn number(zone: &str) -> Result<u32, String> {
    match zone.parse() {
        Ok(number) => Ok(number),
        Err(_) => {
            name_to_index(&socket()?, zone).map_err(|error| format!("no network interface is called {zone}: {error}"))
        }
    }
}

fn socket() -> Result<UdpSocket, String> {
    UdpSocket::bind(("::", 0)).map_err(|error| format!("this machine has no IPv6: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found_both_ways() {
        let number = number("lo").expect("there is one");
        assert_eq!(name(&number.to_string()).as_deref(), Ok("lo"));
        assert_eq!((name("lo").as_deref(), super::number("7")), (Ok("lo"), Ok(7)));
        assert!(super::number("no-such0").expect_err("no such").contains("no-such0"));
        assert!(name("4000000000").expect_err("no such").contains("4000000000"));
    }
}
