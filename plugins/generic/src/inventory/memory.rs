//! How much memory the kernel manages, and how much is plugged in.

use std::collections::HashSet;

use ipa_plugin_api::inventory::Memory;

use super::smbios::{Smbios, Structure};
use crate::root::Root;

/// SMBIOS structure types.
const BASEBOARD: u8 = 2;
const ARRAY: u8 = 16;
const DEVICE: u8 = 17;

const MIB: u64 = 1024 * 1024;

/// Total is what the kernel manages, physical what the firmware lists or, failing that, what the kernel found.
pub(super) fn read(root: &Root, smbios: Option<&Smbios>) -> Memory {
    let total = total(root);
    let banks = smbios.map_or(0, installed);
    // Firmware that lists less than the kernel has is not believed (as lshw does).
    let physical = if banks > total.unwrap_or(0) {
        Some(banks)
    } else {
        match (hotplug(root), total) {
            (Some(blocks), total) if blocks > total.unwrap_or(0) => Some(blocks),
            (_, total) => total,
        }
    };
    Memory { total, physical_mb: physical.map(|bytes| bytes / MIB) }
}

fn total(root: &Root) -> Option<u64> {
    let text = root.text("proc/meminfo").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The size of all memory blocks that are online; `None` where the kernel has no memory hotplug.
fn hotplug(root: &Root) -> Option<u64> {
    const BLOCKS: &str = "sys/devices/system/memory";
    let size = u64::from_str_radix(&root.trimmed(format!("{BLOCKS}/block_size_bytes"))?, 16).ok()?;
    let is_block = |name: &String| name.strip_prefix("memory").is_some_and(|n| n.parse::<u32>().is_ok());
    let blocks: Vec<String> = root.names(BLOCKS).ok()?.into_iter().filter(is_block).collect();
    let all = size.checked_mul(u64::try_from(blocks.len()).ok()?)?;
    // There are hundreds of blocks, with a file each. Memory is in use only where a block is online, so if it fills all
    // blocks but a part of one, all are.
    if present(root).is_some_and(|bytes| bytes <= all && all - bytes < size) {
        return Some(all);
    }
    let online = |name: &&String| root.trimmed(format!("{BLOCKS}/{name}/online")).as_deref() == Some("1");
    size.checked_mul(u64::try_from(blocks.iter().filter(online).count()).ok()?)
}

/// The memory that the kernel has put into its zones, holes left out.
fn present(root: &Root) -> Option<u64> {
    /// Each zone has some 100 bytes for every processor.
    const LIMIT: u64 = 4 * 1024 * 1024;
    let text = root.text_up_to("proc/zoneinfo", LIMIT).ok()?;
    let pages = text.lines().filter_map(|line| line.trim_start().strip_prefix("present")?.trim().parse::<u64>().ok());
    pages.sum::<u64>().checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// The bytes of all memory devices that count as main memory.
///
/// A device belongs to its array. Devices whose array is unknown count, and so do those of a second system array; those
/// of video memory, flash, NVRAM and caches do not, nor those of an array that the table puts on a sub-board.
fn installed(smbios: &Smbios) -> u64 {
    let mut on_boards = HashSet::new();
    let mut elsewhere = HashSet::new();
    let mut has_memory = false;
    let mut bytes = 0u64;
    for structure in smbios.structures() {
        match structure.kind() {
            BASEBOARD => on_boards.extend(contained_handles(&structure)),
            ARRAY => {
                let system = !matches!(structure.byte(0x05), Some(0x04..=0x07));
                if system && has_memory {
                    continue;
                }
                if on_boards.contains(&structure.handle()) || !system {
                    elsewhere.insert(structure.handle());
                } else {
                    has_memory = true;
                }
            }
            DEVICE if !structure.word(0x04).is_some_and(|array| elsewhere.contains(&array)) => {
                has_memory = true;
                bytes = bytes.saturating_add(device_size(&structure, smbios.version()));
            }
            _ => {}
        }
    }
    bytes
}

/// What a board that is not the only one carries.
fn contained_handles(board: &Structure<'_>) -> Vec<u16> {
    let count = board.byte(0x0e).map_or(0, usize::from);
    (0..count).filter_map(|index| board.word(0x0f + 2 * index)).collect()
}

fn device_size(device: &Structure<'_>, version: (u8, u8)) -> u64 {
    match device.word(0x0c) {
        None | Some(0xffff) => 0,
        Some(0x7fff) if version >= (2, 7) => u64::from(device.dword(0x1c).unwrap_or(0) & 0x7fff_ffff) * MIB,
        Some(size) if size & 0x8000 != 0 => u64::from(size & 0x7fff) * 1024,
        Some(size) => u64::from(size) * MIB,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::smbios::build::{structure, tables};
    use crate::root::fixture::Tree;

    fn array(handle: u16, usage: u8) -> Vec<u8> {
        structure(16, handle, &[3, usage, 3, 0, 0, 0, 0, 0xff, 0xff, 4, 0], &[])
    }

    fn device(array: u16, size: u16, extended: u32) -> Vec<u8> {
        let mut body = vec![0u8; 0x1c];
        body[0..2].copy_from_slice(&array.to_le_bytes());
        body[8..10].copy_from_slice(&size.to_le_bytes());
        body[0x18..0x1c].copy_from_slice(&extended.to_le_bytes());
        structure(17, 0x1100, &body, &[])
    }

    fn gib(structures: &[Vec<u8>]) -> u64 {
        installed(&tables(structures)) / (1024 * MIB)
    }

    #[test]
    fn every_size_form_is_understood() {
        // 16 GiB in MiB, 32 GiB by the extended field, 512 KiB by the granularity bit, unknown, empty.
        let devices =
            [(0x4000, 0), (0x7fff, 32 * 1024), (0x8200, 0), (0xffff, 0), (0, 0)].map(|(s, e)| device(0x1000, s, e));
        let mut all = vec![array(0x1000, 3)];
        all.extend(devices);
        assert_eq!(installed(&tables(&all)), 48 * 1024 * MIB + 512 * 1024);
    }

    #[test]
    fn only_main_memory_counts() {
        let (main, second, flash, orphan) =
            (device(0x1000, 0x1000, 0), device(0x1001, 0x2000, 0), device(0x1002, 0x4000, 0), device(0x9999, 0x400, 0));
        let arrays = [array(0x1000, 3), array(0x1001, 3), array(0x1002, 5)];
        assert_eq!(gib(&[&arrays[..], &[main, second, flash, orphan]].concat()), 4 + 8 + 1);
    }

    #[test]
    fn memory_of_a_sub_board_does_not_count() {
        let mut body = vec![0u8; 10];
        body.push(1);
        body.extend(0x1000u16.to_le_bytes());
        let board = structure(2, 0x200, &body, &[]);
        assert_eq!(gib(&[board, array(0x1000, 3), device(0x1000, 0x4000, 0)]), 0);
    }

    #[test]
    fn the_kernel_is_asked_when_the_firmware_is_silent_or_wrong() {
        let tree = Tree::new();
        tree.file("proc/meminfo", "MemTotal:       24684096 kB\nMemFree: 1 kB\n");
        assert_eq!(read(&tree.root(), None), Memory { total: Some(25_276_514_304), physical_mb: Some(24_105) });

        // Three blocks of 8 GiB are online; the kernel keeps some of them for itself.
        let blocks = "sys/devices/system/memory";
        tree.file(&format!("{blocks}/block_size_bytes"), "200000000\n").file(&format!("{blocks}/probe"), "");
        for (number, online) in [(0, "1\n"), (1, "1\n"), (2, "1\n"), (3, "0\n")] {
            tree.file(&format!("{blocks}/memory{number}/online"), online);
        }
        assert_eq!(read(&tree.root(), None).physical_mb, Some(24_576));

        let small = tables(&[array(0x1000, 3), device(0x1000, 0x400, 0)]);
        assert_eq!(read(&tree.root(), Some(&small)).physical_mb, Some(24_576));
        let large = tables(&[array(0x1000, 3), device(0x1000, 0x7000, 0)]);
        assert_eq!(read(&tree.root(), Some(&large)).physical_mb, Some(28_672));
    }

    #[test]
    fn blocks_that_must_be_online_are_not_asked() {
        let tree = Tree::new();
        let blocks = "sys/devices/system/memory";
        tree.file("proc/meminfo", "MemTotal: 1000000 kB\n").file(&format!("{blocks}/block_size_bytes"), "8000000\n");
        for number in 0..9 {
            tree.directory(&format!("{blocks}/memory{number}"));
        }
        let page = rustix::param::page_size() as u64;
        let physical = |present: u64| {
            let zones = format!(
                "Node 0, zone      DMA\n  pages free     1\n        spanned  4095\n        present  4000\n\
                 Node 0, zone    DMA32\n        present  {}\nNode 1, zone   Normal\n        present  0\n",
                present / page - 4000
            );
            tree.file("proc/zoneinfo", zones);
            read(&tree.root(), None).physical_mb
        };
        assert_eq!(physical(1152 * MIB), Some(1152));
        assert_eq!(physical(1025 * MIB), Some(1152), "holes");
        assert_eq!(physical(1024 * MIB), Some(976), "a block may be offline, and no file says that any is not");
        assert_eq!(physical(1153 * MIB), Some(976), "more than the blocks hold is not believed");
        tree.file(&format!("{blocks}/memory8/online"), "1\n");
        tree.file("proc/meminfo", "MemTotal: 1000 kB\n");
        assert_eq!(physical(1024 * MIB), Some(128));
    }

    #[test]
    fn unreadable_files_give_null() {
        assert_eq!(read(&Tree::new().root(), None), Memory { total: None, physical_mb: None });
    }
}
