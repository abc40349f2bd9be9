# SPDX-License-Identifier: MIT
"""Debian's kernel with a root file system that ends in a login: what the tests of hosts boot, in Kennel and in QEMU.

The kernel and the initial RAM disk are those that tests/boot/debian.py has fetched, and so is the busybox that is everything on the root.
"""
import importlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'boot'))

MEMORY = '192M'
APPLETS = ['sh', 'mount', 'getty', 'login', 'uname', 'poweroff', 'hostname']
INIT = """#!/bin/sh
mount -t proc proc /proc
hostname kennel
exec getty -L 115200 ttyS0 vt100
"""


def parameters():
    """For the kernel's command line."""
    return ['console=ttyS0', 'quiet', 'root=/dev/vda', 'ro', 'init=/first', 'panic=-1']


def make(kennel, folder):
    """Fill a folder with vmlinuz, initrd.img and root.img. Raises debian.Skipped where the kernel cannot be had."""
    debian = importlib.import_module('debian')
    have = debian.prepare(os.path.abspath(kennel), folder, '686')
    tree = os.path.join(folder, 'login')
    shutil.rmtree(tree, ignore_errors=True)
    for name in 'bin', 'dev', 'etc', 'proc', 'sys':
        os.makedirs(os.path.join(tree, name))
    shutil.copy(os.path.join(have, 'busybox'), os.path.join(tree, 'bin'))
    for applet in APPLETS:
        os.symlink('busybox', os.path.join(tree, 'bin', applet))
    for path, text, mode in ('first', INIT, 0o755), ('etc/passwd', 'root::0:0:root:/:/bin/sh\n', 0o644):
        with open(os.path.join(tree, path), 'w', encoding='ascii') as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
    image = os.path.join(have, 'root.img')
    with open(image, 'wb') as file:
        file.truncate(16 << 20)
    subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, image], check=True, capture_output=True, env=debian.TOOLS)
    return have
