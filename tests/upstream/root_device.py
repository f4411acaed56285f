#!/usr/bin/env python3
"""Records which disks ironic-python-agent takes for which hints, as plugins/generic/fixtures/hints/upstream.json.

Run it with an interpreter that has ironic-python-agent installed (`pip install ironic-python-agent==13.0.0`):

    python tests/upstream/root_device.py > plugins/generic/fixtures/hints/upstream.json

Each hint meets each disk by itself: `+` it matches, `-` it does not, `V` it is refused with the ValueError that upstream
explains to Ironic, `X` upstream breaks.
"""

import json
import logging

from ironic_python_agent import device_hints

GIB = 1 << 30

logging.disable(logging.CRITICAL)


def disk(name, size, **more):
    none = dict.fromkeys(["model", "vendor", "wwn_with_extension", "wwn_vendor_extension", "hctl", "by_path", "tran"])
    return {"name": name, "size": size, "rotational": False, "serial": [None] * 3, "wwn": [None] * 2, **none, **more}


DISKS = [
    disk("/dev/sda", 100 * GIB, model="QEMU HARDDISK", rotational=True, vendor="QEMU", hctl="0:0:0:0", tran="sata",
         serial=["QM00001", "QM00001", "QEMU_HARDDISK_QM00001"], wwn=["0x5000c500a1b2c3d4", "0x5000c500a1b2c3d4"],
         wwn_with_extension="0x5000c500a1b2c3d4", by_path="/dev/disk/by-path/pci-0000:00:01.1-ata-1"),
    disk("/dev/sdb", 100 * GIB + 1, model="PERC H730 Mini", rotational=True, vendor="DELL", hctl="0:2:0:0",
         serial=[None, "61866da0b7", "361866da0b7"], wwn=["0x61866da0b7a5f4001f1e2d3c4b5a6978", "0x61866da0b7a5f400"],
         wwn_with_extension="0x61866da0b7a5f4001f1e2d3c4b5a6978", wwn_vendor_extension="0x1f1e2d3c4b5a6978"),
    disk("/dev/nvme0n1", 480103981056, model="SAMSUNG MZ1LB480 \u00e9d/2 50%", tran="nvme", serial=["12345", None, ""]),
    disk("/dev/vda", 4 * GIB, vendor="  ", model="sda<1", serial=[None, None, None]),
    disk("/dev/vdb", 1000, vendor="= 5", model="<or>", serial=["=", None]),
]

TEXTS = [
    "QEMU HARDDISK", " qemu harddisk ", "qemu", "s== qemu harddisk", "s==QEMU HARDDISK", "s!= qemu harddisk",
    "<in> qemu", "<in>hard", "<in> 20", "<in> u h", "<in> perc <in> qemu", "<or> qemu harddisk <or> PERC H730 Mini",
    "<or>perc h730 mini<or>x", "<or> a", "s< q", "s<= qemu harddisk", "s> perc", "s>= qemu harddisk", "none", "s== none",
    "s!= none", "", "  ", "s==", "<in>", "<or>", "= 5", "== 5", ">= 5", "< 5", "!= 5", "5", "<all-in> a b", "<all-in> qemu",
    "<range-in> [ 1 20 ]", "<foo> bar", "=== 5", "s== a s== b", "s== qemu harddisk s== b", "<in> \u00e9", "SAMSUNG mz1lb480 \u00c9D/2 50%",
    "<in> 50%", "sda", "s", "s=", "sda<1", "<or> sda<1", "a <or> b", "<or> a b", "= qemu", "<or>  <or> a", "s==  s== b",
    "> inf", "< 1e3", "== 1_0", "<in> <or>",
]
SERIALS = [
    "QM00001", "qm00001", "s!= QM00001", "<in> qm", "<or> x <or> 12345", "12345", "== 12345", "== 1_2345", ">= 1", "< 1e9",
    "none", "s!= none", "361866da0b7", "s< a", "<all-in> a", "<range-in> [ 1 20 ]", "s==", " ",
]
SIZES = [
    100, "100", " 100 ", "== 100", "=100", "= 101", ">= 100", "> 100", "< 100", "<= 100", "!= 100", "<or> 100 <or> 4", "s== 100",
    "s!= 100", "s< 100", "<in> 4", "<all-in> 4", "<range-in> [ 1 200 ]", 0, -1, "-1", "0", 100.0, "100.0", "abc", "", None, True,
    [100], "1_00", "+100", "== 4 == 5", ">=", "<OR> 4", 447, "> 447", "== 447.13",
]
FLAGS = [True, False, "true", " YES ", "off", "n", 1, 0, 2, "2", "", None, "maybe", [], 1.0]


def hints():
    for text in TEXTS:
        yield {"model": text}
        yield {"vendor": text}
    for text in SERIALS:
        yield {"serial": text}
        yield {"wwn": text}
    for size in SIZES:
        yield {"size": size}
    for flag in FLAGS:
        yield {"rotational": flag}
    for name, text in [
        ("name", "/dev/sda"), ("name", "<or> /dev/sda <or> /dev/vdb"), ("hctl", "0:2:0:0"), ("hctl", "<in> :2:"),
        ("by_path", "/dev/disk/by-path/pci-0000:00:01.1-ata-1"), ("by_path", "<in> ata"), ("tran", "nvme"), ("tran", "none"),
        ("wwn", "0x5000C500A1B2C3D4"), ("wwn", "0x61866da0b7a5f400"), ("wwn_with_extension", "<in> 1f1e2d"),
        ("wwn_vendor_extension", "0x1f1e2d3c4b5a6978"), ("model", 5), ("model", None), ("model", ["a"]), ("colour", "red"),
    ]:
        yield {name: text}
    yield {"size": ">= 100", "rotational": True}
    yield {"rotational": True, "model": "== 5"}
    yield {"rotational": False, "model": "== 5"}
    yield {"model": "qemu harddisk", "colour": "red"}


def verdict(hint, device):
    try:
        return "+" if list(device_hints.find_devices_by_hints([device], hint)) else "-"
    except ValueError:
        return "V"
    except Exception:
        return "X"


cases = [{"hints": hint, "verdicts": "".join(verdict(hint, device) for device in DISKS)} for hint in hints()]
lines = ",\n".join("    " + json.dumps(case) for case in cases)
disks = ",\n".join("    " + json.dumps(device) for device in DISKS)
print('{\n  "disks": [\n%s\n  ],\n  "cases": [\n%s\n  ]\n}' % (disks, lines))
