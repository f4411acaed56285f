//! How a disk is attached, by the rules of `lsblk`.

use std::path::Path;

use crate::root::Root;

/// `sata`, `sas`, `fc`, `usb`, `nvme`, ...; `None` where lsblk 2.38 knows no name, as for virtio.
///
/// `device` is the target of the `device` link of the block device, and ends in host:channel:target:lun for SCSI.
pub(super) fn of_block(root: &Root, name: &str, device: Option<&Path>) -> Option<&'static str> {
    let address = device.and_then(Path::file_name).and_then(|address| address.to_str()).and_then(scsi_host);
    let Some((address, host)) = address else {
        return name.starts_with("nvme").then_some("nvme");
    };
    let host_is = |class: &str| root.is_dir(format!("sys/class/{class}_host/host{host}"));
    let host_says = |class: &str, attribute: &str| {
        let text = root.attribute(format!("sys/class/{class}_host/host{host}/{attribute}")).ok()?;
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
    };
    let scsi_device = format!("sys/bus/scsi/devices/{address}");
    let device_has = |attribute: &str| root.exists(format!("{scsi_device}/{attribute}"));

    if host_is("spi") {
        Some("spi")
    } else if host_is("fc") {
        host_says("fc", "symbolic_name").map(|name| if name.contains(" over ") { "fcoe" } else { "fc" })
    } else if host_is("sas") || device_has("sas_device") {
        Some("sas")
    } else if device_has("ieee1394_id") {
        Some("sbp")
    } else if host_is("iscsi") {
        Some("iscsi")
    } else if root.link(&scsi_device).is_some_and(|path| path.to_string_lossy().contains("usb")) {
        Some("usb")
    } else if host_is("scsi") {
        let driver = host_says("scsi", "proc_name")?;
        if driver.starts_with("ahci") || driver.starts_with("sata") {
            Some("sata")
        } else {
            driver.contains("ata").then_some("ata")
        }
    } else {
        name.starts_with("nvme").then_some("nvme")
    }
}

/// The address itself and its host number, if the text is a SCSI address.
fn scsi_host(address: &str) -> Option<(&str, u32)> {
    let numbers: Vec<u32> = address.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    match numbers[..] {
        [host, _, _, _] => Some((address, host)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::fixture::Tree;

    fn of(tree: &Tree, name: &str, device: &str) -> Option<&'static str> {
        of_block(&tree.root(), name, Some(Path::new(device)))
    }

    #[test]
    fn scsi_hosts_tell_their_transport() {
        let tree = Tree::new();
        tree.file("sys/class/scsi_host/host0/proc_name", "ahci\n")
            .file("sys/class/scsi_host/host1/proc_name", "ata_piix\n")
            .file("sys/class/scsi_host/host2/proc_name", "virtio_scsi\n")
            .file("sys/class/fc_host/host3/symbolic_name", "QLE2562 FW:v8 over FCoE\n")
            .file("sys/class/fc_host/host4/symbolic_name", "Emulex LPe32002\n")
            .directory("sys/class/sas_host/host5")
            .directory("sys/class/iscsi_host/host6")
            .file("sys/class/scsi_host/host7/proc_name", "usb-storage\n")
            .link("sys/bus/scsi/devices/7:0:0:0", "../../../devices/pci0000:00/0000:00:14.0/usb2/2-1/7:0:0:0")
            .file("sys/class/fc_host/host8/symbolic_name", "\n");
        let expected = [
            (0, Some("sata")),
            (1, Some("ata")),
            (2, None),
            (3, Some("fcoe")),
            (4, Some("fc")),
            (5, Some("sas")),
            (6, Some("iscsi")),
            (7, Some("usb")),
            (8, None),
            (9, None),
        ];
        for (host, transport) in expected {
            assert_eq!(of(&tree, "sda", &format!("../../../{host}:0:0:0")), transport, "host {host}");
        }
    }

    #[test]
    fn the_name_decides_outside_of_scsi() {
        let tree = Tree::new();
        assert_eq!(of(&tree, "nvme0n1", "../../nvme0"), Some("nvme"));
        assert_eq!(of(&tree, "vda", "../../../virtio1"), None);
        assert_eq!(of_block(&tree.root(), "md0", None), None);
    }
}
