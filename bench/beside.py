# SPDX-License-Identifier: MIT
"""beside.py - what a virtual machine costs beside its memory, for benchmarks and tests."""
import re

# What guest RAM is called in /proc/PID/smaps: in Kennel, in QEMU as bench/run starts it, and in user-mode Linux.
RAM = re.compile(r'/memfd:(kennel-ram|memory-backend-memfd) |/vm_file-')


def beside_ram(pid):
    """KiB resident of one process, without guest RAM. What is mapped several times, as translated code is, counts once."""
    total, is_ram = 0, False
    with open(f'/proc/{pid}/smaps', encoding='ascii', errors='replace') as smaps:
        for line in smaps:
            if line.startswith('Pss:'):
                total += 0 if is_ram else int(line.split()[1])
            elif re.match('[0-9a-f]+-', line):
                is_ram = RAM.search(line)
    return total
