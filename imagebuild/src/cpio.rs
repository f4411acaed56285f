//! The archive that a kernel unpacks at boot: cpio in its "newc" form, made so that the same tree gives the same bytes.

use std::io::{self, Read, Write};

use crate::failure::{Doing, Failure, Outcome};

const TRAILER: &str = "TRAILER!!!";
/// Names and contents begin at multiples of this.
const ALIGNMENT: u64 = 4;

/// Kinds of entries, as the upper bits of a mode.
pub const REGULAR: u32 = 0o100_000;
/// A directory.
pub const DIRECTORY: u32 = 0o040_000;
/// A symbolic link, with its target as content.
pub const LINK: u32 = 0o120_000;
/// A character device.
pub const CHARACTER: u32 = 0o020_000;

/// What stands before the content of an entry.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Name, without a slash at its beginning.
    pub name: &'a str,
    /// Kind and permissions.
    pub mode: u32,
    /// Major and minor number of a device, zero for all else.
    pub device: (u32, u32),
    /// Bytes of content.
    pub size: u64,
}

/// Writes an archive. All is owned by root, has one time, and is numbered as it comes.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    time: u32,
    number: u32,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`; everything has the modification time `time`, in seconds since 1970.
    pub fn new(inner: W, time: u32) -> Self {
        Self { inner, time, number: 0, written: 0 }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If it does not fit the format, the content is not as long as the header says, or cannot be read or written.
    pub fn add(&mut self, header: Header<'_>, content: impl Read) -> Outcome {
        let name = header.name;
        if name.is_empty() || name.starts_with('/') || name.contains('\0') || name == TRAILER {
            return Err(Failure::new(format!("a ramdisk can have no file called {name:?}")));
        }
        self.number += 1;
        let links = if header.mode & DIRECTORY == DIRECTORY && header.mode & REGULAR != REGULAR { 2 } else { 1 };
        self.entry(header, links, self.time, content).doing(format_args!("putting {name} into the archive"))
    }

    /// Ends the archive and gives what it was written to, and its size in bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> Outcome<(W, u64)> {
        let trailer = Header { name: TRAILER, mode: 0, device: (0, 0), size: 0 };
        self.number = 0;
        let ended = self.entry(trailer, 1, 0, io::empty()).and_then(|()| self.inner.flush());
        ended.doing("ending the archive")?;
        Ok((self.inner, self.written))
    }

    fn entry(&mut self, header: Header<'_>, links: u32, time: u32, content: impl Read) -> io::Result<()> {
        let size = u32::try_from(header.size).map_err(|_| io::Error::other("it is too large for the format"))?;
        let name_size = u32::try_from(header.name.len() + 1).map_err(|_| io::Error::other("its name is too long"))?;
        let fields =
            [self.number, header.mode, 0, 0, links, time, size, 0, 0, header.device.0, header.device.1, name_size, 0];
        let mut head = String::from("070701");
        for field in fields {
            head.push_str(&format!("{field:08x}"));
        }
        head.push_str(header.name);
        head.push('\0');
        self.write(head.as_bytes())?;
        self.align()?;
        // One byte more than there should be tells a file that grew.
        let copied = io::copy(&mut content.take(header.size + 1), &mut self.inner)?;
        if copied != header.size {
            return Err(io::Error::other("its content is not as long as it was"));
        }
        self.written += copied;
        self.align()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn align(&mut self) -> io::Result<()> {
        while !self.written.is_multiple_of(ALIGNMENT) {
            self.write(&[0])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, mode: u32, size: u64) -> Header<'_> {
        Header { name, mode, device: (0, 0), size }
    }

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_reads_it() {
        let mut writer = Writer::new(Vec::new(), 0x5f5e_0ff0);
        writer.add(header("a/b", REGULAR | 0o644, 5), &b"hello"[..]).unwrap();
        let (bytes, size) = writer.finish().unwrap();
        assert_eq!(size, bytes.len() as u64);
        let expected = "070701000000010000\
                        81a4000000000000000000000001\
                        5f5e0ff0000000050000000000000000000000000000000000000004\
                        00000000a/b\0\0\0hello\0\0\0";
        let expected = expected.replace(' ', "");
        assert_eq!(String::from_utf8_lossy(&bytes[..expected.len()]), expected);
        let trailer = &bytes[expected.len()..];
        assert!(trailer.starts_with(b"070701") && trailer[110..].starts_with(b"TRAILER!!!\0"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        for content in [&b"1234"[..], b"123456"] {
            let mut writer = Writer::new(Vec::new(), 0);
            let failure = writer.add(header("log", REGULAR | 0o644, 5), content).unwrap_err().to_string();
            assert!(failure.contains("log") && failure.contains("not as long"), "{failure}");
        }
    }

    #[test]
    fn names_that_would_leave_or_end_the_archive_are_refused() {
        for name in ["", "/etc/passwd", "a\0b", TRAILER] {
            assert!(Writer::new(Vec::new(), 0).add(header(name, REGULAR, 0), io::empty()).is_err(), "{name:?}");
        }
    }
}
