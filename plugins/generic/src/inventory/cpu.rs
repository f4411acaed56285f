//! The processors, as `lscpu` of util-linux 2.38 describes them.

use ipa_plugin_api::inventory::Cpu;

use super::arm::core_name;
use super::smbios::Smbios;
use crate::root::Root;

const CPUS: &str = "sys/devices/system/cpu";
/// SMBIOS structure type.
const PROCESSOR: u8 = 4;

/// Reads the processors. `machine` is the kernel's architecture name.
pub(super) fn read(root: &Root, machine: &str, smbios: Option<&Smbios>) -> Cpu {
    let info = CpuInfo::read(root, machine);
    let present = cpu_list(root, "present").unwrap_or_default();
    Cpu {
        model_name: info.model_name,
        frequency: highest_frequency(root, &present).unwrap_or_default(),
        count: u32::try_from(present.len()).unwrap_or(u32::MAX),
        architecture: machine.to_owned(),
        flags: info.flags,
        socket_count: Some(sockets(root, machine, smbios, &present)),
    }
}

/// What `/proc/cpuinfo` tells.
struct CpuInfo {
    model_name: String,
    flags: Vec<String>,
}

impl CpuInfo {
    /// On x86 all processors have one name and the file has a page for each, so the first page is enough; elsewhere
    /// cores may differ and the last kind is the one that upstream shows.
    fn read(root: &Root, machine: &str) -> Self {
        let limit = if machine == "x86_64" { 16 * 1024 } else { 4 * 1024 * 1024 };
        let text = root.text_up_to("proc/cpuinfo", limit).unwrap_or_default();
        let (mut name, mut implementer, mut part, mut flags) = (None, None, None, "");
        for line in text.lines() {
            if machine == "x86_64" && line.is_empty() {
                break;
            }
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "model name" => name = Some(value.to_owned()),
                // POWER and SPARC.
                "cpu" => name = Some(value.to_owned()),
                "CPU implementer" => implementer = hexadecimal(value),
                "CPU part" => part = hexadecimal(value),
                "flags" | "Features" | "features" => flags = value,
                _ => {}
            }
        }
        let arm = implementer.zip(part).and_then(|(implementer, part)| core_name(implementer, part));
        Self {
            // A name that nobody knows is a dash to lscpu.
            model_name: arm.map(str::to_owned).or(name).filter(|name| !name.is_empty()).unwrap_or_else(|| "-".into()),
            flags: flags.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// A list such as `0-3,8` of `/sys/devices/system/cpu`.
fn cpu_list(root: &Root, file: &str) -> Option<Vec<u32>> {
    /// No kernel has more processors (`CONFIG_NR_CPUS`).
    const MOST: u32 = 8192;
    let text = root.trimmed(format!("{CPUS}/{file}"))?;
    let mut cpus = Vec::new();
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse::<u32>().ok()?);
        cpus.extend(first..=last.min(MOST));
    }
    Some(cpus)
}

/// In MHz with four decimals; `None` without frequency scaling, as on most virtual machines.
fn highest_frequency(root: &Root, present: &[u32]) -> Option<String> {
    let kilohertz =
        present.iter().filter_map(|cpu| root.number(format!("{CPUS}/cpu{cpu}/cpufreq/cpuinfo_max_freq"))).max()?;
    // lscpu computes in single precision, and the last digit shows it.
    Some(format!("{:.4}", f64::from(kilohertz as f32 / 1000.0)))
}

/// Sockets are the distinct sets of `core_siblings`.
fn sockets(root: &Root, machine: &str, smbios: Option<&Smbios>, present: &[u32]) -> u32 {
    // An Arm machine without the processor topology table has clusters where others have sockets; the firmware knows
    // the sockets. Where it does not, lscpu prints a dash, and the clusters are the better answer.
    if machine == "aarch64" && !root.exists("sys/firmware/acpi/tables/PPTT") {
        let listed = smbios.map_or(0, |tables| tables.structures().filter(|s| s.kind() == PROCESSOR).count());
        if listed > 0 {
            return u32::try_from(listed).unwrap_or(u32::MAX);
        }
    }
    let mut seen: Vec<CpuMask> = Vec::new();
    for cpu in present {
        if seen.iter().any(|mask| mask.contains(*cpu)) {
            continue;
        }
        // A processor that is offline has no topology.
        let siblings = root.trimmed(format!("{CPUS}/cpu{cpu}/topology/core_siblings"));
        seen.extend(siblings.and_then(|text| CpuMask::parse(&text)));
    }
    u32::try_from(seen.len()).unwrap_or(u32::MAX)
}

/// A set of processors in the kernel's form: hexadecimal words of 32 bits, highest first, split by commas.
struct CpuMask(Vec<u32>);

impl CpuMask {
    fn parse(text: &str) -> Option<Self> {
        text.split(',').rev().map(|word| u32::from_str_radix(word, 16).ok()).collect::<Option<_>>().map(Self)
    }

    fn contains(&self, cpu: u32) -> bool {
        self.0.get(cpu as usize / 32).is_some_and(|word| word >> (cpu % 32) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::smbios::build::{structure, tables};
    use crate::root::fixture::Tree;

    /// Recorded from a dual-socket AMD server (flags shortened).
    const X86: &str = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7282 16-Core Processor\n\
        stepping\t: 0\ncpu MHz\t\t: 2794.749\nflags\t\t: fpu vme de pse\n\nprocessor\t: 1\nmodel name\t: other\n\n";

    /// Recorded from an Ampere Altra (features shortened).
    const ARM: &str = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes\nCPU implementer\t: 0x41\n\
        CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n";

    fn topology(tree: &Tree, siblings: &[&str]) {
        tree.file("sys/devices/system/cpu/present", format!("0-{}\n", siblings.len() - 1));
        for (cpu, mask) in siblings.iter().enumerate() {
            tree.file(&format!("sys/devices/system/cpu/cpu{cpu}/topology/core_siblings"), format!("{mask}\n"));
        }
    }

    #[test]
    fn an_x86_server() {
        let tree = Tree::new();
        tree.file("proc/cpuinfo", X86);
        topology(&tree, &["00000000,00000003", "00000000,00000003", "00000000,0000000c", "00000000,0000000c"]);
        for (cpu, khz) in [(0, 2_800_000), (1, 2_803_211), (2, 2_800_000)] {
            tree.file(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/cpuinfo_max_freq"), format!("{khz}\n"));
        }
        let cpu = read(&tree.root(), "x86_64", None);
        assert_eq!(cpu.model_name, "AMD EPYC 7282 16-Core Processor");
        assert_eq!(cpu.frequency, "2803.2109");
        assert_eq!((cpu.count, cpu.socket_count), (4, Some(2)));
        assert_eq!(cpu.flags, ["fpu", "vme", "de", "pse"]);
        assert_eq!(cpu.architecture, "x86_64");
    }

    #[test]
    fn an_arm_server() {
        let tree = Tree::new();
        tree.file("proc/cpuinfo", ARM);
        topology(&tree, &["1", "2", "4", "8"]);
        let processors = tables(&[structure(4, 4, &[], &[]), structure(4, 5, &[], &[])]);
        let cpu = read(&tree.root(), "aarch64", Some(&processors));
        assert_eq!((cpu.model_name.as_str(), cpu.frequency.as_str()), ("Neoverse-N1", ""));
        assert_eq!(cpu.flags, ["fp", "asimd", "evtstrm", "aes"]);
        assert_eq!(cpu.socket_count, Some(2));

        assert_eq!(read(&tree.root(), "aarch64", None).socket_count, Some(4));
        tree.file("sys/firmware/acpi/tables/PPTT", "");
        assert_eq!(read(&tree.root(), "aarch64", Some(&processors)).socket_count, Some(4));
    }

    #[test]
    fn lists_and_masks_of_the_kernel() {
        let tree = Tree::new();
        let list = |text: &str| {
            tree.file("sys/devices/system/cpu/present", text);
            cpu_list(&tree.root(), "present")
        };
        assert_eq!(list("0-2,5,7-8\n"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(list("0-4294967295\n").unwrap().len(), 8193);
        assert_eq!(list("x\n"), None);
        let mask = CpuMask::parse("80000001,00000002").unwrap();
        assert_eq!([0, 1, 32, 63, 64, 900].map(|cpu| mask.contains(cpu)), [false, true, true, true, false, false]);
        assert!(CpuMask::parse("no").is_none());
    }

    #[test]
    fn nothing_to_read_is_no_error() {
        let cpu = read(&Tree::new().root(), "x86_64", None);
        assert_eq!((cpu.model_name.as_str(), cpu.count, cpu.socket_count), ("-", 0, Some(0)));
    }
}
