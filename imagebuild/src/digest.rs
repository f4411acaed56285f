//! SHA-256 as hex digits.

use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{Doing, Outcome};

/// Of bytes in memory.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Of a file's content.
///
/// # Errors
/// If it cannot be read.
pub fn of_file(path: &Path) -> Outcome<String> {
    let reading = || format!("reading {}", path.display());
    let mut writer = Writer::new(io::sink());
    io::copy(&mut File::open(path).doing(reading())?, &mut writer).doing(reading())?;
    Ok(writer.finish().1)
}

/// Passes on what is written and sums it up.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    digest: Sha256,
}

impl<W: io::Write> Writer<W> {
    /// Passes on to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, digest: Sha256::new() }
    }

    /// What was written to, and the SHA-256 of all that was.
    pub fn finish(self) -> (W, String) {
        (self.inner, hex(&self.digest.finalize()))
    }
}

impl<W: io::Write> io::Write for Writer<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn all_ways_give_the_known_sum() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
        let mut writer = Writer::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        assert_eq!(writer.finish(), (b"abc".to_vec(), abc.to_owned()));
    }
}
