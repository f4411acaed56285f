//! `cargo xtask bench --ramdisk`: the ramdisk beside one with the Python agent, in the same virtual machine.
//!
//! Both have the same kernel, the same modules and the same compression, boot with BIOS in QEMU's own emulation, find a
//! stand-in for Ironic and send it heartbeats. The Python agent's ramdisk is leaner than what operators have; see
//! `tests/bench/python-ramdisk/build`.

mod ironic;
mod machine;
mod python;

use std::fs;
use std::path::{Path, PathBuf};

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_imagebuild::iso;
use ipa_imagebuild::manifest::Manifest;
use ipa_vm::Kernel;

use self::machine::Boots;
use super::report::{Budget, Measure, Report, Unit};
use crate::{ramdisk, repo, tools};

/// What the Python agent's ramdisk needs, with room for an image.
const LARGE_MIB: u32 = 3072;
/// What ours must do with.
const SMALL_MIB: u32 = 256;
const BOOTS: usize = 3;

pub(super) fn run(quick: bool) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new("run `cargo xtask bench --ramdisk` as root: it builds a file system with Debian"));
    }
    tools::ensure(tools::FOR_TESTS)?;
    tools::ensure_qemu(Arch::named("amd64")?)?;
    ramdisk::run_default()?;
    let ours = repo::target("ramdisk");
    let (kernel, initramfs) = (ours.join("ipa.kernel"), ours.join("ipa.initramfs"));
    let manifest = manifest(&ours.join("ipa.manifest.json"))?;
    let python = python::build(&initramfs, &manifest)?;
    let mut report = Report::default();
    report.extend(sizes(&kernel, &initramfs, &manifest, &python)?);

    let boots = if quick { 1 } else { BOOTS };
    let line = "console=ttyS0";
    let [ours, theirs] = [&initramfs, &python.initramfs].map(|initramfs| Kernel::new(&kernel, initramfs, line));
    let (mut small, mut large, mut python) = (Samples::new(), Samples::new(), Samples::new());
    // In turns, so that other work on this machine meets all of them.
    for number in 1..=boots {
        println!("boot {number} of {boots}");
        small.push(machine::boot("ipa-host", &ours, SMALL_MIB)?);
        large.push(machine::boot("ipa-host", &ours, LARGE_MIB)?);
        python.push(machine::boot("Python", &theirs, LARGE_MIB)?);
    }
    report.extend(times(&small, &large, &python));
    super::publish(&report, "bench-ramdisk.json")
}

type Samples = Vec<Boots>;

fn manifest(path: &Path) -> Outcome<Manifest> {
    let text = fs::read_to_string(path).doing(format_args!("reading {}", path.display()))?;
    serde_json::from_str(&text).doing(format_args!("reading {}", path.display()))
}

fn sizes(kernel: &Path, initramfs: &Path, manifest: &Manifest, python: &python::Built) -> Outcome<Vec<Measure>> {
    let modules = manifest.initramfs.modules;
    let (kernel_size, size, python_size) = (file_size(kernel)?, file_size(initramfs)?, file_size(&python.initramfs)?);
    let own_memory = modules.memory + manifest.initramfs.rest.memory;
    let compare = |name: &str, unit, ours, theirs| Measure::new(name, unit, vec![number(ours)], vec![number(theirs)]);
    Ok(vec![
        compare("kernel", Unit::FileBytes, kernel_size, kernel_size),
        compare("initramfs, zstd", Unit::FileBytes, size, python_size).budget(Budget::AtMost(40e6)),
        compare(
            "initramfs without kernel modules",
            Unit::FileBytes,
            manifest.initramfs.rest.compressed,
            // The modules are the same.
            python_size.saturating_sub(modules.compressed),
        )
        .budget(Budget::AtMost(16e6)),
        compare("initramfs, unpacked", Unit::Bytes, own_memory, python.memory),
        compare(
            "ISO image of kernel and initramfs",
            Unit::FileBytes,
            image_size(kernel, initramfs)?,
            image_size(kernel, &python.initramfs)?,
        )
        .budget(Budget::AtMost(64e6)),
    ])
}

fn times(small: &Samples, large: &Samples, theirs: &Samples) -> Vec<Measure> {
    let all = |samples: &Samples, of: fn(&Boots) -> f64| samples.iter().map(of).collect::<Vec<_>>();
    let both = |name: &str, unit, of: fn(&Boots) -> f64| Measure::new(name, unit, all(large, of), all(theirs, of));
    vec![
        both("memory in use after the first heartbeat", Unit::Bytes, |boot| boot.memory_bytes),
        both("power on to first /v1/status", Unit::Seconds, |boot| boot.status_s),
        both("power on to first heartbeat", Unit::Seconds, |boot| boot.heartbeat_s).budget(Budget::TimesBetter(3.0)),
        Measure::new(
            format!("power on to first heartbeat, {SMALL_MIB} MiB"),
            Unit::Seconds,
            all(small, |boot| boot.heartbeat_s),
            Vec::new(),
        ),
    ]
}

fn image_size(kernel: &Path, initramfs: &Path) -> Outcome<u64> {
    let output: PathBuf = repo::target("bench-ramdisk/measured.iso");
    iso::create(&iso::Options {
        output: output.clone(),
        initrds: vec![initramfs.to_owned()],
        kernel: kernel.to_owned(),
        kernel_params: Vec::new(),
        no_default_params: false,
        files: Vec::new(),
        loaders: None,
        chosen_label: None,
    })?;
    let size = file_size(&output);
    fs::remove_file(&output).doing(format_args!("removing {}", output.display()))?;
    size
}

fn file_size(path: &Path) -> Outcome<u64> {
    Ok(fs::metadata(path).doing(format_args!("looking at {}", path.display()))?.len())
}

/// Exact for files of less than 2^52 bytes.
fn number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_machine_is_only_ours() {
        let boot = |heartbeat_s| vec![Boots { status_s: 1.0, heartbeat_s, memory_bytes: 2.0 }];
        let mut report = Report::default();
        report.extend(times(&boot(11.0), &boot(10.0), &boot(40.0)));
        let table = report.table();
        let row = |start: &str| table.lines().find(|line| line.starts_with(start)).map(str::to_owned).unwrap();
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let large = words(row("power on to first heartbeat  "));
        assert_eq!(large, "power on to first heartbeat 10.0 s 40.0 s 4.00x >= 3.00x kept");
        assert_eq!(words(row("power on to first heartbeat, ")), "power on to first heartbeat, 256 MiB 11.0 s - -");
    }
}
