//! The notes of a note segment.

use super::ElfError;
use super::bytes::Bytes;

/// One note.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note<'a> {
    /// Without its closing zero byte.
    pub(super) owner: &'a [u8],
    pub(super) kind: u32,
    pub(super) description: &'a [u8],
}

/// Reads all notes of a segment. Owner and description are padded to four bytes, in segments aligned to eight to
/// eight.
pub(super) fn read(segment: &[u8], align: u64) -> Result<Vec<Note<'_>>, ElfError> {
    let align = if align == 8 { 8 } else { 4 };
    let mut notes = Vec::new();
    let mut at = 0_u64;
    let bytes = Bytes(segment);
    while at < bytes.len() {
        let Some((note, next)) = one(bytes, at, align) else {
            return Err(ElfError::new("one of its notes is cut short"));
        };
        notes.push(note);
        at = next;
    }
    Ok(notes)
}

fn one(bytes: Bytes<'_>, start: u64, align: u64) -> Option<(Note<'_>, u64)> {
    let head = Bytes(bytes.slice(start, 12)?);
    let (owner_size, description_size, kind) = (head.u32(0)?, head.u32(4)?, head.u32(8)?);
    let owner = bytes.slice(start + 12, owner_size.into())?;
    let description_at = (start + 12 + u64::from(owner_size)).checked_next_multiple_of(align)?;
    let description = bytes.slice(description_at, description_size.into())?;
    let next = (description_at + u64::from(description_size)).checked_next_multiple_of(align)?;
    let owner = owner.strip_suffix(b"\0").unwrap_or(owner);
    Some((Note { owner, kind, description }, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [u32::try_from(owner.len()).unwrap(), u32::try_from(description.len()).unwrap(), kind] {
            bytes.extend(number.to_ne_bytes());
        }
        for part in [owner, description] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn notes_follow_each_other() {
        let segment = [note(b"GNU\0", 3, b"12345"), note(b"IPA\0", 1, b"{}")].concat();
        let notes = read(&segment, 4).expect("two notes");
        assert_eq!(notes[1], Note { owner: b"IPA", kind: 1, description: b"{}" });
    }

    #[test]
    fn a_size_beyond_the_segment_is_an_error() {
        let mut segment = note(b"IPA\0", 1, b"{}");
        segment[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(read(&segment, 4).is_err());
        assert!(read(&segment[..7], 4).is_err());
    }
}
