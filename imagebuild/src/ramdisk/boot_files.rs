//! What a machine boots: kernel and archive, and both in one file if that is asked for.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::options::Options;
use super::tree::Tree;
use super::uki::Uki;
use crate::compress::Compression;
use crate::digest;
use crate::failure::{Doing, Outcome};
use crate::manifest;

/// What was written.
pub(super) struct BootFiles {
    pub(super) kernel: PathBuf,
    pub(super) packed: Packed,
    pub(super) uki: Option<manifest::Uki>,
}

/// Writes the files. With a kernel line there has to be a boot stub.
pub(super) fn write(options: &Options, image: &Path, stub: Option<&Path>, tree: &Tree) -> Outcome<BootFiles> {
    let output = |ending: &str| options.output.join(format!("{}.{ending}", options.name));
    let (kernel, initramfs, unified) = (output("kernel"), output("initramfs"), output("efi"));
    // One that is there has another kernel, another archive or another line in it, and boots without complaint.
    if unified.exists() {
        remove(&unified)?;
    }
    fs::copy(image, &kernel).doing(format_args!("copying the kernel {}", image.display()))?;
    let packed = pack(options, tree, &initramfs)?;
    let uki = match (&options.kernel_line, stub) {
        (Some(line), Some(stub)) => {
            Some(Uki { stub, line, kernel: &kernel, initramfs: &initramfs }.assemble(&unified)?)
        }
        _ => None,
    };
    Ok(BootFiles { kernel, packed, uki })
}

/// What compressing gave, remembered for the next time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Packed {
    /// SHA-256 of the archive before compression.
    plain: String,
    pub(super) compression: String,
    /// Bytes of an archive with the modules alone.
    pub(super) modules: u64,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// Writes and compresses the archive, unless the one that is there is the same.
fn pack(options: &Options, tree: &Tree, output: &Path) -> Outcome<Packed> {
    let work = |ending: &str| options.cache.join(format!("{}.{ending}", options.name));
    let plain = write_plain(tree, &work("cpio"), options.time, |_| true)?;
    let note = work("packed.json");
    let compression = options.compression.name();
    let remembered = fs::read(&note).ok().and_then(|text| serde_json::from_slice::<Packed>(&text).ok());
    if let Some(packed) = remembered
        && packed.plain == plain
        && packed.compression == compression
        && output.is_file()
        && digest::of_file(output)? == packed.sha256
    {
        remove(&work("cpio"))?;
        return Ok(packed);
    }
    // Whoever finds it must find all of it.
    let partial = output.with_extension("initramfs.partial");
    options.compression.compress(&work("cpio"), &partial)?;
    fs::rename(&partial, output).doing(format_args!("moving {}", partial.display()))?;
    remove(&work("cpio"))?;
    let modules = modules_size(options.compression, tree, &work("modules"), options.time)?;
    let size = fs::metadata(output).doing(format_args!("reading {}", output.display()))?.len();
    let packed = Packed { plain, compression, modules, size, sha256: digest::of_file(output)? };
    write_json(&note, &packed)?;
    Ok(packed)
}

/// Bytes of a compressed archive with the modules alone. They are compressed one by one already, so that the fastest
/// level tells as much as the one that takes half a minute.
fn modules_size(compression: Compression, tree: &Tree, work: &Path, time: u32) -> Outcome<u64> {
    write_plain(tree, work, time, is_module)?;
    let compressed = work.with_extension("modules.compressed");
    Compression { level: compression.level.min(1), ..compression }.compress(work, &compressed)?;
    let size = fs::metadata(&compressed).doing(format_args!("reading {}", compressed.display()))?.len();
    remove(work)?;
    remove(&compressed)?;
    Ok(size)
}

fn write_plain(tree: &Tree, path: &Path, time: u32, keep: impl Fn(&str) -> bool) -> Outcome<String> {
    let file = File::create(path).doing(format_args!("writing {}", path.display()))?;
    let writer = digest::Writer::new(BufWriter::with_capacity(1 << 16, file));
    let (writer, _) = tree.write(writer, time, keep)?;
    Ok(writer.finish().1)
}

/// Whether a file of the tree counts as one of the kernel's modules, by its name.
pub(super) fn is_module(name: &str) -> bool {
    name.starts_with("usr/lib/modules/") || name.starts_with("usr/lib/firmware/")
}

/// Writes what machines read, for people as well.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Outcome {
    let mut text = serde_json::to_string_pretty(value).doing(format_args!("writing {}", path.display()))?;
    text.push('\n');
    fs::write(path, text).doing(format_args!("writing {}", path.display()))
}

fn remove(path: &Path) -> Outcome {
    fs::remove_file(path).doing(format_args!("removing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::arch::Arch;
    use crate::compress::Method;
    use crate::process;
    use crate::ramdisk::Programs;

    fn options(home: &Path, kernel_line: Option<&str>) -> Options {
        Options {
            data: PathBuf::new(),
            cache: home.to_owned(),
            output: home.to_owned(),
            name: "ipa".to_owned(),
            arch: Arch::named("amd64").unwrap(),
            sources: PathBuf::new(),
            programs: Programs { host: PathBuf::new(), init: PathBuf::new(), plugins: Vec::new() },
            crates: Vec::new(),
            packages: Vec::new(),
            modules: Vec::new(),
            firmware: Vec::new(),
            ssh: false,
            ssh_keys: Vec::new(),
            authorities: Vec::new(),
            plugin_keys: Vec::new(),
            config: Vec::new(),
            compression: Compression::new(Method::None, None).unwrap(),
            kernel_line: kernel_line.map(str::to_owned),
            time: 1,
        }
    }

    /// Something with sections. Whether a program for UEFI or an object file, objcopy adds to it.
    fn stub(home: &Path) -> PathBuf {
        let (bytes, stub) = (home.join("bytes"), home.join("stub"));
        fs::write(&bytes, "stub").unwrap();
        let mut objcopy = Command::new("objcopy");
        objcopy.args(["--input-target=binary", "--output-target=elf64-x86-64"]).arg(&bytes).arg(&stub);
        process::output(&mut objcopy, Duration::from_secs(60)).unwrap();
        stub
    }

    #[test]
    fn a_unified_image_is_there_as_described_if_it_was_asked_for_and_only_then() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let (image, unified, stub) = (home.join("vmlinuz"), home.join("ipa.efi"), stub(home));
        fs::write(&image, "kernel").unwrap();
        let tree = Tree::default();

        let uki = write(&options(home, Some("quiet")), &image, Some(&stub), &tree).unwrap().uki.unwrap();
        assert_eq!(uki.file, "ipa.efi");
        assert_eq!((uki.size, uki.sha256), (fs::metadata(&unified).unwrap().len(), digest::of_file(&unified).unwrap()));
        assert!(fs::read(&unified).unwrap().windows(5).any(|bytes| bytes == b"quiet"));

        // No build that fails leaves an old one either.
        assert!(write(&options(home, Some("quiet")), &home.join("no-kernel"), Some(&stub), &tree).is_err());
        assert!(!unified.exists());

        fs::write(&unified, "of an earlier build").unwrap();
        assert_eq!(write(&options(home, None), &image, None, &tree).unwrap().uki, None);
        assert!(!unified.exists());
        let left = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.filter(|name| name.contains("partial")).collect::<Vec<_>>(), Vec::<String>::new());
    }
}
