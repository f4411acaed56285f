#!/usr/bin/env python3
"""Records the names and numbers that others rely on, as tests/fixtures/names/upstream.json: the error classes as they
are serialised, the methods of the base class of hardware managers, the levels of support, and what the generic manager
calls itself.

Run it with an interpreter that has ironic-python-agent installed (`pip install ironic-python-agent==13.0.0`):

    python tests/upstream/names.py > tests/fixtures/names/upstream.json
"""

import inspect
import json
import sys

from ironic_python_agent import config  # noqa: F401  registers the agent's options
from ironic_python_agent import errors
from ironic_python_agent import hardware

# Arguments of the classes that take other ones than their details.
ARGUMENTS = {
    "ImageChecksumError": ("image-1", "/tmp/image-1", "aaaa", "bbbb"),
    "ImageDownloadError": ("image-1", "no route to host"),
    "ImageDownloadFatalError": ("image-1", "no route to host"),
    "ImageDownloadOutofSpaceError": ("image-1", "no space left"),
    "ImageDownloadTimeoutError": ("image-1", "too slow"),
    "ImageWriteError": ("/dev/sda", 1, "out", "err"),
    "ProtectedDeviceError": ("/dev/sda", "VMFS partition"),
    "RequestedObjectNotFoundError": ("Extension", "nope"),
    "SystemRebootError": (1, "out", "err"),
    "VersionMismatch": ({"acme": "2.1"}, {"acme": "2.0"}),
}


def error_classes():
    found = {}
    for name, error_class in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error_class, errors.RESTError):
            error = error_class(*ARGUMENTS.get(name, ("details",)))
            try:
                found[name] = dict(error.serialize())
            except AttributeError:
                # It never set its type and code.
                found[name] = None
    return found


def main():
    names = {
        "errors": error_classes(),
        "manager_methods": [name for name, member in vars(hardware.HardwareManager).items()
                            if inspect.isfunction(member) and not name.startswith("_")],
        "support": {name: value for name, value in vars(hardware.HardwareSupport).items() if name.isupper()},
        "generic": {
            "class_name": hardware.GenericHardwareManager.__name__,
            "name": hardware.GenericHardwareManager.HARDWARE_MANAGER_NAME,
            "version": hardware.GenericHardwareManager.HARDWARE_MANAGER_VERSION,
        },
    }
    json.dump(names, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
