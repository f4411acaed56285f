"""Times list_hardware_info of the installed ironic-python-agent, in this process.

usage: python bench_inventory.py COUNT
prints: {"wall_s": [...], "cpu_s": [...]}, one number a call; managers are loaded before the first one, and the
processor time includes the tools it runs.

Run it in tests/bench/sandbox: loading the managers initialises them.
"""

import json
import resource
import sys
import time


def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main():
    count = int(sys.argv[1])
    # Options are registered on import, and other modules read them while they are imported.
    from ironic_python_agent import config
    config.CONF([], default_config_files=[], default_config_dirs=[])
    from ironic_python_agent import hardware

    hardware.get_managers()
    times = {"wall_s": [], "cpu_s": []}
    for _ in range(count):
        wall, cpu = time.monotonic(), cpu_seconds()
        hardware.list_hardware_info(use_cache=False)
        times["wall_s"].append(time.monotonic() - wall)
        times["cpu_s"].append(cpu_seconds() - cpu)
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main()
