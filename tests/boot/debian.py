#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debian.py KENNEL FOLDER FLAVOUR SCENARIO [NAME...] - Debian's own i386 kernels on the PC, from the archive, unmodified.

FLAVOUR is 686 or 686-pae. FOLDER keeps kernel and initial RAM disk from one test to the next: those of the guest "debian" (or
"debian-pae") if `kennel run` has ever fetched it, else fetched now. Without an archive all of this is skipped. What is in the guest
besides is one busybox and the script debian-inside.

A scenario is a list of subtests, told in TAP: "inside" is one boot with everything attached, in which debian-inside checks one
thing after the other; in the other two each subtest is a boot of its own: "ends" (how guests end), "trouble" (what happens on
the host while they run). Names choose some of the subtests.
"""
import fcntl
import hashlib
import http.server
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from kennel_run import Bench, Failure

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'bench'))

from beside import beside_ram  # noqa: E402
from fetched import fetched  # noqa: E402

FETCH_SECONDS = 300     # for all archives together
FORGET_SECONDS = 600    # an archive that could not be reached is left alone for so long
MIB = 1 << 20
# Where ordinary users have no tools for file systems.
TOOLS = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}


class Skipped(Exception):
    pass


# --- the kernel -----------------------------------------------------------------------------------------------------------


def archives():
    """Options for `kennel fetch`: its own archive, then those that this host takes its packages from."""
    yield []
    if not shutil.which('apt-get'):
        return
    command = ['apt-get', 'indextargets', '--format', '$(ORIGIN) $(CODENAME) $(REPO_URI)', 'Created-By: Packages']
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    mirrors = {line.split()[2].rstrip('/') for line in lines if line.startswith('Debian bookworm http')}
    for mirror in sorted(mirrors - {'http://deb.debian.org/debian'}):
        yield ['--mirror', mirror]


def fetch(kennel, flavour, to):
    """Fill a folder. Whoever hangs is ended together with what he started."""
    said, end = '', time.monotonic() + FETCH_SECONDS
    for options in archives():
        command = [kennel, 'fetch', 'debian', '--no-root', '--kernel', flavour, '--to', to, *options]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 start_new_session=True)
        try:
            said = child.communicate(timeout=max(end - time.monotonic(), 1))[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)
            raise Skipped(f'the archive did not answer within {FETCH_SECONDS} s') from None
        if not child.returncode:
            return
    raise Skipped((said.strip().splitlines() or ['kennel fetch failed'])[-1])


def fetch_once(kennel, flavour, to, note):
    """fetch(), unless that went wrong a moment ago, which is said in a file."""
    if os.path.exists(note) and time.time() - os.path.getmtime(note) < FORGET_SECONDS:
        with open(note, encoding='utf-8') as file:
            raise Skipped(file.read())
    try:
        fetch(kennel, flavour, to)
    except Skipped as reason:
        with open(note, 'w', encoding='utf-8') as file:
            file.write(str(reason))
        raise


def fill(kennel, flavour, folder, note):
    """busybox comes last: where it is, the folder is complete."""
    have = fetched('debian' + flavour.removeprefix('686'))
    if not have:
        have = os.path.join(folder, 'fetched')
        fetch_once(kennel, flavour, have, note)
    for name in 'vmlinuz', 'initrd.img':
        shutil.copy(os.path.join(have, name), folder)
    busybox = os.path.join(folder, 'busybox')
    with open(os.path.join(folder, 'initrd.img'), 'rb') as initrd, open(busybox + '.part', 'wb') as part:
        subprocess.run(['cpio', '-i', '--quiet', '--to-stdout', 'bin/busybox'], stdin=initrd, stdout=part, check=True)
        os.fchmod(part.fileno(), 0o755)
    os.rename(busybox + '.part', busybox)


def complete(folder, name, lock, fill_it):
    """The folder of that name in another one, filled if it is not; busybox came last. Several tests may come here at once."""
    own = os.path.join(folder, name)
    os.makedirs(own, exist_ok=True)
    with open(os.path.join(folder, lock), 'w', encoding='ascii') as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(own, 'busybox')):
            fill_it(own)
    return own


def prepare(kennel, folder, flavour):
    """Kernel, initial RAM disk and busybox are in a folder when this returns its name."""
    return complete(folder, flavour, 'lock', lambda own: fill(kennel, flavour, own, os.path.join(folder, 'missing')))


# --- what the guest finds outside -----------------------------------------------------------------------------------------


def guest_memory(pid):
    """How much of the host's memory a guest has, in KiB: the file that its RAM is."""
    files = [f'/proc/{pid}/fd/{number}' for number in os.listdir(f'/proc/{pid}/fd')]
    return max(os.stat(file).st_blocks // 2 for file in files if os.readlink(file).startswith('/memfd:'))


def cpu_time(pid):
    """Of all threads so far, in milliseconds."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as stat:
        fields = stat.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf('SC_CLK_TCK')


class Web(http.server.ThreadingHTTPServer):
    """A web server on the loopback, which the guest sees at 10.0.2.2: how it asks the host for something."""

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Answers)
        self.data = os.urandom(4 * MIB)
        self.process = None         # kennel
        self.forwarded = None       # a port of the host that leads to the guest
        self.actions = {}           # things to do to the host, by name
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, name):
        if name == 'time':
            return f'{time.time():.2f}'
        if name == 'data':
            return self.data
        if name == 'data-sum':
            return hashlib.sha256(self.data).hexdigest()
        if name == 'memory':
            return str(guest_memory(self.process.pid))
        if name == 'memory-beside':
            return str(beside_ram(self.process.pid))
        if name == 'cpu-time':
            return str(cpu_time(self.process.pid))
        if name == 'call-back':
            with socket.create_connection(('127.0.0.1', self.forwarded), timeout=10) as connection:
                return connection.makefile('rb').read()
        return self.actions[name]() or 'done'


class Answers(http.server.BaseHTTPRequestHandler):
    def reply(self, body):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(self.server.answer(self.path.strip('/')))

    def do_POST(self):
        self.reply(hashlib.sha256(self.rfile.read(int(self.headers['Content-Length']))).hexdigest())

    def log_message(self, *_):
        pass


class Guest(Bench):
    """A Debian, with a root of its own on the first disk."""

    def __init__(self, kennel, folder):
        super().__init__(kennel, os.path.join(folder, 'vmlinuz'))
        self.folder = folder
        self.web = Web()
        tree = self.path('tree')
        for name in 'bin', 'dev', 'proc', 'sys':
            os.makedirs(os.path.join(tree, name))
        shutil.copy(os.path.join(folder, 'busybox'), os.path.join(tree, 'bin'))
        os.symlink('busybox', os.path.join(tree, 'bin', 'sh'))
        shutil.copy(os.path.join(HERE, 'debian-inside'), os.path.join(tree, 'inside'))
        os.chmod(os.path.join(tree, 'inside'), 0o755)
        self.root = self.image('root.img', 32, tree)

    def image(self, name, mebibytes, tree):
        """An ext4 image with the files of a directory."""
        path = self.file(name, size=mebibytes * MIB)
        subprocess.run(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', tree, path], check=True, capture_output=True, env=TOOLS)
        return path

    def boot(self, what, *options, parameters=(), console='ttyS0', limit=None, **more):
        """Start the guest and do one thing of debian-inside in it; how it ended. limit: for the size of the host's files."""
        parameters = [*parameters, f'console={console}', 'quiet', 'root=/dev/vda', 'rw', 'init=/inside', f'run={what}',
                      f'web=10.0.2.2:{self.web.server_port}']
        base = ['--machine', 'pc', '-i', os.path.join(self.folder, 'initrd.img'), '-d', self.root]

        def before():
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        def started(process):
            self.web.process = process

        return self.run(*base, *options, parameters=parameters, memory='192M', started=started, before=before, **more)


# --- inside ---------------------------------------------------------------------------------------------------------------


def checks():
    """The names in debian-inside, in order."""
    with open(os.path.join(HERE, 'debian-inside'), encoding='ascii') as script:
        return [line[len('check_'):line.index('(')] for line in script if line.startswith('check_')]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def lay_out_shares(guest):
    """What is shared lies in one directory, a secret beside it."""
    host, fixed = guest.path('shared/host'), guest.path('shared/only-read')
    os.makedirs(os.path.join(host, 'many'))
    os.makedirs(fixed)
    guest.file('shared/secret', b'secret')
    guest.file('shared/host/big', big := os.urandom(6 * MIB))
    guest.file('shared/host/big.sum', hashlib.sha256(big).hexdigest().encode() + b'\n')
    guest.file('shared/only-read/greeting', b'a greeting from the host\n')
    for i in range(500):
        guest.file(f'shared/host/many/{i}')
    os.symlink('../secret', os.path.join(host, 'up'))
    os.symlink(guest.path('shared/secret'), os.path.join(host, 'absolute'))
    return host, fixed


def sum_of(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_clean(image):
    """After the journal has been replayed, which is what 1 means."""
    return subprocess.run(['e2fsck', '-f', '-p', image], capture_output=True, check=False, env=TOOLS).returncode in (0, 1)


def what_is_left(guest, host):
    """After the guest has gone: what it said that it wrote is in the files of the host. Names of subtests and whether they hold."""
    empty = guest.path('empty.img')

    def read(name):
        with open(os.path.join(host, name), encoding='ascii') as file:
            return file.read().strip()

    def on_disk():
        subprocess.run(['debugfs', '-R', f'dump /data {guest.path("data")}', empty], check=True, capture_output=True, env=TOOLS)
        return sum_of(guest.path('data')) == read('disk-sum')

    yield 'disk as the host sees it', on_disk
    yield 'root file system is clean', lambda: is_clean(guest.root)
    yield 'share as the host sees it', lambda: sum_of(os.path.join(host, 'written')) == read('written.sum')
    yield 'the secret is still one', lambda: sum_of(guest.path('shared/secret')) == hashlib.sha256(b'secret').hexdigest()


def send_back(path):
    """Connect to a socket, and send back what comes, until the other end closes."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)

    def echo():
        while data := connection.recv(1 << 16):
            connection.sendall(data)

    threading.Thread(target=echo, daemon=True).start()


def inside(guest, names, report):
    names = names or checks()
    host, fixed = lay_out_shares(guest)
    os.makedirs(guest.path('fixed'))
    guest.file('fixed/greeting', b'a greeting from the host\n')
    guest.web.forwarded = free_port()
    disks = guest.file('empty.img', size=64 * MIB + 512), guest.image('fixed.img', 8, guest.path('fixed')) + ',ro', guest.file('freed', size=32 * MIB)
    guest.web.actions['freed-disk'] = lambda: str(os.stat(disks[2]).st_blocks // 2)
    guest.web.actions['port-connect'] = lambda: send_back(guest.path('agent'))
    outcome = guest.boot('checks', *[option for disk in disks for option in ('-d', disk)], '--share', f'host={host}',
                         '--share', f'only-read={fixed},ro', '--port', f'org.example.agent={guest.path("agent")}',
                         parameters=[f'checks={",".join(names)}'], net=f'user,hostfwd=tcp:{guest.web.forwarded}:4000', timeout=400)
    said = []
    for line in outcome.output.splitlines():
        word, _, name = line.partition(' ')
        if word in ('ok', 'FAILED') and name in names:
            report(name, word == 'ok', '\n'.join(said))
            said = []
        else:
            said.append(line)
    report('power off', outcome.status == 0, '\n'.join(said[-100:]) + f'\nstatus {outcome.status}: {outcome.errors}')
    for name in names:
        if name not in report.names:
            report(name, False, 'the guest did not come to it')
    for name, holds in what_is_left(guest, host) if names == checks() else ():
        try:
            report(name, holds())
        except (OSError, subprocess.CalledProcessError) as error:
            report(name, False, error)


# --- ends -----------------------------------------------------------------------------------------------------------------


def end_reboot(guest):
    outcome = guest.boot('reboots', '-d', guest.file('disk', size=MIB)).ended(0).said('first start').said('second start')
    if outcome.output.count('first start') != 1:
        outcome.fail('it started again and again')


def end_no_reboot(guest):
    guest.boot('reboots', '--no-reboot', '-d', guest.file('disk', size=MIB)).ended(0).said('first start').kept_quiet('second start')


def end_panic(guest):
    guest.boot('panic').ended(2).said('about to panic').said(r'^kennel: the guest crashed: Kernel panic - not syncing: sysrq', 'errors')


def end_panic_unseen(guest):
    """Without a console, its last words are all there is."""
    guest.boot('panic', '-c', 'none').ended(2).said('Kernel Offset', 'errors').said('the guest crashed: Kernel panic', 'errors')


def end_panic_on_hvc0(guest):
    guest.boot('panic', console='hvc0').ended(2).said('about to panic').said('the guest crashed: Kernel panic', 'errors')


def end_of_init(guest):
    guest.boot('exit_of_init').ended(2).said('the guest crashed: .*Attempted to kill init!', 'errors')


def end_halt(guest):
    guest.boot('halt_of_guest').ended(0).said('^kennel: the guest halted$', 'errors')


def end_with_parameters(guest):
    """Parameters with which people look for trouble. All of them boot, and switch off."""
    for word in ('nosmp', 'noapic', 'nolapic', 'pci=conf1', 'pci=nomsi', 'acpi=noirq', 'clocksource=pit', 'clocksource=acpi_pm', 'clocksource=jiffies',
                 'no-kvmclock', 'nopv', 'notsc', 'nokaslr', 'maxcpus=1', 'idle=poll', 'nohz=off', 'threadirqs', 'irqpoll', 'mitigations=auto,nosmt',
                 'debug_pagealloc=on', 'swiotlb=force', 'mem=128M', 'vmalloc=64M', 'preempt=full'):
        guest.boot('leave', '--no-reboot', parameters=[word], timeout=60).ended(0).kept_quiet('^FAILED|Kernel panic|BUG:|WARNING:|isapnp')


def end_timeout(guest):
    outcome = guest.boot('hang', timeout=5).ended(124).said('did not end within 5 seconds', 'errors')
    if outcome.seconds > 20:
        outcome.fail('it took too long')


# --- trouble --------------------------------------------------------------------------------------------------------------


def trouble_full_disk(guest):
    """A limit for file sizes stands for a full file system: what is written behind it is refused by the host."""
    outcome = guest.boot('full_disk', '-d', guest.file('large', size=300 * MIB), limit=256 * MIB).ended(0)
    outcome.said('^the beginning can still be written$').kept_quiet('^FAILED').said('^[1-9][0-9]*$')


def trouble_short_disk(guest):
    """Somebody truncates an image that is in use."""
    path = guest.file('disk', size=64 * MIB)
    guest.web.actions['shorten'] = lambda: os.truncate(path, 8 * MIB)
    guest.boot('short_disk', '-d', path, net='user').ended(0).said('^read before$').said('^goes on$').kept_quiet('^FAILED')


def trouble_lost_share(guest):
    """A shared directory is removed while the guest uses it. A file that is open lives on, as it does on any Unix."""
    share = guest.path('share')
    os.makedirs(os.path.join(share, 'folder'))
    guest.file('share/open', b'first line\nlast line\n')
    guest.file('share/other')
    guest.web.actions['remove'] = lambda: shutil.rmtree(share)
    outcome = guest.boot('lost_share', '--share', f'host={share}', net='user').ended(0)
    outcome.said('^first line$').said('^goes on$').kept_quiet('^FAILED')
    if os.path.exists(share):
        outcome.fail('the directory has come back')


# --- all of it ------------------------------------------------------------------------------------------------------------


class Report:
    """TAP, one line for each subtest; what is to say about those that failed goes to stderr, which Meson shows."""

    def __init__(self):
        self.names = []

    def __call__(self, name, good, detail=''):
        self.names.append(name)
        name = name.replace('_', ' ')
        print(f'{"" if good else "not "}ok {len(self.names)} - {name}')
        if not good:
            print(f'{name}: {detail}', file=sys.stderr)


def main(kennel, folder, flavour, scenario, *names):
    report = Report()
    try:
        folder = prepare(os.path.abspath(kennel), folder, flavour)
    except Skipped as reason:
        print(f'1..0 # SKIP no kernel from Debian: {reason}')
        return
    if scenario == 'inside':
        inside(Guest(kennel, folder), names, report)
    prefix = scenario.removesuffix('s') + '_'
    for name, case in [(name, case) for name, case in globals().items() if name.startswith(prefix)]:
        if names and name not in names:
            continue
        try:
            case(Guest(kennel, folder))
        except Failure as failure:
            report(name, False, failure)
        else:
            report(name, True)
    print(f'1..{len(report.names)}')


if __name__ == '__main__':
    main(*sys.argv[1:])
