//! Our values against those of the real upstream and of the tools that it asks.
//!
//! These tests are ignored by default because they need more than a compiler:
//!
//! ```text
//! python3 -m venv VENV && VENV/bin/pip install ironic-python-agent==13.0.0
//! apt-get install lshw util-linux
//! IPA_UPSTREAM_PYTHON=VENV/bin/python cargo test -p ipa-generic parity -- --ignored
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::Collector;
use super::disks::{Disk, Wanted, list};
use super::network::Kernel;
use super::smbios::build::{entry_point, structure};
use crate::root::fixture::Tree;
use crate::tools::{ToolError, ToolOutput, Tools};

/// Runs what it is told.
struct Live;

impl Tools for Live {
    fn run(&self, argv: &[&str], _deadline: Duration) -> Result<ToolOutput, ToolError> {
        let output = Command::new(argv[0]).args(&argv[1..]).output();
        let output = output.map_err(|_| ToolError::NotFound(argv[0].to_owned()))?;
        Ok(ToolOutput {
            status: output.status.code().unwrap_or(128),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn upstream_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream").join(name)
}

/// Upstream's inventory, taken by `tests/upstream/inventory.py` on this machine, or on one that a directory makes up.
fn upstream(machine: Option<&Path>) -> Value {
    let python = std::env::var_os("IPA_UPSTREAM_PYTHON").expect("IPA_UPSTREAM_PYTHON names the interpreter");
    let mut words: Vec<OsString> = Vec::new();
    if let Some(machine) = machine {
        words.extend([upstream_script("with-machine").into(), machine.into()]);
    }
    words.extend([python, upstream_script("inventory.py").into()]);
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs ironic-python-agent 13.0.0 in IPA_UPSTREAM_PYTHON"]
fn upstream_says_the_same_about_this_machine() {
    let theirs = upstream(None);
    let ours = Collector::live().inventory(None, &Live).unwrap();
    // As text, so that the order of the keys counts too. The network cards' TLVs and BOOTIF are not in play.
    assert_eq!(
        serde_json::to_string_pretty(&ours).unwrap(),
        serde_json::to_string_pretty(&theirs).unwrap(),
        "left is ours"
    );
}

/// The files of this machine, but that the links in `replaced` lead elsewhere.
fn this_machine_but(tree: &Tree, replaced: &[(&str, &str)]) {
    let paths = ["proc", "dev", "run", "sys/block", "sys/bus", "sys/class", "sys/dev", "sys/devices", "sys/firmware"];
    for path in paths {
        if !replaced.iter().any(|(replaced, _)| replaced.starts_with(path)) {
            tree.link(path, &format!("/{path}"));
        }
    }
    for (path, target) in replaced {
        tree.link(path, target);
    }
}

fn collector(tree: &Tree) -> Collector {
    Collector::new(tree.root(), std::env::consts::ARCH, Box::new(Kernel))
}

fn bios(strings: &[&str]) -> Vec<u8> {
    structure(0, 0, &[1, 2, 0, 0xe8, 3, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], strings)
}

fn system(numbers: [u8; 4], sku: Option<u8>, strings: &[&str]) -> Vec<u8> {
    let mut body = numbers.to_vec();
    body.extend([7; 17]);
    body.extend(sku.map(|number| [number, 0]).into_iter().flatten());
    structure(1, 0x100, &body, strings)
}

fn array(handle: u16, usage: u8) -> Vec<u8> {
    structure(16, handle, &[3, usage, 3, 0, 0, 0, 0, 0xff, 0xff, 4, 0], &[])
}

/// A bank of the array; `size` is the word of the table, `extended` its MiB where the word is 0x7fff.
fn bank(handle: u16, array: u16, size: u16, extended: u32) -> Vec<u8> {
    let mut body = vec![0u8; 0x24];
    body[0..2].copy_from_slice(&array.to_le_bytes());
    body[8..10].copy_from_slice(&size.to_le_bytes());
    body[0x18..0x1c].copy_from_slice(&extended.to_le_bytes());
    structure(17, handle, &body, &[])
}

fn sub_board(contained: u16) -> Vec<u8> {
    let mut body = vec![0u8; 10];
    body.push(1);
    body.extend(contained.to_le_bytes());
    structure(2, 0x200, &body, &[])
}

#[test]
#[ignore = "needs root, lshw and ironic-python-agent 13.0.0 in IPA_UPSTREAM_PYTHON"]
fn lshw_reads_the_same_from_smbios_tables() {
    let names = ["LabVendor", "LabServer", "1.0", "LABSN-1", "LABSKU"];
    let firmware = ["LabBIOS", "1.2.3", "04/01/2014"];
    let chassis = structure(3, 0x300, &[1, 2, 0, 3, 0, 3, 3, 3, 3], &["ChassisMaker", "ChassisThing", "CH-1"]);
    let nil = "00000000-0000-0000-0000-000000000000";
    // Sizes are far above what a test machine has, so that the banks decide.
    let large = |array: u16| bank(0x1100, array, 0x7fff, 1024 * 1024);
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("a server", vec![bios(&firmware), system([1, 2, 3, 4], Some(5), &names), array(0x1000, 3), large(0x1000)]),
        ("no SKU", vec![bios(&firmware), system([1, 2, 3, 4], None, &names)]),
        ("an empty SKU", vec![bios(&firmware), system([1, 2, 3, 4], Some(0), &names)]),
        ("a SKU without a product", vec![system([1, 0, 3, 4], Some(5), &names)]),
        ("two firmwares", vec![bios(&firmware), bios(&firmware), system([1, 2, 3, 4], None, &names)]),
        (
            "dirty strings",
            vec![bios(&["  A\x01B ", "\t1.2 ", "é"]), system([1, 2, 3, 4], None, &[" x", "y\x02", "z", " 7"])],
        ),
        ("a chassis", vec![system([0, 0, 0, 1], None, &[nil]), chassis.clone()]),
        ("a chassis that is not needed", vec![system([1, 2, 3, 4], None, &names), chassis]),
        ("little memory", vec![array(0x1000, 3), bank(0x1100, 0x1000, 512, 0)]),
        ("two arrays", vec![array(0x1000, 3), array(0x1001, 3), large(0x1000), bank(0x1101, 0x1001, 0x4000, 0)]),
        ("flash", vec![array(0x1000, 3), array(0x1001, 5), large(0x1000), bank(0x1101, 0x1001, 0x4000, 0)]),
        ("unknown use", vec![array(0x1000, 2), large(0x1000)]),
        ("an orphan", vec![array(0x1000, 3), large(0x1000), bank(0x1101, 0x9999, 0x4000, 0)]),
        ("banks first", vec![large(0x1000), array(0x1000, 3)]),
        ("empty and unknown", vec![array(0x1000, 3), large(0x1000), bank(1, 0x1000, 0, 0), bank(2, 0x1000, 0xffff, 0)]),
        ("kilobytes", vec![array(0x1000, 3), large(0x1000), bank(1, 0x1000, 0x8000 | 1536, 0)]),
        ("a sub-board", vec![sub_board(0x1000), array(0x1000, 3), large(0x1000)]),
        ("no end", vec![array(0x1000, 3), large(0x1000), vec![127, 4, 0, 0]]),
    ];
    for (name, mut structures) in cases {
        if name != "no end" {
            structures.push(structure(127, 0x7f00, &[], &[]));
        }
        let tree = Tree::new();
        tree.file("tables/smbios_entry_point", entry_point(3, 0)).file("tables/DMI", structures.concat());
        this_machine_but(&tree, &[("sys/firmware/dmi/tables", "../../../tables")]);
        let theirs = upstream(Some(&tree.root().path("")));
        let ours = json!({"memory": collector(&tree).memory(), "system_vendor": collector(&tree).vendor()});
        assert_eq!(ours, json!({"memory": theirs["memory"], "system_vendor": theirs["system_vendor"]}), "{name}");
    }
}

#[test]
#[ignore = "needs root, a disk and ironic-python-agent 13.0.0 in IPA_UPSTREAM_PYTHON"]
fn pyudev_reads_the_same_from_the_udev_database() {
    let disks = Collector::live().disks(false).unwrap();
    let number = std::fs::read_to_string(format!("/sys/block/{}/dev", disks[0].kname)).unwrap();
    let cases = [
        "E:ID_SERIAL_SHORT=SHORT\nE:ID_SERIAL=LONG_SHORT\nE:ID_WWN=0x5000\nE:ID_WWN_WITH_EXTENSION=0x50001111\n\
         E:ID_WWN_VENDOR_EXTENSION=0x1111\nE:ID_MODEL=M_1\nE:ID_MODEL_ENC=\\x20M\\x20\\x201\\x20\n",
        "E:ID_SERIAL=only  long \nE:ID_MODEL=under_score\nE:ID_WWN=0x5000\n",
        "E:SCSI_IDENT_SERIAL=ident\nE:ID_SCSI_SERIAL=scsi\nE:ID_SERIAL_SHORT=SHORT\n",
        "E:ID_SCSI_SERIAL=scsi\nE:ID_SERIAL_SHORT=SHORT\nE:ID_SERIAL=LONG\n",
        "E:DM_SERIAL=dm\nE:DM_WWN=0xd0\nE:DM_WWN_WITH_EXTENSION=0xd0e\nE:DM_WWN_VENDOR_EXTENSION=0xe\n",
        "E:ID_SERIAL=\nE:ID_WWN=\nE:ID_MODEL=\nE:DM_SERIAL=dm\nS:disk/by-id/x\nG:systemd\nE:\n",
    ];
    for properties in cases {
        let tree = Tree::new();
        tree.file(&format!("udev/b{}", number.trim()), properties);
        this_machine_but(&tree, &[("run/udev/data", "../../udev")]);
        let theirs = upstream(Some(&tree.root().path("")));
        let ours: Vec<_> = collector(&tree).disks(false).unwrap().into_iter().map(|disk| disk.device).collect();
        assert_eq!(serde_json::to_value(&ours).unwrap(), theirs["disks"], "{properties:?}");
    }
}

/// The columns that upstream asks lsblk for.
const COLUMNS: &str = "-oKNAME,MODEL,SIZE,ROTA,TYPE,UUID,PARTUUID,SERIAL,WWN,LOG-SEC,PHY-SEC,TRAN";

fn as_lsblk(disk: &Disk) -> Value {
    json!({
        "kname": disk.kname, "model": disk.device.model, "size": disk.device.size, "rota": disk.device.rotational,
        "type": disk.kind, "uuid": disk.uuid, "partuuid": disk.partuuid, "serial": disk.serials[0],
        "wwn": disk.wwns[0], "log-sec": disk.device.logical_sectors, "phy-sec": disk.device.physical_sectors,
        "tran": disk.device.tran,
    })
}

#[test]
#[ignore = "needs lsblk of util-linux 2.38"]
fn lsblk_reads_the_same_from_sysfs() {
    let tree = Tree::new();
    let add = |path: &str, number: &str, sectors: u64| {
        tree.file(&format!("sys/{path}/dev"), format!("{number}\n"))
            .file(&format!("sys/{path}/size"), format!("{sectors}\n"))
            .directory(&format!("sys/{path}/holders"))
            .directory(&format!("sys/{path}/slaves"))
            .link(&format!("sys/dev/block/{number}"), &format!("../../{path}"))
            .file(&format!("dev/{}", path.rsplit('/').next().unwrap()), "");
    };
    let queue = |path: &str, rotational: &str| {
        tree.file(&format!("sys/{path}/queue/rotational"), rotational)
            .file(&format!("sys/{path}/queue/logical_block_size"), "512\n")
            .file(&format!("sys/{path}/queue/physical_block_size"), "4096\n");
    };
    for (name, number, device) in [
        ("sda", "8:0", "../../../0:0:0:0"),
        ("sdb", "8:16", "../../../1:0:0:0"),
        ("sdq", "65:0", "../../../2:0:0:0"),
        ("sdr", "65:16", "../../../3:0:0:0"),
        ("nvme0n1", "259:0", "../../nvme0"),
        ("vda", "254:0", "../../../virtio1"),
        ("md127", "9:127", ""),
        ("dm-0", "252:0", ""),
        ("dm-300", "252:300", ""),
    ] {
        let path = format!("block/{name}");
        add(&path, number, 8192);
        queue(&path, if name == "sda" { "1\n" } else { "0\n" });
        if !device.is_empty() {
            tree.link(&format!("sys/{path}/device"), device);
        }
    }
    add("block/sda/sda1", "8:1", 2048);
    tree.file("sys/block/sda/sda1/start", "2048\n")
        .file("0:0:0:0/model", "ST4000NM0035-1V4\n")
        .file("0:0:0:0/type", "0\n")
        .file("1:0:0:0/model", "PERC H730 Mini  \n")
        .file("2:0:0:0/type", "12\n")
        .file("2:0:0:0/serial", "HP-RAID-CTRL\n")
        .directory("3:0:0:0")
        .directory("virtio1")
        .file("sys/nvme0/model", "SAMSUNG MZQLB960HAJR-00007              \n")
        .file("sys/nvme0/serial", "S437NC0R400001      \n")
        .file("sys/class/scsi_host/host0/proc_name", "ahci\n")
        .directory("sys/class/sas_host/host1")
        .file("sys/class/fc_host/host2/symbolic_name", "QLE2562 over FCoE\n")
        .file("sys/class/scsi_host/host3/proc_name", "usb-storage\n")
        .link("sys/bus/scsi/devices/3:0:0:0", "../../../devices/usb2/2-1/3:0:0:0")
        .directory("sys/devices/usb2/2-1/3:0:0:0")
        .file("sys/block/md127/md/level", "raid1\n")
        .file("sys/block/dm-0/dm/name", "mpatha\n")
        .file("sys/block/dm-0/dm/uuid", "mpath-3600\n")
        .file("sys/block/dm-300/dm/name", "mpatha1\n")
        .file("sys/block/dm-300/dm/uuid", "part1-mpath-3600\n");

    let output = Command::new("lsblk")
        .args(["--sysroot", tree.root().path("").to_str().unwrap(), "-bia", "--json", COLUMNS])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let theirs = report["blockdevices"].as_array().unwrap();
    for (wanted, kinds) in
        [(Wanted::Disks, &["disk", "mpath", "raid", "raid1"][..]), (Wanted::Partitions, &["part"][..])]
    {
        let ours: Vec<Value> = list(&tree.root(), wanted).unwrap().iter().map(as_lsblk).collect();
        let theirs: Vec<&Value> =
            theirs.iter().filter(|disk| kinds.contains(&disk["type"].as_str().unwrap())).collect();
        assert_eq!(ours.iter().collect::<Vec<_>>(), theirs, "{wanted:?}");
        assert!(ours.len() > 1);
    }
}
