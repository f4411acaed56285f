//! A reader for just as much of an ELF file as a plugin host must know before it lets the dynamic loader near it.
//!
//! It works on bytes, runs nothing and never panics: every offset and count comes from the file and is checked. Only
//! program headers are used, since section headers may be stripped.

mod bytes;
mod dynamic;
mod mapping;
mod notes;

use std::fmt;

use bytes::Bytes;
pub use dynamic::Dynamic;
pub(crate) use mapping::Mapping;

/// Why a file is no shared object that this machine can load: half a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfError(String);

impl ElfError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ElfError {}

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: u16 = 56;
/// Linkers write about ten; the loader's own tables stay small.
const MAX_PROGRAM_HEADERS: u16 = 256;
const TYPE_SHARED: u16 = 3;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const SEGMENT_NOTE: u32 = 4;

/// One program header.
#[derive(Debug, Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

/// A shared object for this machine, all of whose loaded parts are inside the file.
#[derive(Debug)]
pub struct Elf<'a> {
    file: Bytes<'a>,
    segments: Vec<Segment>,
}

impl<'a> Elf<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// If the file is no 64-bit shared object for this machine, or is cut short.
    pub fn parse(content: &'a [u8]) -> Result<Self, ElfError> {
        let file = Bytes(content);
        check_identity(content)?;
        let [kind, machine] = [16, 18].map(|at| file.u16(at).unwrap_or_default());
        if machine != our_machine() {
            return Err(ElfError::new(format!(
                "it is for {}, this machine is {}",
                machine_name(machine),
                machine_name(our_machine())
            )));
        }
        if kind != TYPE_SHARED {
            return Err(ElfError::new(format!("it is no shared object (ELF type {kind}); build it as a cdylib")));
        }
        let segments = program_headers(file)?;
        let elf = Self { file, segments };
        elf.check_loaded_parts()?;
        check_section_headers(file)?;
        Ok(elf)
    }

    /// The description of the one note with this owner and type; none if there is no such note.
    ///
    /// # Errors
    /// If a note segment is malformed, or there are two such notes.
    pub fn note(&self, owner: &str, kind: u32) -> Result<Option<&'a [u8]>, ElfError> {
        let mut found = None;
        for segment in self.of_kind(SEGMENT_NOTE) {
            let content = self.content(segment)?;
            for note in notes::read(content, segment.align)? {
                if note.owner == owner.as_bytes() && note.kind == kind && found.replace(note.description).is_some() {
                    return Err(ElfError::new(format!("it has two notes {owner}")));
                }
            }
        }
        Ok(found)
    }

    /// The dynamic section: dependencies and symbols.
    ///
    /// # Errors
    /// If there is none or it points outside the file.
    pub fn dynamic(&self) -> Result<Dynamic<'a>, ElfError> {
        let segment = self.of_kind(SEGMENT_DYNAMIC).next().ok_or_else(|| ElfError::new("it has no dynamic section"))?;
        Dynamic::read(self, self.content(segment)?)
    }

    fn of_kind(&self, kind: u32) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.kind == kind)
    }

    fn content(&self, segment: &Segment) -> Result<&'a [u8], ElfError> {
        self.file
            .slice(segment.offset, segment.file_size)
            .ok_or_else(|| ElfError::new(format!("a segment at offset {} lies outside the file", segment.offset)))
    }

    /// The file's bytes from a virtual address to the end of its segment.
    fn at_address(&self, address: u64) -> Option<&'a [u8]> {
        let segment = self
            .of_kind(SEGMENT_LOAD)
            .find(|segment| address >= segment.address && address - segment.address < segment.file_size)?;
        let into = address - segment.address;
        self.file.slice(segment.offset.checked_add(into)?, segment.file_size - into)
    }

    fn check_loaded_parts(&self) -> Result<(), ElfError> {
        let mut end = 0;
        for segment in self.of_kind(SEGMENT_LOAD) {
            let last = segment.offset.checked_add(segment.file_size);
            if last.is_none_or(|last| last > self.file.len()) {
                // The dynamic loader would map it all the same and die of SIGBUS.
                return Err(ElfError::new(format!(
                    "it is cut short: a part ends at byte {}, the file has {}",
                    segment.offset.saturating_add(segment.file_size),
                    self.file.len()
                )));
            }
            let memory_end = segment.address.checked_add(segment.memory_size);
            let ordered = segment.file_size <= segment.memory_size && segment.address >= end;
            let aligned = segment.align <= 1
                || (segment.align.is_power_of_two()
                    && segment.address % segment.align == segment.offset % segment.align);
            match memory_end {
                Some(memory_end) if ordered && aligned => end = memory_end,
                _ => return Err(ElfError::new("its program headers contradict each other")),
            }
        }
        if end == 0 { Err(ElfError::new("it has nothing to load")) } else { Ok(()) }
    }
}

fn check_identity(content: &[u8]) -> Result<(), ElfError> {
    if !content.starts_with(b"\x7fELF") {
        return Err(ElfError::new("it is no ELF file"));
    }
    if content.len() < HEADER_SIZE {
        return Err(ElfError::new("it is cut short within its first header"));
    }
    if content[4] != 2 {
        return Err(ElfError::new("it is not a 64-bit file"));
    }
    let ours = if cfg!(target_endian = "little") { 1 } else { 2 };
    if content[5] != ours {
        return Err(ElfError::new("it is for the other byte order"));
    }
    Ok(())
}

/// Section headers are not used, but they come last: a file that lacks them was not copied to its end.
fn check_section_headers(file: Bytes<'_>) -> Result<(), ElfError> {
    let [size, count] = [58, 60].map(|at| u64::from(file.u16(at).unwrap_or_default()));
    let start = file.u64(40).unwrap_or_default();
    if start != 0 && file.slice(start, size * count).is_none() {
        let end = start.saturating_add(size * count);
        return Err(ElfError::new(format!(
            "it is cut short: its section headers end at byte {end}, the file has {}",
            file.len()
        )));
    }
    Ok(())
}

fn program_headers(file: Bytes<'_>) -> Result<Vec<Segment>, ElfError> {
    let outside = || ElfError::new("its program headers lie outside the file");
    let start = file.u64(32).ok_or_else(outside)?;
    let size = file.u16(54).ok_or_else(outside)?;
    let count = file.u16(56).ok_or_else(outside)?;
    if size != PROGRAM_HEADER_SIZE || count == 0 || count > MAX_PROGRAM_HEADERS {
        return Err(ElfError::new(format!("it has {count} program headers of {size} bytes, which is no usual number")));
    }
    let table = file.slice(start, u64::from(size) * u64::from(count)).ok_or_else(outside)?;
    table
        .chunks_exact(usize::from(PROGRAM_HEADER_SIZE))
        .map(|chunk| {
            let header = Bytes(chunk);
            Some(Segment {
                kind: header.u32(0)?,
                offset: header.u64(8)?,
                address: header.u64(16)?,
                file_size: header.u64(32)?,
                memory_size: header.u64(40)?,
                align: header.u64(48)?,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(outside)
}

const fn our_machine() -> u16 {
    if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else if cfg!(target_arch = "riscv64") {
        243
    } else if cfg!(target_arch = "powerpc64") {
        21
    } else if cfg!(target_arch = "s390x") {
        22
    } else {
        0
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        3 => "x86 (32 bit)".into(),
        21 => "ppc64".into(),
        22 => "s390x".into(),
        40 => "arm (32 bit)".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv64".into(),
        other => format!("machine number {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shared object of the system this test runs on, and one that has no symbol versions at all is not needed:
    /// the test binary itself is position independent and dynamically linked.
    fn sample() -> Vec<u8> {
        std::fs::read(std::env::current_exe().expect("own path")).expect("own file")
    }

    /// Everything the host reads of a file.
    fn read_all(content: &[u8]) -> Result<usize, ElfError> {
        let elf = Elf::parse(content)?;
        let note = elf.note("GNU", 3)?.map_or(0, <[u8]>::len);
        let dynamic = elf.dynamic()?;
        Ok(note + dynamic.needed().len() + dynamic.symbols().len() + dynamic.versions().len())
    }

    #[test]
    fn a_real_file_is_read() {
        let content = sample();
        let elf = Elf::parse(&content).expect("an ELF file");
        let dynamic = elf.dynamic().expect("a dynamic section");
        assert!(dynamic.needed().iter().any(|name| name.starts_with("libc.so")), "{:?}", dynamic.needed());
        assert!(dynamic.symbols().iter().any(|symbol| symbol.name == "malloc" && !symbol.defined));
        assert!(dynamic.versions().iter().any(|(_, version)| version.starts_with("GLIBC_2.")));
        assert_eq!(dynamic.constructors(), 2, "those of the linker and of std");
    }

    #[test]
    fn every_truncation_is_refused_and_none_panics() {
        let content = sample();
        let mut cuts: Vec<usize> = (0..4096).collect();
        cuts.extend((1..200).map(|part| content.len() / 200 * part));
        for cut in cuts {
            assert!(read_all(&content[..cut]).is_err(), "cut at {cut} was accepted");
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let mut content = sample();
        // The tables that are followed lie at the beginning and in the dynamic segment.
        let dynamic = {
            let elf = Elf::parse(&content).expect("whole");
            let segment = elf.of_kind(SEGMENT_DYNAMIC).next().expect("dynamic");
            usize::try_from(segment.offset).expect("offset")
                ..usize::try_from(segment.offset + segment.file_size).expect("end")
        };
        let spots: Vec<usize> = (0..64 + 56 * 14).chain(dynamic).collect();
        let mut refused = 0;
        for at in spots {
            for flip in [0x01, 0x80, 0xff] {
                content[at] ^= flip;
                // Symbol tables are walked only where the headers changed, to keep this quick.
                let result = Elf::parse(&content).and_then(|elf| {
                    elf.note("GNU", 3)?;
                    let dynamic = elf.dynamic()?;
                    Ok(dynamic.needed().len() + dynamic.versions().len())
                });
                refused += usize::from(result.is_err());
                content[at] ^= flip;
            }
        }
        assert!(refused > 100, "only {refused} damaged files were refused");
        assert!(read_all(&content).is_ok(), "the file must be whole again");
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        let text = |content: &[u8]| Elf::parse(content).expect_err("no plugin").to_string();
        assert_eq!(text(b"#!/bin/sh\n"), "it is no ELF file");
        assert_eq!(text(b""), "it is no ELF file");
        let mut content = sample();
        content[4] = 1;
        assert_eq!(text(&content), "it is not a 64-bit file");
        content[4] = 2;
        content[18..20].copy_from_slice(&40_u16.to_le_bytes());
        assert!(text(&content).starts_with("it is for arm (32 bit), this machine is"));
    }
}
