//! An inventory as a person reads it on a terminal.

use std::fmt::Write;

use serde_json::Value;

/// A table of the inventory; what is unknown is left out.
pub fn render(inventory: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| known(value).unwrap_or_else(|| "-".to_owned());
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<10} {value}");
    };
    let vendor = &inventory["system_vendor"];
    let serial = known(&vendor["serial_number"]).map(|serial| format!(", serial {serial}"));
    line("Machine", words(vendor, &["manufacturer", "product_name"]) + &serial.unwrap_or_default());
    let firmware = words(&vendor["firmware"], &["vendor", "version", "build_date"]);
    line("Firmware", format!("{firmware}, boots by {}", text(&inventory["boot"]["current_boot_mode"])));
    line("Hostname", text(&inventory["hostname"]));
    let cpu = &inventory["cpu"];
    let mut parts = vec![format!("{} x {}", text(&cpu["count"]), words(cpu, &["model_name", "architecture"]))];
    parts.extend(known(&cpu["socket_count"]).map(|count| format!("{count} socket(s)")));
    parts.extend(known(&cpu["frequency"]).map(|frequency| format!("{frequency} MHz")));
    line("CPU", parts.join(", "));
    let memory = &inventory["memory"];
    let installed = memory["physical_mb"].as_u64().map(|mib| format!(", {} installed", size(mib << 20)));
    line(
        "Memory",
        format!("{}{}", memory["total"].as_u64().map_or_else(|| "-".into(), size), installed.unwrap_or_default()),
    );
    let bmc: Vec<String> = ["bmc_address", "bmc_v6address", "bmc_mac"]
        .into_iter()
        .filter_map(|key| inventory[key].as_str().map(printable))
        .collect();
    line("BMC", if bmc.is_empty() { "none found".to_owned() } else { bmc.join("  ") });
    let rows = |list: &Value, row: &dyn Fn(&Value) -> Vec<String>| -> Vec<Vec<String>> {
        list.as_array().map(|items| items.iter().map(row).collect()).unwrap_or_default()
    };
    let disks = rows(&inventory["disks"], &|disk| {
        let bytes = disk["size"].as_u64().map_or_else(|| "-".into(), size);
        let kind = if disk["rotational"] == Value::Bool(true) { "rotating" } else { "solid state" };
        vec![text(&disk["name"]), bytes, kind.into(), text(&disk["tran"]), text(&disk["model"]), text(&disk["serial"])]
    });
    out.push_str(&columns("Disks", &["name", "size", "kind", "transport", "model", "serial"], &disks));
    let nics = rows(&inventory["interfaces"], &|nic| {
        let link = if nic["has_carrier"] == Value::Bool(true) { "up" } else { "no carrier" };
        let speed = nic["speed_mbps"].as_u64().map_or_else(|| "-".into(), |mbps| format!("{mbps} Mbit/s"));
        let fields = ["name", "mac_address", "ipv4_address", "ipv6_address"].map(|key| text(&nic[key]));
        fields.into_iter().chain([link.into(), speed, text(&nic["driver"])]).collect()
    });
    out.push_str(&columns("Interfaces", &["name", "mac", "ipv4", "ipv6", "link", "speed", "driver"], &nics));
    out
}

/// A value as text, unless it says nothing.
fn known(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(printable(text)),
        other => Some(other.to_string()),
    }
}

/// What is known of some members, in one line.
fn words(object: &Value, keys: &[&str]) -> String {
    let known: Vec<String> = keys.iter().filter_map(|key| known(&object[*key])).collect();
    if known.is_empty() { "unknown".to_owned() } else { known.join(" ") }
}

/// A heading and rows whose columns are as wide as their widest cell.
fn columns(title: &str, names: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return format!("\n{title}: none\n");
    }
    let heading: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let width = |column: usize| rows.iter().chain([&heading]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let mut out = format!("\n{title}\n");
    for row in [&heading].into_iter().chain(rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(out, "  {}", cells.join("  ").trim_end());
    }
    out
}

/// Bytes in the unit a person would use: powers of 1024.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    // Sizes of hardware lose nothing that anyone reads.
    #[allow(clippy::cast_precision_loss)]
    let mut number = bytes as f64 / 1024.0;
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    format!("{number:.1} {}", UNITS[unit])
}

/// Firmware may hold anything; a terminal must not obey it.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_machine_on_one_page() {
        let inventory = json!({
            "system_vendor": {"manufacturer": "QEMU", "product_name": "Standard PC", "serial_number": "",
                "firmware": {"vendor": "SeaBIOS", "version": "1.16", "build_date": "04/01/2014"}},
            "hostname": "host-1", "boot": {"current_boot_mode": "bios"},
            "cpu": {"count": 4, "model_name": "X", "architecture": "x86_64", "socket_count": 1, "frequency": "2100.0"},
            "memory": {"total": 4118032384_u64, "physical_mb": 4096}, "bmc_address": null, "bmc_v6address": null,
            "disks": [{"name": "/dev/vda", "size": 21474836480_u64, "rotational": true, "tran": "virtio",
                "model": "evil\u{1b}[2J", "serial": null}],
            "interfaces": [],
        });
        let page = render(&inventory);
        assert!(page.contains("Machine    QEMU Standard PC\n"), "{page}");
        assert!(page.contains("Memory     3.8 GiB, 4.0 GiB installed\n"), "{page}");
        assert!(page.contains("  /dev/vda  20.0 GiB  rotating  virtio     evil?[2J  -\n"), "{page}");
        assert!(page.contains("BMC        none found") && page.contains("Interfaces: none"), "{page}");
        assert!(!page.contains('\u{1b}'), "no escape reaches the terminal");
    }

    #[test]
    fn an_empty_object_is_no_crash() {
        let page = render(&json!({}));
        assert!(page.contains("Disks: none") && page.contains("Machine    unknown\n"), "{page}");
    }
}
