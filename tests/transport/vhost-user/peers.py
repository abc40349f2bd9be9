#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""peers.py BUILD [CASE...] - vhost-user against the programs of other people, and against being killed.

Each case is one function; run one by naming it. A case that wants a program which is not there ends with status 77: skipped.
"""
import glob
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time


# Seconds that a process may take to end. It takes less than one, but all of these when thirty others want the processor.
PATIENCE = 60


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def need(program, package):
    if not shutil.which(program, path=os.environ['PATH'] + ':/usr/sbin:/sbin'):
        raise Skip(f'no {program} here (package {package})')
    return program


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failure(f'{what}: not within {seconds} s')
        time.sleep(0.01)


def retry(serve_disk):
    """The kernel clears up after a killed process with requests in io_uring in its own time, and until then has the image locked."""
    for _ in range(50):
        try:
            return serve_disk()
        except Failure as failure:
            if 'in use by another kennel' not in str(failure):
                raise
        time.sleep(0.02)
    raise Failure('the image stays locked')


class Bench:
    """A directory that goes away, and processes that go with it."""

    def __init__(self, build):
        self.kennel = os.path.join(os.path.abspath(build), 'kennel')
        self.disk_client = os.path.join(os.path.abspath(build), 'tests/transport/vhost-user/disk-client')
        self.holding_disk = os.path.join(os.path.abspath(build), 'tests/transport/vhost-user/holding-disk')
        self.net_client = os.path.join(os.path.abspath(build), 'tests/transport/vhost-user/net-client')
        self.temporary = tempfile.TemporaryDirectory(prefix='kennel-vhost-')
        self.processes = []

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.temporary.name, name)

    def file(self, name, content=b'', size=None):
        with open(self.path(name), 'wb') as file:
            file.write(content)
            if size is not None:
                file.truncate(size)
        return self.path(name)

    def noise(self, name, mib):
        return self.file(name, random.Random(name).randbytes(mib << 20))

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read()

    def start(self, log, *command, **more):
        with open(self.path(log), 'ab') as out:
            process = subprocess.Popen(command, stdin=more.pop('stdin', subprocess.DEVNULL), stdout=out, stderr=out, **more)
        process.log = log
        self.processes.append(process)
        return process

    def log_of(self, process):
        return self.read(process.log).decode(errors='replace')

    def listening(self, process, socket):
        """Wait until @process listens. Asking by connecting would count as a front end."""
        def listens():
            if process.poll() is not None:
                raise Failure(f'{process.args[0]} ended with status {process.returncode}:\n{self.log_of(process)}')
            with open('/proc/net/unix') as table:
                return any(line.split()[3] == '00010000' and line.rstrip().endswith(' ' + socket) for line in table)
        wait_for(f'{process.args[0]} listening', listens)
        return process

    def run(self, *command, status=0, timeout=60):
        r = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=timeout)
        if r.returncode != status:
            raise Failure(f'{" ".join(command)}: status {r.returncode}, expected {status}\n{r.stdout}{r.stderr}')
        return r

    def disk(self, socket, *arguments, **more):
        return self.run(self.disk_client, socket, *arguments, **more)

    # --- peers ---

    def storage_daemon(self, socket, image, writable=True, options=()):
        process = self.start('storage-daemon.log', need('qemu-storage-daemon', 'qemu-system-common'),
                             '--blockdev', ','.join(['driver=file', 'node-name=file', f'filename={image}', *options]),
                             '--export', f'type=vhost-user-blk,id=disk,node-name=file,addr.type=unix,addr.path={socket},'
                                         f'writable={"on" if writable else "off"}')
        return self.listening(process, socket)

    def testpmd(self, socket):
        """A port that sends every frame back with its addresses swapped. It polls: one processor is its own while it lives."""
        if os.path.exists(socket):
            os.unlink(socket)
        need('dpdk-testpmd', 'dpdk-dev')
        if not glob.glob('/usr/lib/*/dpdk/pmds-*/librte_net_vhost.so*'):
            raise Skip('no vhost port for dpdk-testpmd here (package librte-net-vhost23)')
        process = self.start('testpmd.log', 'dpdk-testpmd', '--no-huge', '-m', '256', '--no-pci', '--no-shconf', '--no-telemetry', '--lcores',
                             '0@0,1@0', '--vdev', f'net_vhost0,iface={socket},queues=1', '--', '--no-mlockall', '--total-num-mbufs=2048',
                             '--forward-mode=macswap', '--auto-start', '--port-topology=loop', stdin=subprocess.PIPE,
                             env={**os.environ, 'XDG_RUNTIME_DIR': self.temporary.name})
        return self.listening(process, socket)

    def kennel_disk(self, socket, image):
        return self.listening(self.start('kennel.log', self.kennel, 'vhost-user', 'blk', '--socket-path', socket, '--disk', image), socket)


def same(bench, a, b):
    if bench.read(a) != bench.read(b):
        raise Failure(f'{a} and {b} differ')


def halved(bench, image):
    """What is left of noise when the client has halved it: with a hole in the third quarter."""
    quarter, now, before = os.path.getsize(image) // 4, bench.read(image), random.Random('image').randbytes(16 << 20)
    if now != bytes(quarter) + before[quarter:2 * quarter] + bytes(quarter) + before[3 * quarter:]:
        raise Failure('the disk holds something else')
    if os.stat(image).st_blocks * 512 > 3 * quarter + (64 << 10):
        raise Failure('nothing has become free')


# --- our driver, their device ---------------------------------------------------------------------------------------------


def case_storage_daemon(bench):
    """Our disk driver writes and reads a disk of qemu-storage-daemon's; the image has what was written, by cmp and by qemu-img."""
    need('qemu-img', 'qemu-utils')
    bench.noise('source', 16)
    image, socket = bench.file('image', size=16 << 20), bench.path('socket')
    daemon = bench.storage_daemon(socket, image)
    if not re.match(r'sectors 32768, block size 512', bench.disk(socket, 'info').stdout):
        raise Failure('the disk is not the one exported')
    bench.disk(socket, 'load', bench.path('source'))
    bench.disk(socket, 'dump', bench.path('back'))
    same(bench, 'source', 'back')
    daemon.terminate()
    daemon.wait(PATIENCE)
    same(bench, 'source', 'image')
    bench.run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', bench.path('source'), image)


def case_storage_daemon_ranges(bench):
    """Ranges of a disk of qemu-storage-daemon's that our driver zeroes and frees."""
    image, socket = bench.noise('image', 16), bench.path('socket')
    bench.storage_daemon(socket, image, options=['discard=unmap'])
    bench.disk(socket, 'halve')
    halved(bench, image)


def case_storage_daemon_read_only(bench):
    """A disk that may not be written to says so, and answers a write with an error; the connection goes on."""
    image, socket = bench.noise('image', 1), bench.path('socket')
    bench.storage_daemon(socket, image, writable=False)
    if not bench.disk(socket, 'info').stdout.rstrip().endswith('read-only'):
        raise Failure('not read-only')
    if 'write: ' not in bench.disk(socket, 'load', image, status=1).stderr:
        raise Failure('a write to a read-only disk went well')
    bench.disk(socket, 'dump', bench.path('back'))
    same(bench, 'image', 'back')


def case_storage_daemon_killed(bench):
    """Killed while 32 requests are under way, at random moments: the driver says so in one sentence, and the next one connects."""
    image, socket = bench.noise('image', 4), bench.path('socket')
    dice = random.Random(1)
    for _ in range(10):
        if os.path.exists(socket):
            os.unlink(socket)
        daemon = bench.storage_daemon(socket, image)
        client = subprocess.Popen([bench.disk_client, socket, 'random', '20'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(dice.uniform(0, 0.3))
        daemon.kill()
        daemon.wait()
        out, errors = client.communicate(timeout=10)
        if client.returncode != 1 or out or not re.fullmatch(r'disk-client: .*; .*\n', errors):
            raise Failure(f'status {client.returncode}: {out!r} {errors!r}')


def case_testpmd(bench):
    """Our network driver exchanges frames of all lengths with DPDK's vhost port."""
    socket = bench.path('socket')
    bench.testpmd(socket)
    for _ in range(2):
        bench.run(bench.net_client, socket, '2000')


def case_testpmd_killed(bench):
    """Killed while frames are on their way: the driver says so, and the next one connects."""
    socket = bench.path('socket')
    dice = random.Random(3)
    for _ in range(3):
        port = bench.testpmd(socket)
        client = subprocess.Popen([bench.net_client, socket, 'wait'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(dice.uniform(0, 0.5))
        port.kill()
        port.wait()
        out, errors = client.communicate(timeout=20)
        if client.returncode != 1 or out or not re.fullmatch(r'net-client: .*; .*\n', errors):
            raise Failure(f'status {client.returncode}: {out!r} {errors!r}')


# --- our driver, our device -----------------------------------------------------------------------------------------------


def case_disk(bench):
    """Both ends are ours; the image has what was written. A second front end waits until the first has gone."""
    bench.noise('source', 16)
    image, socket = bench.file('image', size=16 << 20), bench.path('socket')
    server = bench.kennel_disk(socket, image)
    bench.disk(socket, 'load', bench.path('source'))
    first = subprocess.Popen([bench.disk_client, socket, 'random', '1'], stdout=subprocess.PIPE)
    bench.disk(socket, 'dump', bench.path('back'))
    first.communicate(timeout=20)
    if first.returncode:
        raise Failure('the first of two front ends failed')
    same(bench, 'source', 'back')
    same(bench, 'source', 'image')
    server.terminate()
    if server.wait(PATIENCE) or bench.log_of(server):
        raise Failure(f'status {server.returncode}: {bench.log_of(server)}')


def case_disk_ranges(bench):
    image, socket = bench.noise('image', 16), bench.path('socket')
    bench.kennel_disk(socket, image)
    bench.disk(socket, 'halve')
    halved(bench, image)


def case_disk_front_end_killed(bench):
    """Killed with 32 requests under way, at random moments: the device lives, says nothing, and serves the next one."""
    image, socket = bench.noise('image', 4), bench.path('socket')
    server = bench.kennel_disk(socket, image)
    dice = random.Random(4)
    for _ in range(30):
        client = subprocess.Popen([bench.disk_client, socket, 'random', '20'])
        time.sleep(dice.uniform(0, 0.1))
        client.kill()
        client.wait()
    bench.disk(socket, 'dump', bench.path('back'))
    same(bench, 'image', 'back')
    if server.poll() is not None or bench.log_of(server):
        raise Failure(f'status {server.poll()}: {bench.log_of(server)}')


def case_disk_back_end_killed(bench):
    """Killed at random moments, and started again each time: the driver connects again each time, and goes on."""
    image, socket = bench.noise('image', 4), bench.path('socket')
    client = subprocess.Popen([bench.disk_client, socket, 'patient', '6'], stdout=subprocess.PIPE, text=True)
    dice = random.Random(5)
    kills = 0
    while client.poll() is None:
        server = retry(lambda: bench.kennel_disk(socket, image))
        time.sleep(dice.uniform(0.02, 0.3))
        server.kill()
        server.wait()
        kills += 1
    out = client.communicate()[0]
    connections = int(re.match(r'connections (\d+)', out)[1])
    if client.returncode or kills < 10 or connections < kills // 2:
        raise Failure(f'{kills} kills, {out}')


def main(functions, skip):
    """Run the cases among @functions that the command line names behind @skip words; all of them if none."""
    cases = {name.removeprefix('case_'): function for name, function in functions.items() if name.startswith('case_')}
    if sys.argv[1:] == ['--list']:
        return print('\n'.join(cases))
    status = 0
    for name in sys.argv[skip:] or list(cases):
        bench = Bench(sys.argv[1])
        try:
            cases[name](bench)
        except Skip as why:
            print(f'skipped {name}: {why}')
            status = status or 77
        except (Failure, subprocess.TimeoutExpired) as failure:
            print(f'FAIL {name}: {failure}')
            status = 1
        else:
            print(f'ok {name}')
        finally:
            bench.close()
    return status


if __name__ == '__main__':
    sys.exit(main(globals(), skip=2))
