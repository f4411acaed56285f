//! Tests that need a network of their own: with multicast, and with nobody else in it.

use std::process::{Command, Stdio};

/// Marks a test that runs in its own network already.
const INSIDE: &str = "IPA_TESTS_OWN_NETWORK";
/// The interface that the network has beside the loopback interface.
pub const INTERFACE: &str = "test0";
/// Its IPv4 address.
pub const ADDRESS_V4: &str = "10.9.0.1";
/// Its IPv6 address.
pub const ADDRESS_V6: &str = "fd09::1";
/// Its address on its link alone, beside the kernel's.
pub const ADDRESS_LINK: &str = "fe80::9";

/// Runs the test of this name again, in a network namespace of its own, and panics if it fails there. Gives true to
/// the one that runs in it; the other has nothing left to do.
pub fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        set_up();
        return true;
    }
    let this = std::env::current_exe().expect("a test is a program");
    let mut command = Command::new("unshare");
    command.args(["--net", "--"]).arg(this).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env(INSIDE, "1").stdin(Stdio::null()).output().expect("unshare is installed");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{test} in its own network:\n{}", String::from_utf8_lossy(&text));
    false
}

/// The other end of the cable, which can be given to a machine.
pub const OTHER_END: &str = "test1";

/// Puts the other end of the cable into the network namespace of a process.
pub fn connect(process: u32) {
    ip(&format!("link set {OTHER_END} netns {process}"));
}

/// A pair of interfaces with a cable between them, one with addresses.
fn set_up() {
    for line in [
        "link set lo up".to_owned(),
        format!("link add {INTERFACE} type veth peer name {OTHER_END}"),
        format!("link set {INTERFACE} up"),
        format!("link set {OTHER_END} up"),
        format!("address add {ADDRESS_V4}/24 dev {INTERFACE}"),
        format!("address add {ADDRESS_V6}/64 dev {INTERFACE} nodad"),
        format!("address add {ADDRESS_LINK}/64 dev {INTERFACE} nodad"),
    ] {
        ip(&line);
    }
}

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().expect("ip is installed");
    assert!(status.success(), "ip {line}");
}
