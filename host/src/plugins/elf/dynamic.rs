//! The dynamic section: what the dynamic loader will look for and what it will run.

use super::bytes::Bytes;
use super::{Elf, ElfError};

const TAG_NEEDED: u64 = 1;
const TAG_STRINGS: u64 = 5;
const TAG_SYMBOLS: u64 = 6;
const TAG_STRINGS_SIZE: u64 = 10;
const TAG_HASH: u64 = 4;
const TAG_INIT_ARRAY_SIZE: u64 = 27;
const TAG_GNU_HASH: u64 = 0x6fff_fef5;
const TAG_VERSIONS_NEEDED: u64 = 0x6fff_fffe;
const TAG_VERSIONS_NEEDED_COUNT: u64 = 0x6fff_ffff;

const ADDRESS_SIZE: u64 = 8;
const SYMBOL_SIZE: usize = 24;
const MAX_ENTRIES: usize = 4096;
const MAX_SYMBOLS: u64 = 4_000_000;
const MAX_VERSIONS: u64 = 4096;

/// A dynamic symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, without version.
    pub name: &'a str,
    /// True if this file defines it, false if it must come from another.
    pub defined: bool,
}

/// The dynamic section of a file.
#[derive(Debug)]
pub struct Dynamic<'a> {
    needed: Vec<&'a str>,
    symbols: Vec<Symbol<'a>>,
    versions: Vec<(&'a str, &'a str)>,
    constructors: u64,
}

impl<'a> Dynamic<'a> {
    pub(super) fn read(elf: &Elf<'a>, section: &'a [u8]) -> Result<Self, ElfError> {
        let entries: Vec<(u64, u64)> = section
            .chunks_exact(16)
            .take(MAX_ENTRIES)
            .map_while(|entry| Some((Bytes(entry).u64(0)?, Bytes(entry).u64(8)?)))
            .take_while(|(tag, _)| *tag != 0)
            .collect();
        let value = |tag| entries.iter().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let table = |tag| value(tag).map(|address| (address, elf.at_address(address)));

        let strings = match table(TAG_STRINGS) {
            Some((_, Some(bytes))) => {
                let size = value(TAG_STRINGS_SIZE).and_then(|size| usize::try_from(size).ok()).unwrap_or(bytes.len());
                Bytes(bytes.get(..size).ok_or_else(|| ElfError::new("its string table is cut short"))?)
            }
            _ => return Err(ElfError::new("it has no string table")),
        };
        let needed = entries
            .iter()
            .filter(|entry| entry.0 == TAG_NEEDED)
            .map(|entry| strings.text(entry.1))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| ElfError::new("the name of a library it needs is unreadable"))?;

        let count = match (table(TAG_HASH), table(TAG_GNU_HASH)) {
            (Some((_, Some(hash))), _) => Bytes(hash).u32(4).map(u64::from),
            (_, Some((_, Some(hash)))) => count_by_gnu_hash(Bytes(hash)),
            _ => None,
        };
        let symbols = match (table(TAG_SYMBOLS), count) {
            (Some((_, Some(bytes))), Some(count)) if count <= MAX_SYMBOLS => read_symbols(bytes, count, strings)?,
            _ => return Err(ElfError::new("its symbol table is unreadable")),
        };
        let versions = match table(TAG_VERSIONS_NEEDED) {
            Some((_, Some(bytes))) => {
                let count = value(TAG_VERSIONS_NEEDED_COUNT).unwrap_or(0).min(MAX_VERSIONS);
                read_versions(Bytes(bytes), count, strings)
                    .ok_or_else(|| ElfError::new("its table of needed versions is unreadable"))?
            }
            _ => Vec::new(),
        };
        let constructors = value(TAG_INIT_ARRAY_SIZE).unwrap_or(0) / ADDRESS_SIZE;
        Ok(Self { needed, symbols, versions, constructors })
    }

    /// Names of the libraries it needs.
    pub fn needed(&self) -> &[&'a str] {
        &self.needed
    }

    /// All dynamic symbols.
    pub fn symbols(&self) -> &[Symbol<'a>] {
        &self.symbols
    }

    /// True if the file itself defines a symbol.
    pub fn defines(&self, name: &str) -> bool {
        self.symbols.iter().any(|symbol| symbol.defined && symbol.name == name)
    }

    /// The symbol versions it needs, as library and version, for example `libc.so.6` and `GLIBC_2.34`.
    pub fn versions(&self) -> &[(&'a str, &'a str)] {
        &self.versions
    }

    /// How many functions of the file run as soon as it is loaded. Every Rust library has two: one of the C run time's,
    /// one with which the standard library takes the program's arguments.
    pub fn constructors(&self) -> u64 {
        self.constructors
    }
}

fn read_symbols<'a>(bytes: &'a [u8], count: u64, strings: Bytes<'a>) -> Result<Vec<Symbol<'a>>, ElfError> {
    let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(SYMBOL_SIZE));
    let table =
        size.and_then(|size| bytes.get(..size)).ok_or_else(|| ElfError::new("its symbol table is cut short"))?;
    table
        .chunks_exact(SYMBOL_SIZE)
        .skip(1)
        .map(|entry| {
            let entry = Bytes(entry);
            let name = strings.text(entry.u32(0)?.into())?;
            Some(Symbol { name, defined: entry.u16(6)? != 0 })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| ElfError::new("the name of a symbol is unreadable"))
}

/// The GNU hash table does not tell how many symbols there are: it is one more than the last of the longest chain.
fn count_by_gnu_hash(hash: Bytes<'_>) -> Option<u64> {
    let (buckets, first, bloom) = (hash.u32(0)?, hash.u32(4)?, hash.u32(8)?);
    let buckets_at = 16 + u64::from(bloom) * 8;
    let table = hash.slice(buckets_at, u64::from(buckets) * 4)?;
    let last = table.chunks_exact(4).filter_map(|entry| Bytes(entry).u32(0)).max()?;
    if last < first {
        return Some(first.into());
    }
    let chains_at = buckets_at + u64::from(buckets) * 4;
    let chain = Bytes(hash.0.get(usize::try_from(chains_at + u64::from(last - first) * 4).ok()?..)?);
    let mut at = 0_usize;
    while chain.u32(at)? & 1 == 0 {
        at += 4;
    }
    Some(u64::from(last) + at as u64 / 4 + 1)
}

fn read_versions<'a>(table: Bytes<'a>, count: u64, strings: Bytes<'a>) -> Option<Vec<(&'a str, &'a str)>> {
    let mut versions = Vec::new();
    let mut at = 0_usize;
    for _ in 0..count {
        let library = strings.text(table.u32(at.checked_add(4)?)?.into())?;
        let mut entry = at.checked_add(usize::try_from(table.u32(at.checked_add(8)?)?).ok()?)?;
        for _ in 0..table.u16(at.checked_add(2)?)? {
            versions.push((library, strings.text(table.u32(entry.checked_add(8)?)?.into())?));
            match table.u32(entry.checked_add(12)?)? {
                0 => break,
                next => entry = entry.checked_add(usize::try_from(next).ok()?)?,
            }
        }
        if versions.len() as u64 > MAX_VERSIONS {
            return None;
        }
        match table.u32(at.checked_add(12)?)? {
            0 => break,
            next => at = at.checked_add(usize::try_from(next).ok()?)?,
        }
    }
    Some(versions)
}
