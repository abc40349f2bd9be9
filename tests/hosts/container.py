#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""container.py BUILD FOLDER - Kennel in a container as people get it: Docker's seccomp profile, and nothing that is not needed.

An ordinary user without capabilities, who cannot get any; a root file system that is read-only; a /tmp where nothing can be
executed; io_uring refused; 64 processes. FOLDER keeps Debian's kernel (see guest.py). Takes root, to make the container.
"""
import os
import subprocess
import sys
import tempfile

import seccomp
from guest import make
from oci import Container, bind, mount
from tap import leave_out

HERE = os.path.dirname(os.path.abspath(__file__))
UID = 28471     # one that nothing else runs as: the limit of processes counts all of a user's
SIGNS = ['ordinary_user', 'no_capabilities', 'no_new_privileges', 'seccomp', 'no_io_uring', 'read_only_root', 'noexec_tmp', 'few_processes']


def lay_out_root(root):
    """The host's own programs, seen through an otherwise empty root."""
    for name in 'usr', 'etc', 'proc', 'sys', 'dev', 'tmp', 'build', 'guest', 'source':
        os.mkdir(os.path.join(root, name))
    for name in 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32':
        if os.path.lexists('/' + name):
            os.symlink('usr/' + name, os.path.join(root, name))


def main(build, folder):
    profile = seccomp.docker_default()
    if not profile:
        leave_out(f'there is no {seccomp.PROFILE}')
    with tempfile.TemporaryDirectory(prefix='kennel-host-') as root:
        os.chmod(root, 0o755)
        lay_out_root(root)
        mounts = [bind('/usr', '/usr', 'ro'), bind('/etc', '/etc', 'ro'), mount('/tmp', 'tmpfs', 'nosuid', 'nodev', 'noexec', 'mode=1777', 'size=1g'),
                  bind('/build', os.path.abspath(build), 'ro'), bind('/source', os.path.join(HERE, '..', '..'), 'ro')]
        plain = Container(root, UID, mounts=mounts, seccomp=profile, limits=[('RLIMIT_NPROC', 64), ('RLIMIT_NOFILE', 1024)])
        if why := plain.trouble():
            leave_out(why)
        try:
            guest = make(os.path.join(build, 'kennel'), folder)
        except Exception as why:  # whatever keeps it away
            leave_out(f"no kernel of Debian's: {why}")
        plain.config['mounts'].append(bind('/guest', os.path.abspath(guest), 'ro'))
        return plain.run(['python3', '/source/tests/hosts/inside.py', 'container', '/build', '/guest', *SIGNS], cwd='/tmp',
                         environment={'HOME': '/tmp', 'PYTHONDONTWRITEBYTECODE': '1'}, stdin=subprocess.DEVNULL).returncode


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
