#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""guest.py BUILD FOLDER [CASE...] - a Debian kernel in QEMU, without hardware virtualization, on our vhost-user devices.

Its root file system lies on `kennel vhost-user blk`, its network is `kennel vhost-user net`; what it does there is guest-inside.
FOLDER is where tests/boot/debian.py and amd64.py keep their kernels. Without QEMU or without a kernel a case ends with status 77: skipped.
"""
import copy
import glob
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'boot'))

import amd64  # noqa: E402
import debian  # noqa: E402
from peers import PATIENCE, Failure, Skip, main, need, retry, wait_for  # noqa: E402

TOOLS = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}
MEMORY, BALLAST = 256 << 20, 32 << 20
FOLDER = sys.argv[2] if len(sys.argv) > 2 else None


class Monitor:
    """Commands to QEMU, over its QMP."""

    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(path)
        self.lines = self.stream.makefile()
        self.lines.readline()
        self('qmp_capabilities')

    def __call__(self, command, **arguments):
        self.stream.sendall(json.dumps({'execute': command, 'arguments': arguments}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if 'error' in answer:
                raise Failure(f'QEMU: {command}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']
        raise Failure(f'QEMU: {command}: no answer')


class Guest:
    """QEMU, the two processes that are its devices, and a web server that it can reach."""

    def __init__(self, bench, kernel='686', disk=None):
        """disk: another program for the disk's first process."""
        need('qemu-system-x86_64', 'qemu-system-x86')
        need('mke2fs', 'e2fsprogs')
        try:
            self.folder = amd64.prepare(FOLDER) if kernel == 'amd64' else debian.prepare(bench.kennel, FOLDER, kernel)
        except debian.Skipped as reason:
            raise Skip(reason) from None
        self.bench = bench
        self.web = debian.Web()
        self.root = self.make_root()
        self.where = 'here'
        self.qemu = None
        self.disk = self.serve_disk() if not disk else self.listening('blk', disk, self.path('blk'), self.root)
        self.net = self.serve('net', '--net', 'user')

    def make_root(self):
        tree, root = self.bench.path('tree'), self.bench.file('root', size=48 << 20)
        for name in 'bin', 'dev', 'proc', 'sys', 'tmp':
            os.makedirs(os.path.join(tree, name))
        shutil.copy(os.path.join(self.folder, 'busybox'), os.path.join(tree, 'bin'))
        os.symlink('busybox', os.path.join(tree, 'bin/sh'))
        shutil.copy(os.path.join(HERE, 'guest-inside'), os.path.join(tree, 'inside'))
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, root], check=True, capture_output=True, env=TOOLS)
        return root

    def serve(self, kind, *options):
        return self.listening(kind, self.bench.kennel, 'vhost-user', kind, '--socket-path', self.path(kind), *options)

    def listening(self, kind, *command):
        return self.bench.listening(self.bench.start(f'{kind}-{self.where}.log', *command), self.path(kind))

    def path(self, name):
        return self.bench.path(f'{name}-{self.where}')

    def serve_disk(self):
        return self.serve('blk', '--disk', self.root)

    def boot(self, what, *options, reconnect='', ring=''):
        if os.path.exists(self.path('console')):
            os.unlink(self.path('console'))
        self.qemu = self.bench.start(
            f'console-{self.where}', 'qemu-system-x86_64', '-accel', 'tcg', '-m', str(MEMORY >> 20), '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio',
            '-object', f'memory-backend-memfd,id=ram,size={MEMORY},share=on', '-machine', 'pc,memory-backend=ram',
            '-chardev', f'socket,id=disk,path={self.path("blk")}{reconnect}', '-device', f'vhost-user-blk-pci,chardev=disk{ring}',
            '-chardev', f'socket,id=net,path={self.path("net")}{reconnect}', '-netdev', 'vhost-user,id=net,chardev=net',
            # QEMU 7.2 crashes when a network card with MSI-X vectors starts on vhost-user without KVM.
            '-device', 'virtio-net-pci,netdev=net,mac=52:54:00:12:34:56,vectors=0',
            '-kernel', os.path.join(self.folder, 'vmlinuz'), '-initrd', os.path.join(self.folder, 'initrd.img'),
            '-append', f'console=ttyS0 quiet no_timer_check net.ifnames=0 root=/dev/vda rw init=/inside run={what} init_on_alloc=0 web=10.0.2.2:{self.web.server_port}',
            '-qmp', f'unix:{self.path("monitor")},server=on,wait=off', *options)

    def monitor(self):
        wait_for('the monitor', lambda: os.path.exists(self.path('monitor')))
        return Monitor(self.path('monitor'))

    def twin(self, what, *options):
        """The same machine somewhere else, on other back ends, waiting for a guest to move there."""
        twin = copy.copy(self)
        twin.where = 'there'
        twin.root = self.bench.file('root-there', size=os.path.getsize(self.root))
        twin.disk = twin.serve_disk()
        twin.net = twin.serve('net', '--net', 'user')
        twin.boot(what, '-S', '-incoming', f'unix:{twin.path("incoming")}', *options)
        return twin

    def memory(self):
        """The file that the guest's memory is."""
        for file in glob.glob(f'/proc/{self.qemu.pid}/fd/*'):
            if os.readlink(file).startswith('/memfd:memory-backend'):
                return open(file, 'rb')
        raise Failure('QEMU has no memory')

    def console(self):
        return self.bench.log_of(self.qemu).replace('\r', '')

    def last(self, word):
        """The highest number that the guest has said behind a word."""
        return max(map(int, re.findall(f'^{word} ([0-9]+)$', self.console(), re.M)))

    def said(self, pattern, seconds=240):
        def matches():
            if self.qemu.poll() is not None and not re.search(pattern, self.console(), re.M):
                self.fail(f'QEMU ended before {pattern!r}')
            return re.search(pattern, self.console(), re.M)
        try:
            wait_for(pattern, matches, seconds)
        except Failure as failure:
            self.fail(failure)

    def fail(self, why):
        logs = ''.join(f'--- {process.args[2]}\n{self.bench.log_of(process)}' for process in (self.disk, self.net))
        raise Failure(f'{why}\n--- console\n{self.console()}\n{logs}')

    def check_data(self):
        """What came by the network is on the disk, as the guest sees it and as the host does."""
        expected = hashlib.sha256(self.web.data).hexdigest()
        self.said(f'^sum {expected}')
        self.said('^posted$')
        self.qemu.wait(60)
        data = self.bench.path('data')
        subprocess.run(['debugfs', '-R', f'dump /data {data}', self.root], check=True, capture_output=True, env=TOOLS)
        if self.bench.read('data') != self.web.data:
            self.fail('the file on the disk is another one')

    def check_nothing_lost(self):
        if re.search('differs|error|not a head', self.console(), re.I):
            self.fail('something was lost')

    def check_alive(self):
        for process in self.disk, self.net:
            if process.poll() is not None:
                self.fail(f'{" ".join(process.args[1:3])} ended with status {process.returncode}')


def case_guest(bench):
    """DHCP and a file through our network back end, onto a file system on our disk back end."""
    guest = Guest(bench, kernel='amd64')
    guest.boot('all')
    guest.said(r'^lease 10\.0\.2\.15')
    guest.check_data()
    guest.check_alive()
    if subprocess.run(['e2fsck', '-f', '-n', guest.root], capture_output=True, env=TOOLS).returncode:
        guest.fail('the file system is not clean')
    if os.stat(guest.root).st_blocks * 512 > 20 << 20:
        guest.fail('what the guest has deleted still fills the disk')


def case_guest_killed(bench):
    """QEMU killed at random moments, most of them with requests under way: our back ends live and serve the next one."""
    guest = Guest(bench)
    dice = random.Random(2)
    for _ in range(3):
        guest.boot('busy')
        guest.said('^round 1')
        time.sleep(dice.uniform(0, 1))
        guest.qemu.kill()
        guest.qemu.wait()
        guest.check_alive()
    guest.boot('all')
    guest.check_data()


def case_guest_back_ends_restarted(bench):
    """Both devices end at random moments, by SIGTERM, and are started again: QEMU connects anew, and the guest has lost nothing."""
    guest = Guest(bench)
    dice = random.Random(6)
    guest.boot('busy', reconnect=',reconnect=1')
    for restart in range(1, 4):
        guest.said(f'^round {restart * 3}$')
        time.sleep(dice.uniform(0, 1))
        for process in guest.disk, guest.net:
            process.terminate()
            if process.wait(PATIENCE):
                guest.fail(f'{process.args[2]} ended with status {process.returncode}')
        guest.disk = guest.serve_disk()
        guest.net = guest.serve('net', '--net', 'user')
    guest.said('^round 12$')
    guest.check_nothing_lost()


def case_guest_disk_killed(bench):
    """The disk's process killed at random moments, and another one started: what it had under way is done by its successor."""
    guest = Guest(bench)
    dice = random.Random(7)
    guest.boot('busy', reconnect=',reconnect=1')
    for kill in range(1, 6):
        guest.said(f'^round {kill * 2}$')
        time.sleep(dice.uniform(0, 0.5))
        guest.disk.kill()
        guest.disk.wait()
        guest.disk = retry(guest.serve_disk)
    guest.said('^round 12$')
    guest.check_nothing_lost()


def overtaken(bench, ring=''):
    guest = Guest(bench, disk=bench.holding_disk)
    guest.boot('two', reconnect=',reconnect=1', ring=ring)
    guest.said('^round 1$')
    guest.disk.send_signal(signal.SIGUSR1)
    wait_for('a write that is held', lambda: 'holding' in bench.log_of(guest.disk), 60)
    guest.disk.kill()
    guest.disk.wait()
    held_at = guest.last('round')
    guest.disk = guest.serve_disk()
    guest.said(f'^round {held_at + 2}$')
    guest.check_nothing_lost()


def case_guest_disk_overtaken(bench):
    """The disk's process is killed while it holds one write and has done later requests: its successor does that one, and no other twice."""
    overtaken(bench)


def case_guest_packed_disk_overtaken(bench):
    """The same with a packed ring, where what was done lies over what was not."""
    overtaken(bench, ring=',packed=on')


def move(here, there):
    """
    Let the guest go on there. It runs when its memory has been copied once, while QEMU still copies ballast; and stands still when QEMU
    looks at what was written, because QEMU 7.2 without hardware virtualization may miss what the processor writes at such a moment, also
    with devices of its own. Its disk is copied at the end.
    """
    monitor = here.monitor()

    def moving():
        return monitor('query-migrate').get('status') in ('setup', 'active', 'device')

    wait_for('a QEMU to move to', lambda: os.path.exists(there.path('incoming')))
    monitor('stop')
    monitor('migrate-set-parameters', **{'max-bandwidth': 16 << 20})
    monitor('migrate', uri=f'unix:{there.path("incoming")}')
    wait_for('a copy of memory', lambda: 0 < monitor('query-migrate').get('ram', {}).get('remaining', 0) <= BALLAST, 120)
    monitor('migrate-set-parameters', **{'max-bandwidth': 64 << 10})
    monitor('cont')
    here.said(f'^read {here.last("read") + 2}$')
    monitor('stop')
    if monitor('query-migrate')['ram']['dirty-sync-count'] > 1:
        here.fail('the guest was too slow')
    monitor('migrate-set-parameters', **{'max-bandwidth': 0})
    wait_for('the move', lambda: not moving(), 120)
    if monitor('query-migrate')['status'] != 'completed':
        here.fail(f'not moved: {monitor("query-migrate")}')
    with here.memory() as old, there.memory() as new:
        lost = [page for page in range(MEMORY // 4096) if old.read(4096) != new.read(4096)]
        if lost:
            here.fail(f'{len(lost)} pages are not what they were: {lost[:20]}')
    with open(here.root, 'rb') as old, open(there.root, 'r+b') as new:
        shutil.copyfileobj(old, new, 1 << 20)
    there.monitor()('cont')
    here.qemu.kill()


def case_guest_moved(bench):
    """The guest moves to another QEMU, whose devices are other processes of ours, and has all that the disk wrote to its memory."""
    here = Guest(bench)
    bench.file('ballast', random.Random(8).randbytes(BALLAST))
    ballast = ['-object', f'memory-backend-file,id=ballast,size={BALLAST},mem-path={bench.path("ballast")},share=off',
               '-device', 'ivshmem-plain,memdev=ballast,master=on']
    here.boot('move', *ballast)
    here.said('^checked 1$')
    there = here.twin('move', *ballast)
    move(here, there)
    there.said(f'^checked {here.last("read") + 1}$')
    for guest in here, there:
        guest.check_alive()
        if re.search('differs|error', guest.console(), re.I):
            guest.fail('something was lost')


if __name__ == '__main__':
    sys.exit(main(globals(), skip=3))
