//! The ramdisk that is shipped: its size, that nothing in it is broken or open, and that its manifest tells the truth.
//!
//! `IPA_RAMDISK` is the directory with what `cargo xtask ramdisk` built, `IPA_RAMDISK_ARM64` the one for arm64 if there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::manifest::Manifest;
use ipa_imagebuild::{cpio, digest, elf, names, process};

const UNPACK: Duration = Duration::from_secs(120);
/// Bytes of the archive, with what is budgeted for the modules of its list.
const ARCHIVE: u64 = 40_000_000;
/// Bytes of the archive without modules and firmware.
const WITHOUT_MODULES: u64 = 16_000_000;
/// Bytes of memory that the files take: a machine with 256 MiB must have room left for images.
const MEMORY: u64 = 110_000_000;
/// Bytes of kernel and archive on an ISO image of 64 MB with its boot loader.
const MEDIUM: u64 = 60_000_000;

/// Kind, permissions and content of an entry.
struct Entry {
    mode: u32,
    content: Vec<u8>,
}

impl Entry {
    fn kind(&self) -> u32 {
        self.mode & 0o170_000
    }

    fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

struct Ramdisk {
    directory: PathBuf,
    manifest: Manifest,
    /// By absolute path.
    entries: BTreeMap<String, Entry>,
}

impl Ramdisk {
    /// This machine's, and that of arm64 where it could be built.
    fn all() -> impl Iterator<Item = Self> {
        let own = std::env::var_os("IPA_RAMDISK").expect("IPA_RAMDISK is the directory with the ramdisk");
        [Some(own), std::env::var_os("IPA_RAMDISK_ARM64")].into_iter().flatten().map(|place| Self::read(place.into()))
    }

    fn read(directory: PathBuf) -> Self {
        let text = fs::read_to_string(directory.join("ipa.manifest.json")).unwrap();
        let manifest: Manifest = serde_json::from_str(&text).unwrap();
        let work = tempfile::tempdir().unwrap();
        let plain = work.path().join("plain.cpio");
        let mut zstd = Command::new("zstd");
        zstd.args(["--quiet", "--decompress", "-o"]).arg(&plain).arg(directory.join(&manifest.initramfs.file));
        process::run(&mut zstd, UNPACK).unwrap();
        let entries = entries(&fs::read(plain).unwrap());
        Self { directory, manifest, entries }
    }

    /// The path at the end of the links that begin with this one, links among the directories above it included.
    fn follow(&self, path: &str) -> Option<String> {
        let mut name = names::merged(path);
        for _ in 0..16 {
            let entry = self.entries.get(&format!("/{name}"))?;
            if entry.kind() != cpio::LINK {
                return Some(format!("/{name}"));
            }
            name = names::resolve(&name, std::str::from_utf8(&entry.content).ok()?)?;
        }
        None
    }

    fn files(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.kind() == cpio::REGULAR)
            .map(|(path, entry)| (path.as_str(), entry))
    }
}

/// Reads an archive, by the description of the format and not by the code that wrote it.
fn entries(archive: &[u8]) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    let mut at = 0;
    loop {
        let head = std::str::from_utf8(&archive[at..at + 110]).unwrap();
        assert_eq!(&head[..6], "070701", "at byte {at}");
        let field = |number: usize| u32::from_str_radix(&head[6 + 8 * number..14 + 8 * number], 16).unwrap();
        let (mode, owner, group, size, name_size) = (field(1), field(2), field(3), field(6), field(11));
        let name_end = at + 110 + name_size as usize;
        let name = std::str::from_utf8(&archive[at + 110..name_end - 1]).unwrap();
        let content = name_end.next_multiple_of(4);
        at = (content + size as usize).next_multiple_of(4);
        if name == "TRAILER!!!" {
            assert!(archive[at..].iter().all(|byte| *byte == 0), "something follows the archive");
            return entries;
        }
        assert_eq!((owner, group), (0, 0), "{name}");
        let entry = Entry { mode, content: archive[content..content + size as usize].to_vec() };
        assert!(entries.insert(format!("/{name}"), entry).is_none(), "{name} is there twice");
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn it_keeps_its_budgets() {
    for ramdisk in Ramdisk::all() {
        let initramfs = &ramdisk.manifest.initramfs;
        println!("{initramfs:?}");
        assert!(initramfs.size <= ARCHIVE, "{} bytes", initramfs.size);
        assert!(initramfs.rest.compressed <= WITHOUT_MODULES, "{} bytes", initramfs.rest.compressed);
        assert!(initramfs.size + ramdisk.manifest.kernel.size <= MEDIUM);
        // By what is really in it, not by what the manifest says.
        let memory: u64 = ramdisk.files().map(|(_, entry)| (entry.content.len() as u64).next_multiple_of(4096)).sum();
        assert!(memory <= MEMORY, "{memory} bytes");
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn manifest_and_archive_agree() {
    for ramdisk in Ramdisk::all() {
        let manifest = &ramdisk.manifest;
        for (file, size, sha256) in [
            (&manifest.kernel.file, manifest.kernel.size, &manifest.kernel.sha256),
            (&manifest.initramfs.file, manifest.initramfs.size, &manifest.initramfs.sha256),
        ] {
            let path = ramdisk.directory.join(file);
            assert_eq!(
                (fs::metadata(&path).unwrap().len(), &digest::of_file(&path).unwrap()),
                (size, sha256),
                "{file}"
            );
        }
        let unified = ramdisk.directory.join("ipa.efi");
        let described = manifest.uki.as_ref().map(|uki| (uki.file.as_str(), uki.sha256.clone()));
        let found = unified.exists().then(|| ("ipa.efi", digest::of_file(&unified).unwrap()));
        assert_eq!(described, found);
        let packages: BTreeSet<&str> = manifest.packages.iter().map(|package| package.name.as_str()).collect();
        let mut told = BTreeSet::new();
        for file in &manifest.files {
            let entry =
                ramdisk.entries.get(&file.path).unwrap_or_else(|| panic!("{} is not in the archive", file.path));
            assert_eq!(format!("{:04o}", entry.permissions()), file.mode, "{}", file.path);
            match entry.kind() {
                cpio::REGULAR => {
                    assert_eq!(file.size, Some(entry.content.len() as u64), "{}", file.path);
                    assert_eq!(file.sha256, Some(digest::of_bytes(&entry.content)), "{}", file.path);
                }
                cpio::LINK => assert_eq!(file.target.as_deref().unwrap().as_bytes(), entry.content, "{}", file.path),
                kind => assert_eq!(kind, cpio::CHARACTER, "{}", file.path),
            }
            let from = file.from.as_str();
            assert!(packages.contains(from) || ["agent", "plugin", "ramdisk", "option"].contains(&from), "{from}");
            told.insert(file.path.as_str());
        }
        let untold = ramdisk
            .entries
            .iter()
            .find(|(path, entry)| entry.kind() != cpio::DIRECTORY && !told.contains(path.as_str()));
        assert!(untold.is_none(), "the manifest says nothing of {:?}", untold.map(|(path, _)| path));
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn the_bill_of_materials_names_packages_and_crates() {
    for ramdisk in Ramdisk::all() {
        let bill = fs::read_to_string(ramdisk.directory.join("ipa.sbom.json")).unwrap();
        let bill: serde_json::Value = serde_json::from_str(&bill).unwrap();
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
        let components = bill["components"].as_array().unwrap();
        let purls: BTreeSet<&str> = components.iter().map(|component| component["purl"].as_str().unwrap()).collect();
        assert_eq!(purls.len(), components.len(), "a component is there twice");
        for package in &ramdisk.manifest.packages {
            let name = package.name.replace('+', "%2B");
            assert!(purls.iter().any(|purl| purl.starts_with(&format!("pkg:deb/debian/{name}@"))), "{name}");
        }
        for name in ["ipa-host", "ipa-generic", "tokio", "rustls"] {
            assert!(purls.iter().any(|purl| purl.starts_with(&format!("pkg:cargo/{name}@"))), "{name}");
        }
        assert!(
            !purls.iter().any(|purl| purl.starts_with("pkg:cargo/syn@")),
            "what only compiles is not in the ramdisk"
        );
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn every_program_finds_its_loader_and_libraries() {
    for ramdisk in Ramdisk::all() {
        let arch = Arch::named(&ramdisk.manifest.architecture).unwrap();
        let mut programs = 0;
        for (path, entry) in ramdisk.files().filter(|(_, entry)| elf::is_elf(&entry.content)) {
            let needs = elf::needs(path, &entry.content).unwrap();
            programs += 1;
            assert_eq!(needs.machine, arch.machine, "{path}");
            if let Some(loader) = &needs.interpreter {
                assert!(ramdisk.follow(loader).is_some(), "{path} needs {loader}");
            }
            for library in &needs.libraries {
                let mut directories = needs.search.clone();
                directories.extend(["/lib".to_owned(), format!("/lib/{}", arch.triplet), "/lib64".to_owned()]);
                let found = directories.iter().find_map(|directory| ramdisk.follow(&format!("{directory}/{library}")));
                let found = found.unwrap_or_else(|| panic!("{path} needs {library}"));
                let has = elf::needs(&found, &ramdisk.entries[&found].content).unwrap().defines;
                let asked = needs.versions.iter().filter(|(of, _)| of == library);
                let missing: Vec<&String> =
                    asked.map(|(_, version)| version).filter(|version| !has.contains(version)).collect();
                assert!(missing.is_empty(), "{path} needs {missing:?} of {found}");
            }
        }
        assert!(programs > 50, "{programs} programs");
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn nothing_is_open_to_all_or_runs_as_another_or_needs_an_interpreter() {
    for ramdisk in Ramdisk::all() {
        for (path, entry) in &ramdisk.entries {
            let mode = entry.permissions();
            match entry.kind() {
                cpio::LINK => continue,
                cpio::CHARACTER => assert!(path.starts_with("/dev/"), "{path}"),
                _ => {
                    assert_eq!(mode & 0o6000, 0, "{path} has the mode {mode:o}");
                    assert!(mode & 0o002 == 0 || mode & 0o1000 != 0, "{path} has the mode {mode:o}");
                }
            }
        }
        for (path, entry) in ramdisk.files() {
            let file = path.rsplit('/').next().unwrap();
            for word in ["python", "perl", "lshw", "qemu-img"] {
                assert!(!file.contains(word), "{path}");
            }
            // A script whose interpreter is not there would fail only when it is needed.
            if let Some(line) =
                entry.content.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
            {
                let interpreter =
                    String::from_utf8_lossy(line).split_whitespace().next().unwrap_or_default().to_owned();
                assert!(ramdisk.follow(&interpreter).is_some(), "{path} needs {interpreter}");
            }
        }
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn what_the_agent_relies_on_is_where_it_looks() {
    for ramdisk in Ramdisk::all() {
        for program in [
            "/init",
            "/usr/bin/ipa-host",
            "/usr/bin/ironic-python-agent",
            "/bin/sh",
            "/sbin/modprobe",
            "/bin/ip",
            "/usr/lib/systemd/systemd-udevd",
            "/usr/bin/udevadm",
            "/sbin/mdadm",
            "/sbin/hdparm",
            "/usr/sbin/nvme",
            "/usr/sbin/smartctl",
            "/sbin/sgdisk",
            "/sbin/parted",
            "/sbin/sfdisk",
            "/sbin/mkfs.vfat",
            "/sbin/mkfs.ext4",
            "/sbin/mkfs.xfs",
            "/sbin/mkswap",
            "/sbin/wipefs",
            "/sbin/blkdiscard",
            "/bin/efibootmgr",
            "/usr/bin/ipmitool",
            "/usr/sbin/dhcpcd",
        ] {
            let path = ramdisk.follow(program).unwrap_or_else(|| panic!("{program} is missing"));
            assert_eq!(ramdisk.entries[&path].permissions() & 0o111, 0o111, "{path}");
        }
        for directory in [
            "/etc/ipa-rescue-config",
            "/etc/ironic-python-agent.d",
            "/etc/ipa/plugin-keys",
            "/usr/lib/dhcpcd",
            "/proc",
            "/sys",
            "/dev",
        ] {
            assert_eq!(ramdisk.entries[directory].kind(), cpio::DIRECTORY, "{directory}");
        }
        assert_eq!(ramdisk.entries["/usr/lib/ipa/plugins/libipa_generic.so"].permissions(), 0o644);
        let version = &ramdisk.manifest.kernel.version;
        let dependencies = &ramdisk.entries[&format!("/usr/lib/modules/{version}/modules.dep")].content;
        for line in std::str::from_utf8(dependencies).unwrap().lines() {
            for file in line.split([':', ' ']).filter(|file| !file.is_empty()) {
                let path = format!("/usr/lib/modules/{version}/{file}");
                assert!(ramdisk.entries.contains_key(&path), "modules.dep names {file}, which is not there");
            }
        }
    }
}

#[test]
#[ignore = "needs the ramdisk; cargo xtask test has it"]
fn every_link_leads_to_something_and_busybox_knows_its_names() {
    for ramdisk in Ramdisk::all() {
        let applets = applets(&ramdisk.entries["/usr/bin/busybox"].content);
        for (path, entry) in ramdisk.entries.iter().filter(|(_, entry)| entry.kind() == cpio::LINK) {
            let target = std::str::from_utf8(&entry.content).unwrap();
            // What is only there once the machine runs.
            if ["/run", "/run/lock", "../proc/self/mounts"].contains(&target) {
                continue;
            }
            if ["/bin", "/lib", "/lib64", "/sbin"].contains(&path.as_str()) {
                assert!(ramdisk.entries.contains_key(&format!("/{target}")), "{path}");
                continue;
            }
            let end = ramdisk.follow(path).unwrap_or_else(|| panic!("{path} leads to {target}, which is not there"));
            if end == "/usr/bin/busybox" {
                let name = path.rsplit('/').next().unwrap();
                assert!(applets.contains(name), "busybox knows no {name}");
            }
        }
    }
}

/// What a busybox can be called, as it lies in the program: one of another architecture cannot be asked.
fn applets(busybox: &[u8]) -> BTreeSet<&str> {
    const FIRST: &[u8] = b"\0[\0[[\0";
    let at = busybox.windows(FIRST.len()).position(|bytes| bytes == FIRST).expect("the list begins with [ and [[") + 1;
    let names = busybox[at..].split(|byte| *byte == 0).take_while(|name| !name.is_empty());
    let names: BTreeSet<&str> = names.map(|name| std::str::from_utf8(name).unwrap()).collect();
    assert!(names.contains("sh") && !names.contains("systemctl"), "{names:?}");
    names
}
