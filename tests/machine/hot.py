#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hot.py ARCHIVE [PATTERN] - does code that runs with the guest's x87 and SSE registers live keep its hands off them?

Two questions: does any instruction in it name such a register, and does it call anything but the processor, its own folder and
the few libc functions that are known to be plain integer code? PATTERN: what its own functions are called, if not lguest_*.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(r'cpu_\w+|insn_address|clock_gettime|pthread_self|syscall|timer_settime|__(asan|ubsan)\w+')
VECTOR = re.compile(r'%[xyz]mm\d|%st\b|%mm\d|\bf(ld|st|add|mul|ninit|xsave|xrstor)')


def tool(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main(archive, own='lguest_\\w+'):
    undefined = {line.split()[-1] for line in tool('nm', '-u', archive) if ' U ' in line}
    bad = sorted('calls ' + name for name in undefined if not ALLOWED.fullmatch(name) and not re.fullmatch(own, name))
    bad += ['has ' + line.strip() for line in tool('objdump', '-d', '--no-show-raw-insn', archive) if VECTOR.search(line)]
    for line in bad:
        print(f'{archive}: {line}')
    if not undefined:
        print(f'{archive}: nothing in it')
    return bool(bad) or not undefined


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
