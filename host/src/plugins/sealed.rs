//! A private copy of a plugin file that nobody can change any more.
//!
//! The copy is what is checked and what is loaded, so that no change of the file in between matters. It is a sealed
//! memfd; the pages are shared by all that map it and are gone with the last of them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create, sendfile};
use rustix::io::Errno;

use super::elf::Mapping;

/// How often a seal is tried that the kernel refuses since it works on the pages; each time it waits for 150 ms itself.
const TRIES: usize = 20;

/// A sealed copy.
#[derive(Debug)]
pub(crate) struct Sealed {
    fd: OwnedFd,
    len: usize,
}

impl Sealed {
    /// Copies a file of at most `limit` bytes. `name` is what debuggers and `/proc/PID/maps` show.
    pub(crate) fn copy(file: &File, name: &str, limit: u64) -> io::Result<Self> {
        let fd = create(name)?;
        let mut len = 0_u64;
        loop {
            let rest = usize::try_from(limit.saturating_add(1) - len).unwrap_or(usize::MAX);
            match sendfile(&fd, file, None, rest)? {
                0 => break,
                copied => len += copied as u64,
            }
            if len > limit {
                return Err(io::Error::other(format!("it grew beyond {limit} bytes while it was read")));
            }
        }
        Self::seal(fd, usize::try_from(len).map_err(io::Error::other)?, || {})
    }

    /// Copies bytes. `name` is as for [`copy`](Self::copy).
    pub(crate) fn of(bytes: &[u8], name: &str) -> io::Result<Self> {
        let mut file = File::from(create(name)?);
        file.write_all(bytes)?;
        Self::seal(file.into(), bytes.len(), || {})
    }

    /// Nothing writes to the copy any more, but a kernel short of memory may hold its pages while it moves or ages them.
    fn seal(fd: OwnedFd, len: usize, mut when_busy: impl FnMut()) -> io::Result<Self> {
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        let mut sealed = fcntl_add_seals(&fd, seals);
        for _ in 1..TRIES {
            if sealed != Err(Errno::BUSY) {
                break;
            }
            when_busy();
            sealed = fcntl_add_seals(&fd, seals);
        }
        sealed?;
        Ok(Self { fd, len })
    }

    /// Maps the copy for reading.
    pub(crate) fn map(&self) -> io::Result<Mapping> {
        Mapping::of(self)
    }

    /// Size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = &name[..name.floor_char_boundary(200)];
    // Kernels before 6.3 do not know EXEC and make every memfd executable.
    Ok(memfd_create(name, flags | MemfdFlags::EXEC).or_else(|_| memfd_create(name, flags))?)
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek;

    #[test]
    fn the_copy_keeps_its_content_whatever_happens_to_the_file() {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(b"first").expect("write");
        file.rewind().expect("rewind");
        let sealed = Sealed::copy(&file, "test", 100).expect("copy");
        file.set_len(0).expect("truncate");
        assert_eq!(&*sealed.map().expect("map"), b"first");
        let write = rustix::io::pwrite(&sealed, b"x", 0);
        assert!(write.is_err(), "the copy can be written to");
        assert!(rustix::fs::ftruncate(&sealed, 0).is_err(), "the copy can be cut short");
    }

    #[test]
    fn bytes_are_sealed_as_well() {
        let sealed = Sealed::of(b"bytes", "test").expect("copy");
        assert_eq!((&*sealed.map().expect("map"), sealed.len()), (b"bytes".as_slice(), 5));
        assert!(rustix::io::pwrite(&sealed, b"x", 0).is_err(), "the copy can be written to");
    }

    #[test]
    fn pages_that_are_held_for_a_while_are_waited_for() {
        let mut file = File::from(create("test").expect("memory file"));
        file.write_all(b"bytes").expect("write");
        file.rewind().expect("rewind");
        let (from, to) = rustix::pipe::pipe().expect("pipe");
        // The pipe now holds the page itself, not a copy.
        rustix::pipe::splice(&file, None, &to, None, 5, rustix::pipe::SpliceFlags::empty()).expect("splice");
        let mut busy = 0;
        let sealed = Sealed::seal(file.into(), 5, || {
            busy += 1;
            rustix::io::read(&from, &mut [0; 16]).expect("read");
        });
        assert_eq!(&*sealed.expect("sealed").map().expect("map"), b"bytes");
        assert_eq!(busy, 1);
    }

    #[test]
    fn a_file_above_the_limit_is_refused() {
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(&[0; 11]).expect("write");
        file.rewind().expect("rewind");
        assert!(Sealed::copy(&file, "test", 10).is_err());
    }
}
