#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gvisor.py BUILD FOLDER [RUNSC] - Kennel inside gVisor, whose kernel is a program and answers system calls itself.

FOLDER keeps Debian's kernel (see guest.py). RUNSC: gVisor's own program, for one that is not installed. Each platform that it knows
and that works here (ptrace: in Debian 12; systrap: in Debian 13, and what gVisor uses by itself today) is a host. Takes root.
"""
import os
import shutil
import subprocess
import sys

from guest import make
from tap import leave_out

HERE = os.path.dirname(os.path.abspath(__file__))
# Each is tried: which ones there are depends on the version, and "systrap" is refused by those that do not know it.
PLATFORMS = ['systrap', 'ptrace']


def inside(runsc, platform, *command, **more):
    return subprocess.run([runsc, f'--platform={platform}', '--network=none', '--ignore-cgroups', 'do', *command], check=False,
                          stdin=subprocess.DEVNULL, **more)


def platform_of(runsc):
    """The first that works, and what the last one said."""
    said = ''
    for platform in PLATFORMS:
        outcome = inside(runsc, platform, '/bin/true', capture_output=True, text=True)
        if outcome.returncode == 0:
            return platform, ''
        said = outcome.stderr.strip() or f'status {outcome.returncode}'
    return None, said


def main(build, folder, runsc='runsc'):
    runsc = shutil.which(runsc)
    if not runsc:
        leave_out('runsc is not installed')
    if os.geteuid():
        leave_out('making a sandbox takes root')
    platform, why = platform_of(runsc)
    if not platform:
        leave_out(why)
    try:
        guest = make(os.path.join(build, 'kennel'), folder)
    except Exception as trouble:  # whatever keeps it away
        leave_out(f"no kernel of Debian's: {trouble}")
    # A file as standard output is written to at an offset of gVisor's own.
    process = inside(runsc, platform, sys.executable, os.path.join(HERE, 'inside.py'), f'gVisor, {platform}', os.path.abspath(build), guest, 'gvisor',
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(process.stdout, end='')
    return process.returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
