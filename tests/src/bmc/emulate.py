"""Runs the Redfish emulator of sushy-tools until standard input ends.

usage: emulate.py CONFIGURATION
"""

import os
import sys
import threading

from sushy_tools.emulator import main


def end_with_input():
    sys.stdin.buffer.read()
    # What it has on disk is in the directory of whoever started it.
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_input, daemon=True).start()
    sys.argv = ["sushy-emulator", "--config", sys.argv[1]]
    sys.exit(main.main())
