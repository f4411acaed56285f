//! Waiting for network interfaces, which may come minutes after the agent.

use std::time::Duration;

use serde_json::{Value, json};
use slog::{Logger, debug, warn};
use tokio::time::{Instant, sleep};

use crate::managers::{CallContext, Managers};

/// Longest wait for the first interface.
const INTERFACE_TIMEOUT: Duration = Duration::from_secs(60);
const INTERFACE_INTERVAL: Duration = Duration::from_secs(5);
const ADDRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Waits until there is an interface with a MAC address; gives up with a warning.
pub async fn for_interface(managers: &dyn Managers, log: &Logger) {
    let end = Instant::now() + INTERFACE_TIMEOUT;
    while Instant::now() < end {
        let interfaces = interfaces(managers, log).await;
        if interfaces.iter().any(|interface| !text(interface, "mac_address").is_empty()) {
            return;
        }
        debug!(log, "no network interface yet"; "wait_s" => INTERFACE_INTERVAL.as_secs());
        sleep(INTERFACE_INTERVAL).await;
    }
    warn!(log, "no network interface with a MAC address came up, so the lookup will probably fail; is its driver in \
        the ramdisk?"; "waited_s" => INTERFACE_TIMEOUT.as_secs());
}

/// Waits until the interface that the machine was booted from, or every interface, has an IPv4 address. Gives up with
/// a warning after `timeout`; zero does not wait at all. `bootif` is the value of the kernel parameter `BOOTIF`.
pub async fn for_addresses(
    managers: &dyn Managers,
    bootif: Option<&str>,
    every: bool,
    timeout: Duration,
    log: &Logger,
) {
    if timeout.is_zero() {
        return;
    }
    let boot_mac = bootif.map(mac_of_bootif);
    if boot_mac.is_none() && !every {
        warn!(log, "the kernel line names no BOOTIF, so the agent does not wait for that interface's address");
        return;
    }
    let end = Instant::now() + timeout;
    loop {
        let interfaces = interfaces(managers, log).await;
        let missing: Vec<&str> = interfaces
            .iter()
            .filter(|interface| every || boot_mac.as_deref() == Some(&text(interface, "mac_address").to_lowercase()))
            .filter(|interface| text(interface, "ipv4_address").is_empty())
            .map(|interface| text(interface, "name"))
            .collect();
        if missing.is_empty() {
            return;
        }
        if Instant::now() >= end {
            warn!(log, "not every interface got an IPv4 address";
                "missing" => missing.join(","), "waited_s" => timeout.as_secs());
            return;
        }
        debug!(log, "waiting for IPv4 addresses"; "missing" => missing.join(","));
        sleep(ADDRESS_INTERVAL).await;
    }
}

async fn interfaces(managers: &dyn Managers, log: &Logger) -> Vec<Value> {
    match managers.dispatch(&CallContext::new(), "list_network_interfaces", json!({})).await {
        Ok(Value::Array(interfaces)) => interfaces,
        Ok(_) => Vec::new(),
        Err(error) => {
            warn!(log, "the network interfaces cannot be listed"; "error" => %error);
            Vec::new()
        }
    }
}

fn text<'a>(interface: &'a Value, member: &str) -> &'a str {
    interface.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// `01-AA-bb-...` as PXELINUX writes it, or the plain form.
fn mac_of_bootif(bootif: &str) -> String {
    match bootif.split_once('-') {
        Some((_, mac)) => mac.replace('-', ":").to_lowercase(),
        None => bootif.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::OneMethod;
    use slog::{Discard, o};

    fn log() -> Logger {
        Logger::root(Discard, o!())
    }

    fn listing(lists: impl IntoIterator<Item = Value>) -> OneMethod {
        OneMethod::new("list_network_interfaces", lists.into_iter().map(Ok))
    }

    async fn seconds(work: impl Future<Output = ()>) -> u64 {
        let start = Instant::now();
        work.await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_mac_ends_the_wait() {
        let there = json!([{"name": "eth0", "mac_address": "aa:bb:cc:00:00:01"}]);
        let late = listing([json!([]), json!([{"name": "ib0", "mac_address": null}]), there]);
        assert_eq!(seconds(for_interface(&late, &log())).await, 10);
        let never = listing([json!([])]);
        assert_eq!(seconds(for_interface(&never, &log())).await, 60);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_boot_interface_needs_an_address_unless_all_do() {
        let eth = |name: &str, mac: &str, ip: Value| json!({"name": name, "mac_address": mac, "ipv4_address": ip});
        let none =
            json!([eth("eth0", "aa:bb:cc:00:00:01", Value::Null), eth("eth1", "aa:bb:cc:00:00:02", Value::Null)]);
        let boot = json!([eth("eth0", "aa:bb:cc:00:00:01", json!("10.0.0.5")), none[1]]);
        let timeout = Duration::from_secs(60);
        let wait = async |every: bool, bootif: Option<&str>| {
            let managers = listing([none.clone(), none.clone(), boot.clone()]);
            seconds(for_addresses(&managers, bootif, every, timeout, &log())).await
        };
        assert_eq!(wait(false, Some("01-AA-BB-CC-00-00-01")).await, 4);
        assert_eq!(wait(false, Some("AA:BB:CC:00:00:01")).await, 4);
        assert_eq!(wait(true, None).await, 60);
        assert_eq!(wait(false, None).await, 0, "no interface is known to wait for");
        let managers = listing([none.clone()]);
        assert_eq!(seconds(for_addresses(&managers, None, true, Duration::ZERO, &log())).await, 0);
    }
}
