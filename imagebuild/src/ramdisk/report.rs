//! A build in a few lines.

use std::fmt;
use std::path::PathBuf;

use crate::manifest::Manifest;

/// What was built.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where it lies.
    pub directory: PathBuf,
    /// What it is made of.
    pub manifest: Manifest,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kernel, initramfs) = (&self.manifest.kernel, &self.manifest.initramfs);
        let row = |f: &mut fmt::Formatter<'_>, name: &str, size: u64, memory: String, what: String| {
            writeln!(f, "{name:<22} {:>9} {memory:>9}  {what}", megabytes(size))
        };
        writeln!(f, "{:<22} {:>9} {:>9}", "MB", "file", "in memory")?;
        row(f, &kernel.file, kernel.size, String::new(), format!("Linux {}", kernel.version))?;
        let memory = initramfs.modules.memory + initramfs.rest.memory;
        row(f, &initramfs.file, initramfs.size, megabytes(memory), initramfs.compression.clone())?;
        for (name, part) in [("  modules, firmware", initramfs.modules), ("  all else", initramfs.rest)] {
            row(f, name, part.compressed, megabytes(part.memory), format!("{} files", part.files))?;
        }
        if let Some(uki) = &self.manifest.uki {
            row(f, &uki.file, uki.size, String::new(), "both, for UEFI".to_owned())?;
        }
        write!(f, "{} packages; all of it is in {}", self.manifest.packages.len(), self.directory.display())
    }
}

fn megabytes(bytes: u64) -> String {
    // Tenths, without a floating point number.
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(megabytes(8_247_232), "8.2");
        assert_eq!(megabytes(99_999), "0.0");
    }
}
