#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""run.py EXPECTED KERNEL (harness HARNESS [ARGUMENT...] | qemu) - does the test kernel print what it should?

Under QEMU it is the expectation that is tested: QEMU is what says how a processor behaves.
"""
import difflib
import os
import subprocess
import sys
import tempfile

SKIP = 77


def harness(kernel, command):
    done = subprocess.run([*command[:1], kernel, *command[1:]], capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(f'{done.stdout[-2000:]}{done.stderr}harness: exit status {done.returncode}')
    return done.stdout


def qemu(kernel):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'out')
        command = ['qemu-system-i386', '-machine', 'pc,accel=tcg', '-nodefaults', '-display', 'none', '-no-reboot', '-kernel', kernel,
                   '-debugcon', 'file:' + out]
        try:
            subprocess.run(command, check=True, timeout=120)
        except FileNotFoundError:
            print('skipped: no qemu-system-i386 here (package qemu-system-x86)')
            sys.exit(SKIP)
        with open(out, encoding='ascii') as f:
            return f.read()


def main(expected, kernel, kind, *command):
    got = qemu(kernel) if kind == 'qemu' else harness(kernel, command)
    with open(expected, encoding='ascii') as f:
        difference = list(difflib.unified_diff(f.read().splitlines(), got.splitlines(), 'expected', kind, lineterm=''))
    print('\n'.join(difference))
    return bool(difference)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
