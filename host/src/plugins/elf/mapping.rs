//! The bytes of a sealed file in memory.

#![allow(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::plugins::sealed::Sealed;

/// The bytes of a sealed copy.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps the copy for reading.
    pub(crate) fn of(sealed: &Sealed) -> io::Result<Self> {
        let len = sealed.len();
        if len == 0 {
            return Err(io::Error::other("it is empty"));
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice; nothing else is touched.
        let address = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, sealed, 0)? };
        let address = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { address, len })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long and lives as long as self. The seals keep everyone, us included,
        // from writing to the file or cutting it short, so the bytes never change and never fault.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those of our own mapping; no slice of it outlives self.
        let _ = unsafe { munmap(self.address.as_ptr().cast(), self.len) };
    }
}
