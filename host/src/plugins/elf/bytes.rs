//! Numbers and slices out of a file whose offsets cannot be trusted.

/// A byte string that is read by offset; what lies outside is none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn len(self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn slice(self, offset: u64, len: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        self.0.get(start..end)
    }

    pub(super) fn u16(self, at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(self.array(at)?))
    }

    pub(super) fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.array(at)?))
    }

    pub(super) fn u64(self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(self.array(at)?))
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(self, offset: u64) -> Option<&'a str> {
        let rest = self.0.get(usize::try_from(offset).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        str::from_utf8(&rest[..end]).ok()
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }
}
