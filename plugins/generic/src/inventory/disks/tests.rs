use super::*;
use crate::root::fixture::Tree;

fn block(tree: &Tree, name: &str, number: &str, sectors: &str) -> String {
    let directory = format!("sys/block/{name}");
    tree.file(&format!("{directory}/dev"), format!("{number}\n"))
        .file(&format!("{directory}/size"), format!("{sectors}\n"))
        .file(&format!("{directory}/queue/rotational"), "0\n")
        .file(&format!("{directory}/queue/logical_block_size"), "512\n")
        .file(&format!("{directory}/queue/physical_block_size"), "4096\n");
    directory
}

/// The disks of a lab machine (QEMU q35, Debian 12, systemd 252) as its sysfs and udev database had them, shortened. The
/// targets of the `device` links lie where these short links lead to.
fn lab() -> Tree {
    let tree = Tree::new();
    let sda = block(&tree, "sda", "8:0", "4194304");
    tree.link(&format!("{sda}/device"), "../../../0:0:0:0")
        .file("0:0:0:0/vendor", "ATA     \n")
        .file("0:0:0:0/model", "LABSATA         \n")
        .file("0:0:0:0/type", "0\n")
        .directory("0:0:0:0/scsi_device/0:0:0:0")
        .file("sys/class/scsi_host/host0/proc_name", "ahci\n")
        .file(
            "run/udev/data/b8:0",
            "E:ID_MODEL=LABSATA\nE:ID_MODEL_ENC=LABSATA\\x20\\x20\nE:ID_SERIAL_SHORT=SATA-0001\n\
             E:ID_SERIAL=LABSATA_SATA-0001\nE:ID_WWN=0x5000c50012345678\n\
             E:ID_WWN_WITH_EXTENSION=0x5000c50012345678\n",
        )
        .link("dev/disk/by-path/pci-0000:00:1f.2-ata-1", "../../sda")
        .file(&format!("{sda}/sda1/dev"), "8:1\n")
        .file(&format!("{sda}/sda1/size"), "2048\n")
        .file("run/udev/data/b8:1", "E:ID_FS_UUID_ENC=4b1d\\x2d99\nE:ID_PART_ENTRY_UUID=0e1f-22\n");
    let nvme = block(&tree, "nvme0n1", "259:0", "6291456");
    tree.link(&format!("{nvme}/device"), "../../nvme0")
        .file("sys/nvme0/model", "QEMU NVMe Ctrl                          \n")
        .file("sys/nvme0/serial", "NVME-0001           \n");
    tree
}

fn disks(tree: &Tree) -> Vec<Disk> {
    list(&tree.root(), Wanted::Disks).unwrap()
}

fn names(tree: &Tree) -> Vec<String> {
    disks(tree).into_iter().map(|disk| disk.device.name).collect()
}

#[test]
fn a_sata_disk_is_described_as_upstream_does() {
    let found = disks(&lab());
    let expected: BlockDevice = serde_json::from_str(
        r#"{"name":"/dev/sda","model":"LABSATA","size":2147483648,"rotational":false,"wwn":"0x5000c50012345678",
        "serial":"SATA-0001","vendor":"ATA","wwn_with_extension":"0x5000c50012345678","wwn_vendor_extension":null,
        "hctl":"0:0:0:0","by_path":"/dev/disk/by-path/pci-0000:00:1f.2-ata-1","logical_sectors":512,
        "physical_sectors":4096,"tran":"sata"}"#,
    )
    .unwrap();
    assert_eq!(found[0].device, expected);
    assert_eq!(found[0].kind, "disk");
    let serials = ["SATA-0001", "SATA-0001", "LABSATA_SATA-0001"].map(|serial| Some(serial.to_owned()));
    assert_eq!(found[0].serials, serials);
}

#[test]
fn sysfs_answers_where_udev_does_not() {
    let found = disks(&lab());
    let nvme = &found[1].device;
    assert_eq!(nvme.name, "/dev/nvme0n1");
    // As lsblk without udev: the padding stays, and there is no world wide name.
    assert_eq!(nvme.model.as_deref(), Some("QEMU NVMe Ctrl                          "));
    assert_eq!(nvme.serial.as_deref(), Some("NVME-0001           "));
    assert_eq!((nvme.wwn.as_deref(), nvme.vendor.as_deref()), (None, None));
    assert_eq!(nvme.tran.as_deref(), Some("nvme"));
    assert_eq!((nvme.hctl.as_deref(), nvme.by_path.as_deref()), (None, None));
}

#[test]
fn partitions_are_listed_apart() {
    let tree = lab();
    let parts = list(&tree.root(), Wanted::Partitions).unwrap();
    assert_eq!(parts.len(), 1);
    let part = &parts[0];
    assert_eq!((part.device.name.as_str(), part.kind.as_str(), part.device.size), ("/dev/sda1", "part", 1_048_576));
    assert_eq!((part.uuid.as_deref(), part.partuuid.as_deref()), (Some("4b1d-99"), Some("0e1f-22")));
    assert_eq!(part.device.model, None);
    assert_eq!(part.device.logical_sectors, Some(512));
}

#[test]
fn what_is_no_disk_is_not_listed() {
    let tree = Tree::new();
    for (name, number, sectors) in [
        ("fd0", "2:0", "8"),
        ("ram0", "1:0", "8192"),
        ("zram0", "253:0", "8192"),
        ("loop0", "7:0", "8192"),
        ("sr0", "11:0", "8192"),
        ("sdb", "8:16", "0"),
        ("sdc", "8:32", "garbage"),
        ("sdd", "8:48", "99999999999999999999"),
        ("sde", "8:64", "18446744073709551615"),
        ("nvme0c0n1", "259:7", "8192"),
        ("dm-1", "252:1", "8192"),
        ("md1", "9:1", "8192"),
        ("vda", "254:0", "8192"),
    ] {
        block(&tree, name, number, sectors);
    }
    tree.file("sys/block/sr0/device/type", "5\n")
        .file("sys/block/nvme0c0n1/hidden", "1\n")
        .file("sys/block/dm-1/dm/uuid", "LVM-abc\n")
        .file("sys/block/md1/md/level", "\n");
    assert_eq!(names(&tree), ["/dev/vda"]);
    // An array in a broken state counts as a partition.
    let parts = list(&tree.root(), Wanted::Partitions).unwrap();
    assert_eq!(parts.iter().map(|part| part.kname.as_str()).collect::<Vec<_>>(), ["md1"]);
}

#[test]
fn a_spinning_disk_with_a_vendors_world_wide_name() {
    let tree = Tree::new();
    let sdb = block(&tree, "sdb", "8:16", "8192");
    tree.file(&format!("{sdb}/queue/rotational"), "1\n").file(
        "run/udev/data/b8:16",
        "E:ID_WWN=0x5000\nE:ID_WWN_WITH_EXTENSION=0x50001111\nE:ID_WWN_VENDOR_EXTENSION=0x1111\n",
    );
    let disk = &disks(&tree)[0].device;
    assert!(disk.rotational);
    assert_eq!(disk.wwn_with_extension.as_deref(), Some("0x50001111"));
    assert_eq!(disk.wwn_vendor_extension.as_deref(), Some("0x1111"));
}

#[test]
fn of_several_links_by_path_the_last_listed_counts() {
    let link = |name: &str, target: &str| (PathBuf::from(target), format!("/dev/disk/by-path/{name}"));
    let links = ByPath(vec![link("a", "/dev/sda"), link("b", "/dev/sda"), link("c", "/dev/sdb")]);
    assert_eq!(links.of("/dev/sda").as_deref(), Some("/dev/disk/by-path/b"));
    assert_eq!(links.of("/dev/sdc"), None);
}

#[test]
fn arrays_and_multipath_devices_are_disks() {
    let tree = Tree::new();
    for (name, number) in [("md0", "9:0"), ("dm-0", "252:0"), ("dm-2", "252:2"), ("sdz", "65:144")] {
        block(&tree, name, number, "8192");
    }
    tree.file("sys/block/md0/md/level", "raid1\n")
        .file("sys/block/dm-0/dm/uuid", "mpath-360000000000000000e00000000010001\n")
        .file("sys/block/dm-2/dm/uuid", "part1-mpath-360000000000000000e00000000010001\n")
        .directory("sys/block/md0/slaves/sda")
        .directory("sys/block/dm-0/slaves/sda")
        .file("run/udev/data/b252:0", "E:DM_SERIAL=3600\nE:DM_WWN=0x60\nE:ID_MODEL=Array\nE:ID_SERIAL=x\n");
    // By device number as the C library packs it.
    assert_eq!(names(&tree), ["/dev/md0", "/dev/sdz", "/dev/dm-0"]);
    let dm = &disks(&tree)[2];
    assert_eq!((dm.kind.as_str(), dm.device.model.as_deref()), ("mpath", None));
    assert_eq!((dm.device.serial.as_deref(), dm.device.wwn.as_deref()), (Some("x"), Some("0x60")));
    let parts = list(&tree.root(), Wanted::Partitions).unwrap();
    assert_eq!(parts.iter().map(|part| part.kname.as_str()).collect::<Vec<_>>(), ["dm-2"]);
}

#[test]
fn names_of_partitions() {
    for (name, whole, expected) in [
        ("sda1", "sda", true),
        ("nvme0n1p2", "nvme0n1", true),
        ("queue", "sda", false),
        ("sdap", "sda", false),
        ("sda", "sda", false),
        ("mmcblk0boot0", "mmcblk0", false),
    ] {
        assert_eq!(is_partition_of(name, whole), expected, "{name}");
    }
    assert_eq!(dev_name("cciss!c0d0"), "cciss/c0d0");
}

#[test]
fn a_missing_sysfs_is_one_clear_line() {
    let error = list(&Tree::new().root(), Wanted::Disks).unwrap_err();
    assert!(error.to_string().contains("Cannot list block devices in /sys/block"), "{error}");
}
