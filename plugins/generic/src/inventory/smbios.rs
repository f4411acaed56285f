//! The SMBIOS tables of the firmware, as far as the inventory needs them.
//!
//! Firmware writes these tables and firmware is wrong at times, so every offset, length and string number is checked:
//! what lies outside its structure counts as absent.

use crate::root::Root;

const ENTRY_POINT: &str = "sys/firmware/dmi/tables/smbios_entry_point";
const TABLE: &str = "sys/firmware/dmi/tables/DMI";
/// The largest tables seen on servers have some 100 KiB; SMBIOS 3 allows 4 GiB.
const TABLE_LIMIT: u64 = 4 * 1024 * 1024;
/// Type and length byte, then the handle.
const HEADER: usize = 4;

/// The tables of one machine.
#[derive(Debug, Clone)]
pub struct Smbios {
    version: (u8, u8),
    table: Vec<u8>,
}

/// One structure: its formatted part and the strings behind it.
#[derive(Debug, Clone, Copy)]
pub struct Structure<'a> {
    formatted: &'a [u8],
    strings: &'a [u8],
}

impl Smbios {
    /// Reads the tables; `None` if the machine has none or their entry point is damaged.
    pub fn read(root: &Root) -> Option<Self> {
        let version = entry_point_version(&root.bytes(ENTRY_POINT, 64).ok()?)?;
        let table = root.bytes(TABLE, TABLE_LIMIT).ok()?;
        Some(Self { version, table })
    }

    /// Major and minor version of the specification that the tables follow.
    pub fn version(&self) -> (u8, u8) {
        self.version
    }

    /// The structures in table order. The walk ends where the table stops making sense.
    pub fn structures(&self) -> Structures<'_> {
        Structures { rest: &self.table }
    }
}

/// The version, if the anchor and the checksum are right.
fn entry_point_version(entry: &[u8]) -> Option<(u8, u8)> {
    let sums_to_zero = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0;
    let version = if entry.starts_with(b"_SM3_") {
        let length = usize::from(*entry.get(6)?);
        (length >= 24 && sums_to_zero(entry.get(..length)?)).then(|| (entry[7], entry[8]))?
    } else if entry.starts_with(b"_SM_") {
        let intermediate = entry.get(16..31)?;
        (intermediate.starts_with(b"_DMI_") && sums_to_zero(intermediate)).then(|| (entry[6], entry[7]))?
    } else {
        return None;
    };
    (version.0 > 0).then_some(version)
}

/// Walks over the structures of a table.
#[derive(Debug, Clone)]
pub struct Structures<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Structures<'a> {
    type Item = Structure<'a>;

    fn next(&mut self) -> Option<Structure<'a>> {
        let length = usize::from(*self.rest.get(1)?);
        if length < HEADER || length > self.rest.len() {
            self.rest = &[];
            return None;
        }
        let (formatted, behind) = self.rest.split_at(length);
        // Two zero bytes end the strings; a structure that is cut off keeps what is there.
        let end = behind.windows(2).position(|pair| pair == [0, 0]);
        let (strings, rest) = match end {
            Some(end) => (&behind[..end], &behind[end + 2..]),
            None => (behind, &behind[behind.len()..]),
        };
        self.rest = rest;
        Some(Structure { formatted, strings })
    }
}

impl Structure<'_> {
    /// The type number.
    pub fn kind(&self) -> u8 {
        self.formatted[0]
    }

    /// Length of the formatted part, which grew with the versions of the specification.
    pub fn length(&self) -> usize {
        self.formatted.len()
    }

    /// The handle that other structures refer to it by.
    pub fn handle(&self) -> u16 {
        u16::from_le_bytes([self.formatted[2], self.formatted[3]])
    }

    /// The byte at an offset.
    pub fn byte(&self, offset: usize) -> Option<u8> {
        self.formatted.get(offset).copied()
    }

    /// The 16-bit word at an offset.
    pub fn word(&self, offset: usize) -> Option<u16> {
        self.formatted.get(offset..offset + 2)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// The 32-bit word at an offset.
    pub fn dword(&self, offset: usize) -> Option<u32> {
        self.formatted.get(offset..offset + 4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// The string whose number stands at an offset; empty if there is none.
    pub fn string(&self, offset: usize) -> String {
        let number = usize::from(self.byte(offset).unwrap_or(0));
        match number.checked_sub(1) {
            Some(index) => self.strings.split(|byte| *byte == 0).nth(index).map(clean).unwrap_or_default(),
            None => String::new(),
        }
    }
}

/// Firmware pads its strings with blanks and at times with control characters.
fn clean(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    text.trim_matches(|c: char| c <= ' ').chars().filter(|c| *c >= ' ').collect()
}

/// Builds tables for tests.
#[cfg(test)]
pub(crate) mod build {
    use super::*;
    use crate::root::fixture::Tree;

    /// An SMBIOS 3 entry point of that version.
    pub(crate) fn entry_point(major: u8, minor: u8) -> Vec<u8> {
        let mut entry = b"_SM3_\0\x18\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        (entry[7], entry[8]) = (major, minor);
        let sum = entry.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        entry[5] = 0u8.wrapping_sub(sum);
        entry
    }

    /// A structure; `body` follows the four bytes of the header.
    pub(crate) fn structure(kind: u8, handle: u16, body: &[u8], strings: &[&str]) -> Vec<u8> {
        let mut bytes = vec![kind, u8::try_from(body.len() + HEADER).unwrap()];
        bytes.extend(handle.to_le_bytes());
        bytes.extend(body);
        for string in strings {
            bytes.extend(string.as_bytes());
            bytes.push(0);
        }
        bytes.extend(if strings.is_empty() { &[0u8, 0][..] } else { &[0u8][..] });
        bytes
    }

    pub(crate) fn tables(structures: &[Vec<u8>]) -> Smbios {
        Smbios { version: (3, 0), table: structures.concat() }
    }

    pub(crate) fn install(tree: &Tree, structures: &[Vec<u8>]) {
        tree.file(ENTRY_POINT, entry_point(3, 0)).file(TABLE, structures.concat());
    }
}

#[cfg(test)]
mod tests {
    use super::build::{entry_point, install, structure, tables};
    use super::*;
    use crate::root::fixture::Tree;

    #[test]
    fn strings_are_found_by_number_and_cleaned() {
        let tables =
            tables(&[structure(1, 7, &[1, 2, 9, 0], &["  Acme \t", "Ser\x01ver"]), structure(127, 8, &[], &[])]);
        let found: Vec<_> = tables.structures().collect();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].kind(), found[0].handle()), (1, 7));
        assert_eq!([4, 5, 6, 7, 99].map(|offset| found[0].string(offset)), ["Acme", "Server", "", "", ""]);
        assert_eq!((found[0].word(7), found[0].dword(4)), (None, Some(0x0009_0201)));
        assert_eq!(found[1].length(), HEADER);
    }

    #[test]
    fn the_entry_point_must_be_whole() {
        assert_eq!(entry_point_version(&entry_point(3, 4)), Some((3, 4)));
        let mut old = vec![0u8; 31];
        old[..4].copy_from_slice(b"_SM_");
        (old[6], old[7]) = (2, 8);
        old[16..21].copy_from_slice(b"_DMI_");
        old[21] = 0u8.wrapping_sub(old[16..].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        assert_eq!(entry_point_version(&old), Some((2, 8)));
        for entry in [entry_point(3, 4), old] {
            for cut in 0..entry.len() {
                assert_eq!(entry_point_version(&entry[..cut]), None, "{cut} bytes");
            }
            let mut damaged = entry.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(entry_point_version(&damaged), None);
        }
        assert_eq!(entry_point_version(&entry_point(0, 0)), None);
    }

    #[test]
    fn no_table_can_lead_outside_of_itself() {
        let good = [
            structure(0, 0, &[1, 2, 0, 0xf0, 3, 0xff], &["Maker", "1.2", "01/02/2024"]),
            structure(17, 0x1100, &[0; 0x24], &["DIMM"]),
        ]
        .concat();
        let touch = |table: Vec<u8>| {
            let smbios = Smbios { version: (3, 0), table };
            for found in smbios.structures() {
                for offset in 0..=255 {
                    let _ = (found.byte(offset), found.word(offset), found.dword(offset), found.string(offset));
                }
            }
            smbios.structures().count()
        };
        for cut in 0..good.len() {
            touch(good[..cut].to_vec());
        }
        // Every byte takes values that are likely to hurt: lengths, string numbers and terminators among them.
        for at in 0..good.len() {
            for value in [0, 1, 3, 4, 5, 0x7f, 0x80, 0xfe, 0xff] {
                let mut table = good.clone();
                table[at] = value;
                assert!(touch(table) <= good.len() / HEADER);
            }
        }
        // And noise, from a fixed generator so that a failure can be repeated.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for length in 0..600 {
            let noise = (0..length).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[0]
            });
            touch(noise.collect());
        }
    }

    #[test]
    fn tables_are_read_below_the_root() {
        let tree = Tree::new();
        assert!(Smbios::read(&tree.root()).is_none());
        install(&tree, &[structure(1, 1, &[1], &["Acme"])]);
        let tables = Smbios::read(&tree.root()).unwrap();
        assert_eq!(tables.version(), (3, 0));
        assert_eq!(tables.structures().next().unwrap().string(4), "Acme");
    }
}
