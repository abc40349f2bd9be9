#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gvisor.py BUILD FOLDER [SUITE] - Kennel inside gVisor, whose kernel is a program and answers system calls itself.

FOLDER keeps Debian's kernel (see guest.py). SUITE: take gVisor from that release of Debian instead of what is installed: the one in
bookworm has only the platform "ptrace", the one in trixie "systrap", which is what gVisor uses by itself today. Takes root.
"""
import os
import shutil
import subprocess
import sys

from debian_root import Unavailable, program
from guest import make
from tap import leave_out

HERE = os.path.dirname(os.path.abspath(__file__))
PLATFORMS = ['systrap', 'ptrace']      # today's own choice; the only one for an ordinary user before 2023


def command(runsc, platform, *words):
    return [runsc, f'--platform={platform}', '--network=none', '--ignore-cgroups', 'do', *words]


def platform_of(runsc):
    """The first that this version has and that works here; or None, and what the last one said."""
    said = ''
    for platform in PLATFORMS:
        outcome = subprocess.run(command(runsc, platform, '/bin/true'), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if outcome.returncode == 0:
            return platform, ''
        said = outcome.stderr.strip() or f'status {outcome.returncode}'
    return None, said


def find(suite):
    """gVisor's program, of this host or of that release."""
    try:
        return program(suite, 'runsc', 'usr/bin/runsc') if suite else shutil.which('runsc')
    except Unavailable as why:
        leave_out(why)


def main(build, folder, suite=None):
    if os.geteuid():
        leave_out('making a sandbox takes root')
    runsc = find(suite)
    if not runsc:
        leave_out('runsc is not installed')
    platform, why = platform_of(runsc)
    if not platform:
        leave_out(why)
    try:
        guest = make(os.path.join(build, 'kennel'), folder)
    except Exception as trouble:  # whatever keeps it away
        leave_out(f"no kernel of Debian's: {trouble}")
    # Through a pipe: into a file gVisor writes at an offset of its own.
    with subprocess.Popen(command(runsc, platform, sys.executable, os.path.join(HERE, 'inside.py'), f'gVisor, {platform}', os.path.abspath(build), guest,
                                  'gvisor'), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            print(line, end='', flush=True)
    return process.returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
