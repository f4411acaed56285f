//! The steps of a build.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::boot_files::{self, BootFiles, is_module, write_json};
use super::modules::{List, Modules};
use super::options::{Firmware, Options};
use super::report::Report;
use super::tools::{self, Only, Tools};
use super::tree::{Content, Entry, Tree};
use super::{firmware, libraries, segment, settings};
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
    let image = source.kernel.join("boot").join(format!("vmlinuz-{}", source.modules.version));
    let stub = options.kernel_line.as_ref().map(|_| source.stub(options.arch.stub)).transpose()?;
    let boot = boot_files::write(options, &image, stub.as_deref(), &tree)?;
    let manifest = describe(options, &source, &tree, boot)?;
    let output = |ending: &str| options.output.join(format!("{}.{ending}", options.name));
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

    /// The boot stub of this name.
    fn stub(&self, name: &str) -> Outcome<PathBuf> {
        let stub = format!("usr/lib/systemd/boot/efi/{name}");
        let found = self.contents.get(&stub).ok_or_else(|| Failure::new(format!("{STUB} has no /{stub}")))?;
        Ok(found.path.clone())
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

fn describe(options: &Options, source: &Source, tree: &Tree, boot: BootFiles) -> Outcome<Manifest> {
    let BootFiles { kernel, packed, uki } = boot;
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
    let others = unnamed(options, &source.kernel_package);
    let packages = source.packages.iter().filter(|package| {
        let name = package.name.as_str();
        used.contains(name) || others.contains(&name)
    });
    let name = |ending: &str| format!("{}.{ending}", options.name);
    Ok(Manifest {
        architecture: options.arch.debian.to_owned(),
        kernel: Kernel {
            version: source.modules.version.clone(),
            package: source.kernel_package.clone(),
            file: name("kernel"),
            size: fs::metadata(&kernel).doing(format_args!("reading {}", kernel.display()))?.len(),
            sha256: digest::of_file(&kernel)?,
        },
        initramfs: Initramfs {
            file: name("initramfs"),
            size: packed.size,
            sha256: packed.sha256,
            compression: packed.compression,
            modules,
            rest,
        },
        uki,
        packages: packages.cloned().collect(),
        files,
    })
}

/// Packages that are used although no file of the archive may be said to be from them. The certificates of one are put
/// together with those that are given.
fn unnamed<'a>(options: &Options, kernel: &'a str) -> Vec<&'a str> {
    let stub = options.kernel_line.as_ref().map(|_| STUB);
    [kernel, AUTHORITIES].into_iter().chain(stub).collect()
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
