#!/usr/bin/env python3
"""What ironic-python-agent itself reports about this machine.

Run it with the interpreter of a virtual environment that has ironic-python-agent 13.0.0 installed:

    inventory.py                  prints the inventory as JSON
    inventory.py --time [RUNS]    prints wall and CPU milliseconds of each run (default 7) as JSON; CPU time includes
                                  the tools that upstream starts (lsblk, lscpu, lshw, ...)

The inventory is taken in this process, by the same way the agent takes it: the hardware managers are loaded, the
generic one is initialized, and list_hardware_info is dispatched. What initialize would change on the machine (kernel
modules, multipath, md arrays, iSCSI sessions) is left out, so that the script is safe to run anywhere.
"""

import json
import logging
import resource
import shutil
import sys
import time
from unittest import mock

from oslo_config import cfg

from ironic_python_agent import config  # noqa: F401  registers the agent's options
from ironic_python_agent import disk_utils
from ironic_python_agent import encoding
from ironic_python_agent import hardware

# Functions of upstream's module that load kernel modules, start daemons or assemble devices.
LEFT_OUT = {
    "_check_for_iscsi": None,
    "_md_scan_and_assemble": None,
    "_load_ipmi_modules": None,
    "_load_multipath_modules": None,
    "_enable_multipath": False,
}


def configure():
    cfg.CONF([], project="ironic-python-agent", default_config_files=[], default_config_dirs=[])
    # There may be no disk to wait for, and nothing is deployed.
    cfg.CONF.set_override("disk_wait_attempts", 1)
    cfg.CONF.set_override("disk_wait_delay", 0)
    logging.disable(logging.CRITICAL)


def take():
    return hardware.dispatch_to_managers("list_hardware_info")


def cpu_seconds():
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def measure(runs):
    wall, cpu = [], []
    for _ in range(runs):
        wall_before, cpu_before = time.perf_counter(), cpu_seconds()
        take()
        wall.append(round((time.perf_counter() - wall_before) * 1000, 3))
        cpu.append(round((cpu_seconds() - cpu_before) * 1000, 3))
    return {"runs": runs, "wall_ms": wall, "cpu_ms": cpu}


def main(arguments):
    configure()
    patches = [mock.patch.object(hardware, name, lambda *_, _value=value, **__: _value)
               for name, value in LEFT_OUT.items()]
    if shutil.which("udevadm") is None:
        # A machine without udev has nothing to settle; upstream would stop here.
        patches.append(mock.patch.object(disk_utils, "udev_settle", lambda: None))
    for patch in patches:
        patch.start()
    hardware.get_managers()
    if arguments[:1] == ["--time"]:
        runs = int(arguments[1]) if len(arguments) > 1 else 7
        result = measure(runs)
    else:
        serializer = encoding.RESTJSONEncoder()
        result = json.loads(serializer.encode(take()))
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
