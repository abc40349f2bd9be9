# SPDX-License-Identifier: MIT
"""amd64.py - Debian's amd64 kernel for a guest of QEMU's: from the archive that this host takes its packages from, not installed.

What Kennel itself runs is i386, so `kennel fetch` has no such kernel. Of the package only the kernel and the few modules are unpacked
that a disk and a network card need; the initial RAM disk is made here, of these and the host's static busybox.
"""
import os
import re
import shutil
import struct
import subprocess

from debian import Skipped, complete

SECONDS = 300   # for the archive
# In the order in which they can be loaded. One that is not there is built in.
MODULES = ('virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci', 'virtio_blk', 'failover', 'net_failover',
           'virtio_net', 'crc32c_generic', 'libcrc32c', 'crc16', 'mbcache', 'jbd2', 'ext4')
INIT = '''#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
for module in /modules/*; do busybox insmod "$module"; done
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mount -t ext4 /dev/vda /root
busybox mount -t proc proc /root/proc
busybox mount -t sysfs sys /root/sys
busybox mount --move /dev /root/dev
exec busybox switch_root /root /inside
'''


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, timeout=SECONDS, **more).stdout


def download(to):
    """The package that "linux-image-amd64" stands for, as a file."""
    if not shutil.which('apt-get'):
        raise Skipped('no apt-get here')
    try:
        name = re.search(r'Depends: (linux-image-\S+)', run('apt-cache', 'depends', 'linux-image-amd64', text=True))
        if not name:
            raise Skipped('the archive has no linux-image-amd64')
        run('apt-get', 'download', '-qq', name[1], cwd=to)
    except subprocess.SubprocessError as failure:
        raise Skipped(f'no kernel from the archive: {failure}') from None
    return os.path.join(to, next(file for file in os.listdir(to) if file.endswith('.deb')))


def unpack(package, to):
    """Kernel and modules, found by their names."""
    listed = run('dpkg-deb', '--fsys-tarfile', package)
    files = run('tar', '-t', input=listed).decode().splitlines()
    modules = {os.path.basename(file).split('.ko')[0].replace('-', '_'): file for file in files if '.ko' in file}
    kernel = next(file for file in files if '/boot/vmlinuz-' in file)
    wanted = [modules[name] for name in MODULES if name in modules]
    run('tar', '-x', '-C', to, kernel, *wanted, input=listed)
    return os.path.join(to, kernel), [os.path.join(to, file) for file in wanted]


def make_initrd(tree, busybox, modules):
    for name in 'bin', 'dev', 'modules', 'root':
        os.makedirs(os.path.join(tree, name))
    shutil.copy(busybox, os.path.join(tree, 'bin/busybox'))
    for number, module in enumerate(modules):
        shutil.copy(module, os.path.join(tree, 'modules', f'{number:02}-{os.path.basename(module)}'))
    with open(os.path.join(tree, 'init'), 'w', encoding='ascii') as init:
        init.write(INIT)
        os.fchmod(init.fileno(), 0o755)
    names = run('find', '.', cwd=tree)
    return run('cpio', '-o', '-H', 'newc', '--quiet', cwd=tree, input=names)


def is_static(program):
    """An ELF file of 64 bits none of whose segments names an interpreter."""
    with open(program, 'rb') as file:
        data = file.read(4096)
    table, (size, count) = struct.unpack_from('<Q', data, 32)[0], struct.unpack_from('<HH', data, 54)
    return all(struct.unpack_from('<I', data, table + i * size)[0] != 3 for i in range(count))


def fill(folder):
    """busybox comes last: where it is, the folder is complete."""
    busybox = shutil.which('busybox')
    if not busybox or not is_static(busybox):
        raise Skipped('no static busybox here (package busybox-static)')
    work = os.path.join(folder, 'work')
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(work, 'package'))
    kernel, modules = unpack(download(work), os.path.join(work, 'package'))
    shutil.copy(kernel, os.path.join(folder, 'vmlinuz'))
    with open(os.path.join(folder, 'initrd.img'), 'wb') as initrd:
        initrd.write(make_initrd(os.path.join(work, 'tree'), busybox, modules))
    shutil.rmtree(work)
    shutil.copy(busybox, os.path.join(folder, 'busybox.part'))
    os.rename(os.path.join(folder, 'busybox.part'), os.path.join(folder, 'busybox'))


def prepare(folder):
    """Kernel, initial RAM disk and busybox are in a folder when this returns its name."""
    return complete(folder, 'amd64', 'lock-amd64', fill)
