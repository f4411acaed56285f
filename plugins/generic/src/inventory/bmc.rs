//! The addresses of the BMC, asked through `ipmitool`.

use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use ipa_plugin_api::error::{HwError, HwResult};

use super::ipmitool::{active_ipv6, has_usable_ipv6, ip_address, is_real_mac, mac_address, speaks_ipv6};
use crate::root::Root;
use crate::tools::{ToolError, ToolOutput, Tools};

/// Of the 16 channels of IPMI only these can be LAN channels.
const CHANNELS: std::ops::RangeInclusive<u8> = 1..=11;

/// A BMC answers within milliseconds; one that takes this long is not asked further.
const DEADLINE: Duration = Duration::from_secs(30);

/// Whether the kernel has an IPMI character device.
pub fn has_ipmi_device(root: &Root) -> bool {
    let is_device =
        |path: String| std::fs::metadata(root.path(path)).is_ok_and(|metadata| metadata.file_type().is_char_device());
    let any = |directory: &str, prefix: &str| {
        let names = root.names(directory).unwrap_or_default();
        // Like the shell's patterns, these do not match hidden files.
        names
            .iter()
            .filter(|n| n.starts_with(prefix) && !n.starts_with('.'))
            .any(|n| is_device(format!("{directory}/{n}")))
    };
    any("dev", "ipmi") || any("dev/ipmi", "") || any("dev/ipmidev", "")
}

/// The IPv4 address of the first LAN channel that has one, `0.0.0.0` if none has, `None` if the BMC does not answer.
pub fn address(tools: &dyn Tools) -> Option<String> {
    for channel in CHANNELS {
        match ask(tools, &["lan", "print", &channel.to_string()]) {
            Answer::Output(lan) => {
                let found = ip_address(&lan.stdout).filter(|ip| ip.parse::<IpAddr>().is_ok());
                if let Some(ip) = found.filter(|ip| *ip != "0.0.0.0") {
                    return Some(ip.to_owned());
                }
            }
            Answer::NoChannel => {}
            Answer::Missing => break,
            Answer::Stuck => return None,
        }
    }
    Some("0.0.0.0".to_owned())
}

/// The IPv6 address of the first LAN channel that has one, `::/0` if none has, `None` if the BMC does not answer.
pub fn v6_address(tools: &dyn Tools) -> Option<String> {
    for channel in CHANNELS {
        let channel = channel.to_string();
        let print = |what: &str| ask(tools, &["lan6", "print", &channel, what]);
        match print("enables") {
            Answer::Output(enables) if speaks_ipv6(&enables.stdout) => {}
            Answer::Output(_) | Answer::NoChannel => continue,
            Answer::Missing => break,
            Answer::Stuck => return None,
        }
        for (kind, dynamic) in [("dynamic_addr", true), ("static_addr", false)] {
            match print(kind) {
                Answer::Output(list) if list.status == 0 => {
                    if let Some(ip) = active_ipv6(&list.stdout, dynamic) {
                        return Some(ip.to_string());
                    }
                }
                Answer::Output(_) | Answer::NoChannel => {}
                Answer::Missing => break,
                Answer::Stuck => return None,
            }
        }
    }
    Some("::/0".to_owned())
}

/// The hardware address of the first LAN channel that is in use; `None` if the BMC does not answer.
///
/// # Errors
/// Incompatible if no channel has one.
pub fn mac(tools: &dyn Tools) -> HwResult<Option<String>> {
    for channel in CHANNELS {
        let channel = channel.to_string();
        let lan = match ask(tools, &["lan", "print", &channel]) {
            Answer::Output(lan) => lan.stdout,
            Answer::NoChannel => continue,
            Answer::Missing => break,
            Answer::Stuck => return Ok(None),
        };
        let (Some(ip), Some(mac)) = (ip_address(&lan), mac_address(&lan)) else { continue };
        if ip == "0.0.0.0" {
            match ask(tools, &["lan6", "print", &channel]) {
                Answer::Output(lan6) if has_usable_ipv6(&lan6.stdout) => {}
                Answer::Output(_) | Answer::NoChannel => continue,
                Answer::Missing => break,
                Answer::Stuck => return Ok(None),
            }
        }
        if is_real_mac(mac) {
            return Ok(Some(mac.to_owned()));
        }
    }
    Err(HwError::incompatible("no LAN channel of the BMC has a hardware address"))
}

enum Answer {
    /// ipmitool came to its end. Its status seldom matters: it fails on parameters that a BMC lacks, after printing
    /// the others.
    Output(ToolOutput),
    /// ipmitool says that there is no such channel.
    NoChannel,
    /// There is no ipmitool.
    Missing,
    /// The BMC or its driver hangs.
    Stuck,
}

fn ask(tools: &dyn Tools, arguments: &[&str]) -> Answer {
    let argv: Vec<&str> = std::iter::once("ipmitool").chain(arguments.iter().copied()).collect();
    match tools.run(&argv, DEADLINE) {
        Ok(output) if output.stderr.starts_with("Invalid channel") => Answer::NoChannel,
        Ok(output) => Answer::Output(output),
        Err(ToolError::NotFound(_)) => Answer::Missing,
        Err(ToolError::Failed(_)) => Answer::Stuck,
    }
}

#[cfg(test)]
mod tests {
    use ipa_plugin_api::error::ErrorKind;

    use super::*;
    use crate::root::fixture::Tree;
    use crate::tools::fake::Table;

    const LAN: &str = include_str!("../../fixtures/ipmitool/lan-print");
    const UNSET: &str = include_str!("../../fixtures/ipmitool/lan-print-unset");
    const NO_SUCH_CHANNEL: &str = include_str!("../../fixtures/ipmitool/no-such-channel");
    const LAN6: &str = include_str!("../../fixtures/ipmitool/lan6-print");
    const DYNAMIC: &str = include_str!("../../fixtures/ipmitool/lan6-dynamic-addr");
    const STATIC: &str = include_str!("../../fixtures/ipmitool/lan6-static-addr");

    /// A BMC whose channels are all invalid but those that a test sets.
    fn bmc() -> Table {
        CHANNELS.fold(Table::default(), |table, channel| {
            table
                .exits(&format!("ipmitool lan print {channel}"), 1, NO_SUCH_CHANNEL)
                .exits(&format!("ipmitool lan6 print {channel}"), 1, NO_SUCH_CHANNEL)
                .exits(&format!("ipmitool lan6 print {channel} enables"), 1, NO_SUCH_CHANNEL)
        })
    }

    fn unset() -> String {
        LAN.replace("192.168.10.21", "0.0.0.0")
    }

    #[test]
    fn the_first_channel_with_an_address_wins() {
        let tools = bmc().says("ipmitool lan print 2", UNSET).says("ipmitool lan print 8", LAN);
        assert_eq!(address(&tools).as_deref(), Some("192.168.10.21"));
        assert_eq!(tools.asked.borrow().len(), 8);
        assert_eq!(address(&bmc().says("ipmitool lan print 1", UNSET)).as_deref(), Some("0.0.0.0"));
    }

    #[test]
    fn a_dynamic_ipv6_address_goes_before_a_static_one() {
        let enabled = "IPv6/IPv4 Addressing Enables: both\n";
        let tools = || {
            bmc()
                .says("ipmitool lan6 print 1 enables", "IPv6/IPv4 Addressing Enables: ipv4\n")
                .says("ipmitool lan6 print 3 enables", enabled)
                .says("ipmitool lan6 print 3 static_addr", STATIC)
        };
        let with_dynamic = tools().says("ipmitool lan6 print 3 dynamic_addr", DYNAMIC);
        assert_eq!(v6_address(&with_dynamic).as_deref(), Some("2001:db8::a00:1"));
        let static_only = tools().exits("ipmitool lan6 print 3 dynamic_addr", 1, "not supported");
        assert_eq!(v6_address(&static_only).as_deref(), Some("2001:db8:5::21"));
        assert_eq!(v6_address(&bmc()).as_deref(), Some("::/0"));
    }

    #[test]
    fn the_mac_belongs_to_a_channel_in_use() {
        assert_eq!(mac(&bmc().says("ipmitool lan print 1", LAN)).unwrap().as_deref(), Some("ac:1f:6b:00:11:22"));
        let by_v6 = bmc().says("ipmitool lan print 1", &unset()).says("ipmitool lan6 print 1", LAN6);
        assert_eq!(mac(&by_v6).unwrap().as_deref(), Some("ac:1f:6b:00:11:22"));

        let no_v6 =
            bmc().says("ipmitool lan print 1", &unset()).exits("ipmitool lan6 print 1", 1, "Invalid channel: 1\n");
        assert_eq!(mac(&no_v6).unwrap_err().kind(), ErrorKind::Incompatible);
        let link_local = LAN6.replace("2001:db8", "fe80");
        let unused = bmc().says("ipmitool lan print 1", &unset()).says("ipmitool lan6 print 1", &link_local);
        assert_eq!(mac(&unused).unwrap_err().kind(), ErrorKind::Incompatible);
        let zero = bmc().says("ipmitool lan print 1", UNSET);
        assert_eq!(mac(&zero).unwrap_err().kind(), ErrorKind::Incompatible);
    }

    #[test]
    fn a_missing_tool_is_asked_once_and_a_stuck_one_no_more() {
        let nothing = Table::default();
        assert_eq!(address(&nothing).as_deref(), Some("0.0.0.0"));
        assert_eq!(v6_address(&nothing).as_deref(), Some("::/0"));
        assert_eq!(mac(&nothing).unwrap_err().kind(), ErrorKind::Incompatible);
        assert_eq!(nothing.asked.borrow().len(), 3);

        let stuck = Table::default()
            .fails("ipmitool lan print 1", "ipmitool lan print 1: no end after 30 s")
            .fails("ipmitool lan6 print 1 enables", "ipmitool lan6 print 1 enables: no end after 30 s");
        assert_eq!((address(&stuck), v6_address(&stuck), mac(&stuck).unwrap()), (None, None, None));
        assert_eq!(stuck.asked.borrow().len(), 3);
    }

    #[test]
    fn only_a_character_device_is_a_bmc() {
        let tree = Tree::new();
        assert!(!has_ipmi_device(&tree.root()));
        tree.file("dev/ipmi0", "");
        assert!(!has_ipmi_device(&tree.root()));
        tree.link("dev/ipmi1", "/dev/null");
        assert!(has_ipmi_device(&tree.root()));
        let tree = Tree::new();
        tree.link("dev/ipmidev/0", "/dev/null");
        assert!(has_ipmi_device(&tree.root()));
        let tree = Tree::new();
        tree.link("dev/ipmi/0", "/dev/null");
        assert!(has_ipmi_device(&tree.root()));
    }
}
