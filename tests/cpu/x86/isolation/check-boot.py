#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-boot.py KENNEL KERNEL ISOLATION-DUMP - boot, and judge every block that was translated on the way.

Leaves with 77 (skipped) while kennel has no --dump-code.
"""
import os
import subprocess
import sys
import tempfile

BLOCKS = 500  # pup's own tests translate twice as many


def way(kennel):
    """What the checker has to know of this host."""
    doctor = subprocess.run([kennel, 'doctor'], capture_output=True, text=True)
    return ['--register'] if 'way to guest memory: register' in doctor.stdout else []


def main(kennel, kernel, checker):
    usage = subprocess.run([kennel, 'run', '--help'], capture_output=True, text=True)
    if '--dump-code' not in usage.stdout + usage.stderr:
        print('skipped: kennel has no --dump-code')
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix='kennel-isolation-') as directory:
        dump = os.path.join(directory, 'code')
        command = [kennel, 'run', '--timeout', '60', '-m', '64M', '-n', 'none', '--dump-code', dump, kernel, '--', 'run=test,user,poweroff']
        boot = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if boot.returncode:
            sys.exit(f'{" ".join(command)}: status {boot.returncode}\n{boot.stdout}{boot.stderr}')
        verdict = subprocess.run([checker, *way(kennel), dump], capture_output=True, text=True)
    print(verdict.stdout, verdict.stderr, sep='', end='')
    if verdict.returncode:
        sys.exit('some blocks may not run')
    blocks = int(verdict.stdout.split(': ')[1].split()[0])
    if blocks < BLOCKS:
        sys.exit(f'only {blocks} blocks, expected {BLOCKS}: was this a boot?')


main(*sys.argv[1:])
