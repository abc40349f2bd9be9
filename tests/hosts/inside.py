#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""inside.py HOST BUILD GUEST [SIGN...] - what is looked at on each kind of host, from inside; told in TAP.

BUILD has the programs; GUEST what guest.py has made of Debian's kernel. A SIGN is a property by which the host is known: that it
is there comes first, because a sandbox that is none proves nothing.

pup boots to its shell and runs its tests. Debian's kernel boots to a login, where somebody logs in and switches off; the same
files boot in QEMU, without hardware help and in the same sandbox, and must take longer.
"""
import ctypes
import errno
import os
import re
import resource
import shutil
import subprocess
import sys
import time

from console import Console
from guest import MEMORY, parameters
from tap import Report

HERE = os.path.dirname(os.path.abspath(__file__))
PUP_BOOT = os.path.join(HERE, '..', 'boot', 'pup-boot.py')
# Those of pup's tests that show what a host may lack: signals, mappings, files, threads, sockets, terminals, timers.
PUP_CASES = ['banner', 'selftest', 'user', 'twice', 'disk', 'rng', 'ping', 'typing', 'terminal', 'restart', 'timeout', 'panic']
PUP_TRIES = 3
LOGIN_SECONDS = 240
TMP = '/tmp'


# --- signs of a host ------------------------------------------------------------------------------------------------------


def status(field):
    with open('/proc/self/status', encoding='ascii') as file:
        return re.search(rf'^{field}:\s*(.*)$', file.read(), re.M)[1]


def call(number, *arguments):
    """The errno with which a system call fails, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.syscall(number, *arguments) < 0 else 0


def sign_gvisor():
    """It answers as no Linux does: the GS base cannot be asked for."""
    arch_prctl, get_gs = 158, 0x1004
    return call(arch_prctl, get_gs, ctypes.byref(ctypes.c_ulong())) == errno.EINVAL


def sign_ordinary_user():
    return os.getuid() and os.geteuid()


def sign_no_capabilities():
    return all(int(status(field), 16) == 0 for field in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd'))


def sign_no_new_privileges():
    return status('NoNewPrivs') == '1'


def sign_seccomp():
    return status('Seccomp') == '2'


def sign_no_io_uring():
    io_uring_setup = 425
    return call(io_uring_setup, 8, (ctypes.c_char * 256)()) == errno.EPERM


def sign_read_only_root():
    return bool(os.statvfs('/').f_flag & os.ST_RDONLY)


def sign_noexec_tmp():
    return bool(os.statvfs(TMP).f_flag & os.ST_NOEXEC)


def sign_few_processes():
    return resource.getrlimit(resource.RLIMIT_NPROC) == (64, 64)


# --- pup ------------------------------------------------------------------------------------------------------------------


def boot_pup(report, build):
    """Some of pup's checks give a timer a few milliseconds, and a sandbox on a busy machine is late by more: such a case gets other tries."""
    kennel, pup = os.path.join(build, 'kennel'), os.path.join(build, 'guest', 'pup', 'pup')
    for case in PUP_CASES:
        start, tries, good = time.monotonic(), 0, False
        while not good and tries < PUP_TRIES:
            outcome = subprocess.run([sys.executable, PUP_BOOT, kennel, pup, case], capture_output=True, text=True, check=False)
            good = outcome.returncode == 0
            tries += 1
            if not good and tries < PUP_TRIES:
                report.say(f'{case}, try {tries}: ' + ', '.join(re.findall(r'^FAIL (.*)', outcome.stdout, re.M)))
        report(f'pup {case}', good, outcome.stdout + outcome.stderr)
        report.say(f'{time.monotonic() - start:.1f} s')


# --- Debian ---------------------------------------------------------------------------------------------------------------


def log_in(report, name, command):
    """Boot, log in, switch off. The seconds to the login, or None."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    console = Console(process, LOGIN_SECONDS)
    seconds = console.log_in('root', b'# ', 'uname -m; poweroff -f')
    if not seconds:
        process.kill()
    status = console.end()
    good = bool(seconds) and status == 0 and '\ni686' in console.text()
    report(name, good, f'status {status}\n{console.text()}')
    return seconds if good else None


def boot_debian(report, build, guest):
    kernel, initrd, root = (os.path.join(guest, name) for name in ('vmlinuz', 'initrd.img', 'root.img'))
    append = ' '.join(parameters())
    kennel = log_in(report, 'Debian to a login', [
        os.path.join(build, 'kennel'), 'run', '-m', MEMORY, '-n', 'none', '--timeout', str(LOGIN_SECONDS + 60), '-i', initrd, '-d', root + ',ro',
        kernel, '--', append])
    program = shutil.which('qemu-system-i386')
    if not program:
        report.without('Debian, ahead of QEMU', 'qemu-system-i386 is not installed')
        return
    qemu = log_in(report, 'Debian to a login in QEMU', [
        program, '-accel', 'tcg', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-m', MEMORY,
        '-kernel', kernel, '-initrd', initrd, '-append', append, '-drive', f'file={root},format=raw,if=virtio,readonly=on'])
    shown = [f'{seconds:.1f} s' if seconds else 'never' for seconds in (kennel, qemu)]
    report(f'Debian to a login: Kennel {shown[0]}, QEMU TCG {shown[1]}', bool(kennel and qemu and kennel < qemu))


def main(host, build, guest, *signs):
    report = Report(host)
    for sign in signs:
        report(f'the host has {sign.replace("_", " ")}', globals()['sign_' + sign]())
    boot_pup(report, build)
    boot_debian(report, build, guest)
    return report.end()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
