#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pup-boot.py KENNEL PUP [CASE...] - boot pup under kennel in every way that CI can check without a Linux kernel.

Each case is one function; run one by naming it. Output only when something is wrong.
"""
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from kennel_run import Bench, Failure

SELFTESTS = 50   # at least so many `ok` lines; there are a few more
USER_TESTS = 29


def passed(outcome, count):
    """All checks of the guest went well, and they were really made."""
    outcome.ended(0).kept_quiet(r'^FAIL')
    oks = len(re.findall(r'^ok ', outcome.output, re.M))
    if oks < count:
        outcome.fail(f'only {oks} checks, expected {count}')
    return outcome


def case_banner(bench):
    bench.run(run='poweroff').ended(0).said(r'^pup: woof\. An lguest guest with 64 MiB, at ring 1$')


def case_selftest(bench):
    passed(bench.run(run='test,poweroff'), SELFTESTS)


def case_user(bench):
    passed(bench.run(run='user,poweroff'), USER_TESTS)


def case_twice(bench):
    """Address spaces are given back: a second round finds as many pages as the first."""
    outcome = passed(bench.run(run='user,mem,user,mem,poweroff'), 2 * USER_TESTS)
    first, second = re.findall(r'(\d+) KiB free', outcome.output)
    if first != second:
        outcome.fail(f'{first} KiB free after the first run, {second} after the second')


def case_memory_sizes(bench):
    for size, shown in (('16M', 16), ('100M', 100), ('512M', 512), ('1G', 1024), ('2G', 2048)):
        bench.run(run='user,mem,poweroff', memory=size).ended(0).said(rf'with {shown} MiB')


def pattern(sector, size):
    """What `disk check` writes: see fill() in guest/pup/disk.c."""
    words = [((sector + i // 128) * 2654435761 + (i % (65536 // 4)) * 40503) & 0xffffffff for i in range(size // 4)]
    return struct.pack(f'<{len(words)}I', *words)


def case_disk(bench):
    disk = bench.file('disk', size=8 << 20)
    outcome = passed(bench.run('-d', disk, run='disk,disk+check+2,disk+write+16000+wolf,disk+read+16000,poweroff'), 2)
    outcome.said(r'^vda: 16384 sectors').said(r'^000 776f6c66')
    with open(disk, 'rb') as file:
        content = file.read()
    # Each request of 64 KiB starts its word count anew.
    expected = b''.join(pattern(at // 512, 65536) for at in range(0, 2 << 20, 65536))
    if content[:2 << 20] != expected:
        outcome.fail('the image does not hold what the guest wrote')
    if content[16000 * 512:16000 * 512 + 5] != b'wolf\0' or any(content[(2 << 20):16000 * 512]):
        outcome.fail('the image holds something else elsewhere')


def case_disks(bench):
    first, second = bench.file('first', size=1 << 20), bench.file('second', b'kept' + bytes(508), size=2 << 20)
    outcome = bench.run('-d', first, '-d', second + ',ro', run='disk,poweroff').ended(0)
    outcome.said(r'^vda: 2048 sectors').said(r'^vdb: 4096 sectors.*read-only')


def case_disk_read_only(bench):
    disk = bench.file('disk', b'original', size=1 << 20)
    bench.run('-d', disk + ',ro', run='disk+write+0+changed,disk+read+0,poweroff').said(r'^disk: sector 0: error').said(r'^000 6f7269')
    with open(disk, 'rb') as file:
        if file.read(8) != b'original':
            raise Failure('a read-only image was written to')


def case_rng(bench):
    runs = [passed(bench.run(run='rng,rng,poweroff'), 2).output for _ in range(2)]
    bytes_seen = re.findall(r'^rng: ([0-9a-f]{64})$', ''.join(runs), re.M)
    if len(set(bytes_seen)) != 4:
        raise Failure(f'entropy repeats itself: {bytes_seen}')


def case_ping(bench):
    passed(bench.run(run='ping,poweroff', net='user'), 1)


def case_no_devices(bench):
    bench.run('-c', 'none', run='poweroff').ended(0)


def case_typing(bench):
    """Commands through a pipe; the echo and the answers come back through another."""
    bench.run(typed=b'echo hello there\nnonsense\npoweroff\n').ended(0).said(r'^hello there$').said(r'nonsense: no such command')


def case_no_reboot(bench):
    outcome = bench.run('--no-reboot', run='reboot').ended(0)
    if outcome.output.count('pup: woof') != 1:
        outcome.fail('the guest started again')


def case_panic(bench):
    bench.run(run='crash+panic').ended(2).said(r'as was asked for', 'errors')


def case_failed_check(bench):
    """A guest whose checks failed must not look like one that powered off."""
    bench.run(run='disk+check,poweroff').ended(2).said(r'^FAIL disk-present')


def case_timeout(bench):
    for commands in ('spin', 'sleep+60'):
        outcome = bench.run(run=commands, timeout=1).ended(124)
        if not 0.9 < outcome.seconds < 5:
            outcome.fail('the timeout of one second was not kept')


def case_idle(bench):
    """
    A sleeping guest uses no processor: under 1 % of a core, start and end not counted. What these cost is not the same each time where
    the host is busy, and more than that by itself: one pair of runs out of three must show it.
    """
    for _ in range(3):
        base = bench.run(run='sleep+1,poweroff').ended(0)
        outcome = bench.run(run='sleep+5,poweroff').ended(0)
        if outcome.seconds < 4.9:
            outcome.fail('five seconds passed too quickly')
        if outcome.cpu - base.cpu <= 0.04:
            return
    outcome.fail(f'four seconds of sleep cost {outcome.cpu - base.cpu:.3f} s of processor time')


# What ends the guest, and a word of the sentence that must say so.
CRASHES = {
    'hypercall': r'hypercall.* 99',
    'hypercall-in-ring': r'hypercall.* 98',
    'second-init': r'LGUEST_INIT',
    'shutdown-outside': r'0xfff00000',
    'tls-outside': r'0xfff00000',
    'tls-wraps': r'0xfffffff0',
    'directory-outside': r'0xfff00000',
    'idt-type': r'gate type 5',
    'idt-vector': r'vector 256',
    'gdt-slot': r'slot 32',
    'stack-ring': r'0x7b',
    'stack-pages': r'3 pages',
    'stack-absent': r'stack',
    'notify-outside': r'0xfff00000',
    'pte-frame': r'0xfff00063',
    'pgd-frame': r'0xfff00063',
    'pgd-index': r'5000',
    'trap-without-gate': r'trap 6',
    'no-stack': r'stack.*trap 6',
    'gate-absent': r'trap 14',
}


def case_crash(bench):
    for kind, sentence in CRASHES.items():
        outcome = bench.run(run=f'crash+{kind},poweroff', timeout=20).ended(2).said(sentence, 'errors').said(r'EIP 0x', 'errors')
        if outcome.errors.count('\n') > 3:
            outcome.fail('more than a sentence')


def case_broken_rings(bench):
    """A broken ring ends its device, which is said once; the guest goes on, and its other devices work."""
    for kind in ('loop', 'address', 'length', 'next', 'head', 'count'):
        outcome = bench.run(run=f'crash+ring-{kind},ping,poweroff', net='user', timeout=20)
        passed(outcome, 2)
        outcome.said(r"^kennel: warning: the guest's rng device stops until its driver resets it: ", 'errors')
        if outcome.errors.count('stops until') != 1:
            outcome.fail('said more than once')


def case_all_crashes_known(bench):
    """No kind of crash without a test."""
    outcome = bench.run(run='crash,poweroff').ended(0)
    kinds = set(re.search(r'^pup> crash\n((?:[a-z -]+\n)+)', outcome.output, re.M)[1].split())
    known = set(CRASHES) | {'panic'} | {f'ring-{k}' for k in ('loop', 'address', 'length', 'next', 'head', 'count')}
    if kinds != known:
        outcome.fail(f'untested: {kinds - known}, unknown: {known - kinds}')


class Terminal:
    """kennel on a terminal of its own."""

    def __init__(self, bench, *options, parameters=()):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(bench.command(*options, parameters=parameters), stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, start_new_session=True)
        self.seen = ''

    def expect(self, text, seconds=20):
        """Wait for a text; returns what came before it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                self.process.kill()
                raise Failure(f'{text!r} did not appear; seen: {self.seen!r}')
            self.seen += os.read(self.master, 4096).decode(errors='replace')
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, status):
        try:
            got = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure('kennel did not end') from None
        if status is not None and got != status:
            raise Failure(f'status {got}, expected {status}; seen: {self.seen!r}')
        if termios.tcgetattr(self.slave) != self.before:
            raise Failure('the terminal was not put back as it was')
        os.close(self.master)
        os.close(self.slave)


def case_terminal(bench):
    """Typing at it, and every way out leaves the terminal as it was."""
    terminal = Terminal(bench)
    terminal.expect('pup> ')
    terminal.type('mex\x7fm\r')
    terminal.expect('KiB free')
    terminal.type('poweroff\r')
    terminal.end(0)

    terminal = Terminal(bench)
    terminal.expect('pup> ')
    terminal.type('crash panic\r')
    terminal.end(2)

    terminal = Terminal(bench)
    terminal.expect('pup> ')
    terminal.type('\x01x')
    terminal.end(None)

    terminal = Terminal(bench, parameters=['run=spin'])
    terminal.expect('spin')
    terminal.process.send_signal(signal.SIGTERM)
    terminal.end(None)


def case_restart(bench):
    """After a restart the devices work again. (What was typed before it is gone with the guest that read it.)"""
    disk = bench.file('disk', size=1 << 20)
    terminal = Terminal(bench, '-d', disk, '-n', 'user')
    for last in (False, False, True):
        terminal.expect('pup> ')
        for command in ('disk check', 'ping', 'rng', 'user', 'test'):
            terminal.type(command + '\r')
            shown = terminal.expect('pup> ')
            if 'FAIL' in shown or 'ok ' not in shown:
                raise Failure(f'{command}: {shown}')
        terminal.type('poweroff\r' if last else 'reboot\r')
    terminal.end(0)


def case_interrupts_under_load(bench):
    """The timer reaches a guest that computes while a disk and a network card are busy: nothing hangs in a hundred rounds."""
    disk = bench.file('disk', size=4 << 20)
    commands = ','.join(['disk+check+1', 'ping+10.0.2.2+1', 'user'] * 10)
    bench.run('-d', disk, run=f'{commands},poweroff', net='user').ended(0).kept_quiet('^FAIL')


def main():
    cases = {name.removeprefix('case_'): function for name, function in globals().items() if name.startswith('case_')}
    if sys.argv[1:] == ['--list']:
        return print('\n'.join(cases))
    names = sys.argv[3:] or list(cases)
    failures = 0
    for name in names:
        try:
            cases[name](Bench(sys.argv[1], sys.argv[2]))
        except Failure as failure:
            print(f'FAIL {name}: {failure}')
            failures += 1
        else:
            print(f'ok {name}')
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
