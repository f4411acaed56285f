//! The steps of a build.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::modules::{List, Modules};
use super::options::{Firmware, Options};
use super::report::Report;
use super::tools::{self, Only, Tools};
use super::tree::{Content, Entry, Tree};
use super::{firmware, libraries, segment, settings, uki};
use crate::compress::Compression;
use crate::debian::{Apt, Contents, Package, Unpacked};
use crate::digest;
use crate::failure::{Doing, Failure, Outcome};
use crate::manifest::{self, Initramfs, Kernel, Manifest, Part};
use crate::sbom;

/// Has the certificates of the public authorities.
const AUTHORITIES: &str = "ca-certificates";
/// Has the boot stub.
const STUB: &str = "systemd-boot-efi";
/// What a page of memory holds. Files in a ramdisk take whole pages.
const PAGE: u64 = 4096;

/// Builds kernel, archive, manifest and bill of materials.
///
/// # Errors
/// If anything is missing, or does not fit together.
pub fn build(options: &Options) -> Outcome<Report> {
    let source = Source::of(options)?;
    let tree = fill(options, &source)?;
    for directory in [&options.cache, &options.output] {
        fs::create_dir_all(directory).doing(format_args!("making {}", directory.display()))?;
    }
    let output = |ending: &str| options.output.join(format!("{}.{ending}", options.name));
    let kernel = output("kernel");
    let image = source.kernel.join("boot").join(format!("vmlinuz-{}", source.modules.version));
    fs::copy(&image, &kernel).doing(format_args!("copying the kernel {}", image.display()))?;
    let initramfs = output("initramfs");
    let packed = pack(options, &tree, &initramfs)?;
    if let Some(line) = &options.kernel_line {
        let stub = format!("usr/lib/systemd/boot/efi/{}", options.arch.stub);
        let stub = source.contents.get(&stub).ok_or_else(|| Failure::new(format!("{STUB} has no /{stub}")))?;
        uki::build(&stub.path, line, &kernel, &initramfs, &output("efi"))?;
    }
    let manifest = describe(options, &source, &tree, &kernel, packed)?;
    write_json(&output("manifest.json"), &manifest)?;
    let agent = options.crates.iter().find(|of| of.name == "ipa-host").map_or("unknown", |of| of.version.as_str());
    let bill = sbom::bill(agent, &manifest.initramfs.sha256, &manifest.packages, &options.crates);
    write_json(&output("sbom.json"), &bill)?;
    Ok(Report { directory: options.output.clone(), manifest })
}

/// The packages, unpacked.
struct Source {
    tools: Tools,
    list: List,
    packages: Vec<Package>,
    contents: Contents,
    modules: Modules,
    /// Where the kernel's package is unpacked.
    kernel: PathBuf,
    /// Name of the kernel's package.
    kernel_package: String,
    asked: BTreeSet<Only>,
}

impl Source {
    fn of(options: &Options) -> Outcome<Self> {
        let tools = Tools::read(&options.data.join("tools.toml"))?;
        let list = List::read(&options.data.join("modules.toml"))?;
        let mut asked = BTreeSet::new();
        if options.ssh || !options.ssh_keys.is_empty() {
            asked.insert(Only::Ssh);
        }
        let mut names = tools.packages(&asked);
        names.push(AUTHORITIES);
        names.extend(options.packages.iter().map(String::as_str));
        names.extend(options.firmware.iter().filter_map(|firmware| match firmware {
            Firmware::Package(name) => Some(name.as_str()),
            Firmware::Directory(_) => None,
        }));
        if options.kernel_line.is_some() {
            names.push(STUB);
        }
        let apt = Apt::new(&options.cache.join("apt"), &options.sources, options.arch)?;
        let packages = apt.resolve(options.arch.kernel, &names)?;
        let files = apt.fetch(&packages)?;
        let place = apt.home().join("unpacked");
        let mut unpacked = Vec::new();
        for (package, file) in packages.iter().zip(&files) {
            unpacked.push(Unpacked::new(package, file, &place)?);
        }
        let contents = Contents::of(&unpacked)?;
        let kernel = unpacked
            .into_iter()
            .find(|unpacked| unpacked.package.name.starts_with("linux-image-"))
            .ok_or_else(|| Failure::new("there is no kernel among the packages"))?;
        let modules = Modules::of(&kernel.root)?;
        let kernel_package = kernel.package.name;
        Ok(Self { tools, list, packages, contents, modules, kernel: kernel.root, kernel_package, asked })
    }
}

/// Fills the tree.
fn fill(options: &Options, source: &Source) -> Outcome<Tree> {
    let contents = &source.contents;
    let mut tree = Tree::default();
    settings::skeleton(&mut tree)?;
    tree.copy(&options.data.join("root"), "", "ramdisk")?;
    source.tools.install(&mut tree, contents, &source.asked)?;
    for package in &options.packages {
        tools::install_whole(&mut tree, contents, package)?;
    }
    let programs = &options.programs;
    tree.file("usr/bin/ipa-host", &programs.host, 0o755, "agent")?;
    tree.file("usr/bin/ipa-init", &programs.init, 0o755, "agent")?;
    for plugin in &programs.plugins {
        segment::add_plugin(&mut tree, plugin)?;
    }
    let public: Vec<&Path> = contents
        .matching(AUTHORITIES, "usr/share/ca-certificates/mozilla/*.crt")
        .map(|(_, found)| found.path.as_path())
        .collect();
    settings::add(&mut tree, options, &public, AUTHORITIES)?;

    let mut patterns = source.list.patterns(options.arch);
    patterns.extend(options.modules.iter().map(String::as_str));
    let selected = source.modules.select(&patterns)?;
    let work = options.cache.join("modules").join(options.arch.debian);
    source.modules.install(&mut tree, &selected, &work, &source.kernel_package)?;
    if !options.firmware.is_empty() {
        let asked = firmware::asked_for(&source.modules, &selected)?;
        for from in &options.firmware {
            let (count, name) = match from {
                Firmware::Directory(path) => {
                    (firmware::from_directory(&mut tree, path, &asked)?, path.display().to_string())
                }
                Firmware::Package(name) => (firmware::from_package(&mut tree, contents, name, &asked)?, name.clone()),
            };
            if count == 0 {
                return Err(Failure::new(format!("no module of the ramdisk asks for firmware that {name} has")));
            }
        }
    }
    libraries::complete(&mut tree, contents, options.arch)?;
    Ok(tree)
}

/// What compressing gave, remembered for the next time.
#[derive(Debug, Serialize, Deserialize)]
struct Packed {
    /// SHA-256 of the archive before compression.
    plain: String,
    compression: String,
    /// Bytes of an archive with the modules alone.
    modules: u64,
    size: u64,
    sha256: String,
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

fn is_module(name: &str) -> bool {
    name.starts_with("usr/lib/modules/") || name.starts_with("usr/lib/firmware/")
}

fn describe(options: &Options, source: &Source, tree: &Tree, kernel: &Path, packed: Packed) -> Outcome<Manifest> {
    let mut files = Vec::new();
    let (mut modules, mut rest) = (Part::default(), Part::default());
    for (name, entry) in tree.iter().filter(|(_, entry)| entry.content != Content::Directory) {
        let file = describe_file(name, entry)?;
        let part = if is_module(name) { &mut modules } else { &mut rest };
        part.files += 1;
        part.memory += file.size.unwrap_or_default().next_multiple_of(PAGE);
        files.push(file);
    }
    modules.compressed = packed.modules.min(packed.size);
    rest.compressed = packed.size - modules.compressed;
    let used: BTreeSet<&str> = tree.iter().map(|(_, entry)| entry.origin.as_str()).collect();
    let stub = options.kernel_line.as_ref().map(|_| STUB);
    let packages = source.packages.iter().filter(|package| {
        used.contains(package.name.as_str())
            || package.name == source.kernel_package
            || Some(package.name.as_str()) == stub
    });
    let name = |ending: &str| format!("{}.{ending}", options.name);
    Ok(Manifest {
        architecture: options.arch.debian.to_owned(),
        kernel: Kernel {
            version: source.modules.version.clone(),
            package: source.kernel_package.clone(),
            file: name("kernel"),
            size: fs::metadata(kernel).doing(format_args!("reading {}", kernel.display()))?.len(),
            sha256: digest::of_file(kernel)?,
        },
        initramfs: Initramfs {
            file: name("initramfs"),
            size: packed.size,
            sha256: packed.sha256,
            compression: packed.compression,
            modules,
            rest,
        },
        packages: packages.cloned().collect(),
        files,
    })
}

fn describe_file(name: &str, entry: &Entry) -> Outcome<manifest::File> {
    let (size, sha256, target) = match &entry.content {
        Content::File(path) => {
            let size = fs::metadata(path).doing(format_args!("reading {}", path.display()))?.len();
            (Some(size), Some(digest::of_file(path)?), None)
        }
        Content::Bytes(bytes) => (Some(bytes.len() as u64), Some(digest::of_bytes(bytes)), None),
        Content::Link(target) => (None, None, Some(target.clone())),
        Content::Directory | Content::Character(..) => (None, None, None),
    };
    let mode = format!("{:04o}", entry.mode);
    Ok(manifest::File { path: format!("/{name}"), mode, from: entry.origin.clone(), size, sha256, target })
}

fn write_json(path: &Path, value: &impl Serialize) -> Outcome {
    let mut text = serde_json::to_string_pretty(value).doing(format_args!("writing {}", path.display()))?;
    text.push('\n');
    fs::write(path, text).doing(format_args!("writing {}", path.display()))
}

fn remove(path: &Path) -> Outcome {
    fs::remove_file(path).doing(format_args!("removing {}", path.display()))
}
