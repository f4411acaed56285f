//! PCI devices, as the kernel lists them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::{Value, json};
use slog::{Logger, warn};

/// Where the kernel lists them.
pub(super) const SYSFS: &str = "/sys/bus/pci/devices";
/// Longest attribute that is read, in bytes.
const ATTRIBUTE_LIMIT: u64 = 64;

/// All devices, by bus address. A device whose identifiers cannot be read is left out.
pub(super) fn devices(directory: &Path, log: &Logger) -> io::Result<Vec<Value>> {
    let mut buses: Vec<_> = std::fs::read_dir(directory)?.flatten().map(|entry| entry.file_name()).collect();
    buses.sort();
    let mut devices = Vec::new();
    for bus in buses {
        let device = directory.join(&bus);
        if !device.is_dir() {
            continue;
        }
        let bus = bus.to_string_lossy();
        match identifiers(&device) {
            Ok([vendor, product, class]) => devices.push(json!({
                "vendor_id": vendor,
                "product_id": product,
                "class": class,
                "revision": hexadecimal(&device, "revision").ok(),
                "bus": bus,
                "numa_node_id": text(&device, "numa_node").ok(),
            })),
            Err(error) => warn!(log, "PCI device left out"; "bus" => %bus, "error" => %error),
        }
    }
    Ok(devices)
}

fn identifiers(device: &Path) -> io::Result<[String; 3]> {
    Ok([hexadecimal(device, "vendor")?, hexadecimal(device, "device")?, hexadecimal(device, "class")?])
}

/// An attribute such as `0x1af4`, without what is before the digits.
fn hexadecimal(device: &Path, attribute: &str) -> io::Result<String> {
    let text = text(device, attribute)?;
    let digits = text.split('x').nth(1);
    digits
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("{attribute}: {text:?} is no number such as 0x1af4")))
}

fn text(device: &Path, attribute: &str) -> io::Result<String> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{attribute}: {error}"));
    let mut text = String::new();
    File::open(device.join(attribute))
        .map_err(named)?
        .take(ATTRIBUTE_LIMIT)
        .read_to_string(&mut text)
        .map_err(named)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Discard, o};
    use std::fs;

    fn add(directory: &Path, bus: &str, attributes: &[(&str, &str)]) {
        let device = directory.join(bus);
        fs::create_dir(&device).expect("a new directory");
        for (name, value) in attributes {
            fs::write(device.join(name), format!("{value}\n")).expect("written");
        }
    }

    #[test]
    fn devices_are_listed_as_ironic_expects_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let ids = [("vendor", "0x1af4"), ("device", "0x1000"), ("class", "0x020000")];
        add(directory.path(), "0000:00:04.0", &ids);
        let all = [&ids[..], &[("revision", "0x01"), ("numa_node", "-1")]].concat();
        add(directory.path(), "0000:00:03.0", &all);
        add(directory.path(), "0000:00:05.0", &[("vendor", "0x1af4"), ("device", "?"), ("class", "0x0")]);
        add(directory.path(), "0000:00:06.0", &[]);
        fs::write(directory.path().join("a-file"), "").expect("written");
        let log = Logger::root(Discard, o!());
        let found = devices(directory.path(), &log).expect("readable");
        assert_eq!(
            found,
            [
                json!({"vendor_id": "1af4", "product_id": "1000", "class": "020000", "revision": "01",
                    "bus": "0000:00:03.0", "numa_node_id": "-1"}),
                json!({"vendor_id": "1af4", "product_id": "1000", "class": "020000", "revision": null,
                    "bus": "0000:00:04.0", "numa_node_id": null}),
            ]
        );
        assert!(devices(&directory.path().join("none"), &log).is_err());
    }
}
