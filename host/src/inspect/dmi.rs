//! Collector `dmi-decode`: what `dmidecode` tells of firmware, processors and memory devices.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::process::Request;

/// Longest run of the tool, which reads two files.
const DEADLINE: Duration = Duration::from_secs(30);
/// Most bytes of its output; a large machine's has some hundred kilobytes.
const LIMIT: usize = 4 * 1024 * 1024;

/// Runs the tool and reads what it prints: `{"bios": {}, "cpu": [{}], "memory": {..., "devices": [{}]}}`, the texts as
/// the tool has them. None, with a reason, if what it prints cannot be read.
///
/// # Errors
/// The tool did not run.
pub(super) async fn collect(agent: &Agent) -> Result<Result<Value, String>, String> {
    let argv = ["dmidecode", "-t", "bios", "-t", "processor", "-t", "memory"];
    let request = Request::new(argv).deadline(DEADLINE).keep(LIMIT);
    let output = agent.runner().run(request).await.map_err(|error| format!("failed to run dmidecode: {error}"))?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout.into_bytes())))
}

/// Blocks are separated by empty lines; each begins with `Handle 0x0018, DMI type 17, 27 bytes`.
fn parse(text: &str) -> Result<Value, String> {
    let (mut bios, mut cpus, mut arrays, mut devices) = (Map::new(), Vec::new(), Vec::new(), Vec::new());
    for block in text.split("\n\n").map(str::trim_start).filter(|block| block.starts_with("Handle 0x")) {
        let kind = block.split(',').nth(1).and_then(|part| part.trim().strip_prefix("DMI type"));
        match kind.and_then(|number| number.trim().parse::<u8>().ok()) {
            Some(0) => bios = rows(block),
            Some(4) => cpus.push(rows(block)),
            Some(16) => arrays.push(rows(block)),
            Some(17) => devices.push(rows(block)),
            _ => {}
        }
    }
    let mut memory = Map::new();
    if !arrays.is_empty() {
        let count = |array: &Map<String, Value>| array.get(DEVICES)?.as_str()?.parse::<u64>().ok();
        let counts: Option<Vec<u64>> = arrays.iter().map(count).collect();
        let counts = counts.ok_or(format!("a memory array has no {DEVICES:?}"))?;
        memory = arrays.swap_remove(0);
        memory.insert(DEVICES.into(), counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count)).into());
        memory.shift_remove("Handle");
    }
    if !devices.is_empty() || memory.is_empty() {
        memory.insert("devices".into(), devices.into());
    }
    Ok(json!({"bios": bios, "cpu": cpus, "memory": memory}))
}

const DEVICES: &str = "Number Of Devices";

/// The rows of a block. A key without a value is followed by the items of a list.
fn rows(block: &str) -> Map<String, Value> {
    let mut rows = Map::new();
    let mut list: Option<String> = None;
    for line in block.lines().map(str::trim) {
        if let Some((key, value)) = line.split_once(':') {
            let (key, value) = (key.trim().to_owned(), value.trim());
            list = value.is_empty().then(|| key.clone());
            rows.insert(key, if value.is_empty() { json!([]) } else { value.into() });
        } else if line.contains("Handle 0x") {
            rows.insert("Handle".into(), line.into());
        } else if let Some(Value::Array(items)) = list.as_ref().and_then(|key| rows.get_mut(key)) {
            items.push(line.into());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
# dmidecode 3.4
Getting SMBIOS data from sysfs.
SMBIOS 2.8 present.

Handle 0x0000, DMI type 0, 24 bytes
BIOS Information
\tVendor: SeaBIOS
\tROM Size: 64 kB
\tCharacteristics:
\t\tBIOS characteristics not supported
\t\tTargeted content distribution is supported
\tBIOS Revision: 0.0

Handle 0x0400, DMI type 4, 42 bytes
Processor Information
\tSocket Designation: CPU 0
\tUpgrade: Other

Handle 0x1000, DMI type 16, 23 bytes
Physical Memory Array
\tMaximum Capacity: 8 GB
\tNumber Of Devices: 1

Handle 0x1001, DMI type 16, 23 bytes
Physical Memory Array
\tNumber Of Devices: 2

Handle 0x1100, DMI type 17, 40 bytes
Memory Device
\tSize: 8 GB

Handle 0x7F00, DMI type 127, 4 bytes
End Of Table
";

    /// What the Python agent's parser makes of this text.
    #[test]
    fn the_output_becomes_what_ironic_stores() {
        let expected = json!({
            "bios": {
                "Handle": "Handle 0x0000, DMI type 0, 24 bytes", "Vendor": "SeaBIOS", "ROM Size": "64 kB",
                "Characteristics": [
                    "BIOS characteristics not supported", "Targeted content distribution is supported",
                ],
                "BIOS Revision": "0.0",
            },
            "cpu": [{
                "Handle": "Handle 0x0400, DMI type 4, 42 bytes", "Socket Designation": "CPU 0", "Upgrade": "Other",
            }],
            "memory": {
                "Maximum Capacity": "8 GB", "Number Of Devices": 3,
                "devices": [{"Handle": "Handle 0x1100, DMI type 17, 40 bytes", "Size": "8 GB"}],
            },
        });
        assert_eq!(parse(PRINTED), Ok(expected));
    }

    #[tokio::test]
    async fn without_the_tool_the_failure_names_it() {
        let agent = crate::testing::agent_with(crate::agent::Settings::default());
        let why = collect(&agent).await.expect_err("there are no programs here");
        assert!(why.starts_with("failed to run dmidecode: "), "{why}");
    }

    #[test]
    fn odd_output_is_empty_or_named() {
        let empty = json!({"bios": {}, "cpu": [], "memory": {"devices": []}});
        for text in ["", "Handle 0x", "Handle 0x1, DMI type x, 1 bytes\n\tA: b", "\n\n\n", "Handle 0x1,,"] {
            assert_eq!(parse(text), Ok(empty.clone()), "{text:?}");
        }
        for count in ["", "\tNumber Of Devices: many\n", "\tNumber Of Devices:\n"] {
            let text = format!("Handle 0x1000, DMI type 16, 23 bytes\nPhysical Memory Array\n{count}");
            assert!(parse(&text).is_err_and(|why| why.contains(DEVICES)), "{text:?}");
        }
    }
}
