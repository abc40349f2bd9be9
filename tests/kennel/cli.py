#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cli.py KENNEL PUP - what the command says to people who ask for something that cannot be had.

Every refusal is one sentence on stderr that names the thing and the reason, and status 1; nothing else is printed.
"""
import gzip
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

KENNEL, PUP = sys.argv[1:3]
failures = []


def kennel(*args, timeout=60, **more):
    return subprocess.run([KENNEL, *args], capture_output=True, text=True, errors='replace', timeout=timeout, stdin=subprocess.DEVNULL, **more)


def check(name, condition, detail=''):
    print(('ok      ' if condition else 'FAILED  ') + name)
    if not condition:
        failures.append(name)
        print('        ' + str(detail))


def refused(name, pattern, *args, **more):
    r = kennel(*args, **more)
    lines = r.stderr.splitlines()
    good = r.returncode == 1 and len(lines) == 1 and re.search(pattern, lines[0]) and lines[0].startswith('kennel: ') and not r.stdout
    check(name, good, (r.returncode, r.stdout, r.stderr, pattern))


def run_refused(name, pattern, *args, **more):
    refused(name, pattern, 'run', '--timeout', '20', '--net', 'none', *args, **more)


def elf(bits=32, machine=3, paddr=0x100000, memsz=0x1000, filesz=0x100, text=b'\0lguest\0'):
    header = struct.pack('<4sBBB9xHHIIIIIHHHHHH', b'\x7fELF', bits // 32, 1, 1, 2, machine, 1, paddr, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack('<IIIIIIII', 1, 0x100, paddr, paddr, filesz, memsz, 7, 4096)
    return (header + segment).ljust(0x100, b'\0') + text.ljust(filesz, b'\xf4')


def bzimage(payload, protocol=0x20c, xloadflags=0):
    image = bytearray(1024) + payload + b'\0' * (-len(payload) % 16)
    struct.pack_into('<B', image, 0x1f1, 1)
    struct.pack_into('<I', image, 0x1f4, (len(image) - 1024) // 16)
    struct.pack_into('<H', image, 0x1fe, 0xaa55)
    struct.pack_into('<4sH', image, 0x202, b'HdrS', protocol)
    struct.pack_into('<B', image, 0x211, 1)
    struct.pack_into('<H', image, 0x236, xloadflags)
    struct.pack_into('<II', image, 0x248, 0, len(payload))
    return bytes(image)


def kernels(tmp):
    def file(name, data):
        path = os.path.join(tmp, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    run_refused('an interrupt too many', r'no room for another', *[w for i in range(20) for w in ('-d', file(f'disk{i}', b'x' * 512))],
                *[w for i in range(7) for w in ('-n', 'user')], PUP)
    run_refused('no such kernel', r'/nonexistent: cannot open the kernel: No such file', '/nonexistent')
    run_refused('directory', f'{tmp}: is a directory', tmp)
    run_refused('device', r'/dev/null: is not a regular file', '/dev/null')
    run_refused('text', r'text: is not a kernel', file('text', b'#!/bin/sh\n' * 200))
    run_refused('empty', r'empty: is empty', file('empty', b''))
    run_refused('64-bit vmlinux', r'elf64: is a 64-bit kernel', file('elf64', elf(bits=64)))
    run_refused('64-bit bzImage', r'bz64: is a 64-bit kernel', file('bz64', bzimage(b'x' * 64, xloadflags=1)))
    run_refused('ARM', r'arm: is an ELF file for another processor', file('arm', elf(machine=40)))
    run_refused('truncated vmlinux', r'cut: is truncated', file('cut', elf()[:300]))
    run_refused('truncated bzImage', r'bzcut: is truncated', file('bzcut', bzimage(b'x' * 4096)[:3000]))
    run_refused('damaged bzImage', r'bad: is damaged: its gzip payload', file('bad', bzimage(b'\x1f\x8b' + b'x' * 58 + b'\0\1\0\0')))
    run_refused('segments outside memory', r'far: has its segments outside memory', file('far', elf(paddr=0xc0000000)))
    run_refused('too little memory for its beginning', r'behind: too little memory: .* at least 129M, the guest has 64M',
                '-m', '64M', file('behind', elf(paddr=128 << 20)))
    run_refused('too little memory', r'big: too little memory: .* at least 129M, the guest has 64M',
                '-m', '64M', file('big', elf(memsz=128 << 20)))
    run_refused('no lguest support', r'other: has no lguest guest support', '--machine', 'lguest', file('other', elf(text=b'KVM')))
    run_refused('below 1M', r'low: has a segment at 0x8000, where a PC has no memory', file('low', elf(text=b'KVM', paddr=0x8000)))
    run_refused('unreadable kernel', r'secret: cannot open the kernel: Permission denied',
                unreadable(file('secret', elf()))) if os.getuid() else None
    run_refused('initrd missing', r'/nonexistent: cannot open the initrd', '-i', '/nonexistent', PUP)
    run_refused('initrd too large', r'large: the initrd does not fit', '-m', '32M', '-i', file('large', b'x' * (40 << 20)), PUP)
    run_refused('initrd empty', r'empty: is empty', '-i', os.path.join(tmp, 'empty'), PUP)


def pc_kernels(tmp):
    """Which kernels the PC takes it finds out by itself."""
    def file(name, data):
        path = os.path.join(tmp, name)
        with open(path, 'wb') as f:
            f.write(data)
        return path

    pc = ['--machine', 'pc']
    kernel = file('plain', elf(text=b'KVM'))
    payload = gzip.compress(elf(text=b'KVM' * 1000))
    whole = bzimage(payload + struct.pack('<I', len(elf(text=b'KVM' * 1000))))
    run_refused('pc: 64-bit vmlinux', r'elf64: is a 64-bit kernel', *pc, file('elf64', elf(bits=64)))
    run_refused('pc: 64-bit bzImage', r'bz64: is a 64-bit kernel', *pc, file('bz64', bzimage(payload, xloadflags=1)))
    for size in 1, 512, 1000, 1024, 1100, len(whole) - 32:
        run_refused(f'pc: {size} bytes of a bzImage', r'cut: is (truncated|not a kernel|damaged)', *pc, file('cut', whole[:size]))
    run_refused('pc: initrd too large', r'large: the initrd does not fit', *pc, '-m', '32M', '-i', file('large', b'x' * (40 << 20)), kernel)
    run_refused('pc: initrd as large as memory', r'large: the initrd does not fit', *pc, '-m', '40M', '-i', os.path.join(tmp, 'large'), kernel)
    run_refused('pc: initrd a directory', re.escape(tmp), *pc, '-i', tmp, kernel)
    run_refused('pc: too little memory', r'big: too little memory', *pc, '-m', '16M', file('big', elf(memsz=20 << 20)))
    run_refused('pc: command line too long', r'command line is too long', *pc, kernel, '--', 'x' * 3000)
    run_refused('pc: a window too many', r'no room for another|at most', *pc, *[w for i in range(22) for w in ('-d', file(f'disk{i}', b'x' * 512))],
                *[w for i in range(7) for w in ('-n', 'user')], '--share', f's={tmp}', kernel)
    run_refused('pc: share missing', r'/nonexistent: No such file', *pc, '--share', 'x=/nonexistent', kernel)
    run_refused('pc: share of a file', r'plain: is not a directory', *pc, '--share', f'x={kernel}', kernel)
    run_refused('pc: too many devices', r'at most 31', *pc, *[w for i in range(26) for w in ('-d', file(f'disk{i}', b'x' * 512))],
                *[w for i in range(8) for w in ('--share', f's{i}={tmp}')], kernel)


def unreadable(path):
    os.chmod(path, 0)
    return path


def command_lines():
    run_refused('command line too long', r'command line is too long: 3000 bytes', PUP, '--', 'x' * 3000)
    run_refused('mem=', r'"mem=64M"', PUP, '--', 'quiet', 'mem=64M')
    run_refused('memmap=', r'"memmap=', PUP, '--', 'memmap=1M@3M')


def options():
    run_refused('unknown option', r'unknown option --frobnicate', '--frobnicate', PUP)
    run_refused('unknown letter', r'unknown option -z', '-z', PUP)
    run_refused('missing value', r'option --memory needs a value', PUP, '--memory')
    run_refused('value to a flag', r'unknown option --no-reboot=1|--no-reboot', '--no-reboot=1', PUP)
    run_refused('no kernel', r'no kernel given')
    run_refused('two kernels', r'"two" is one argument too many', PUP, 'two')
    for size in 'lots', '-5M', '1T', '99999999G', '1.5G', '', '3K':
        run_refused(f'memory {size!r}', r'--memory .*is not a size', '-m', size, PUP)
    for size in '0', '64K', '4G':
        run_refused(f'memory {size}', r'guest memory must be from 1M to 3072M', '-m', size, PUP)
    run_refused('console', r'--console screen: choose stdio, pty or none', '-c', 'screen', PUP)
    run_refused('machine', r'--machine vax: choose auto, lguest or pc', '--machine', 'vax', PUP)
    run_refused('root missing', r'/nonexistent/root: ', '-d', '/nonexistent/disk', '--root', '/nonexistent/root', PUP)
    run_refused('trace', r'--trace: there is no "nonsense"; choose from hypercall', '--trace', 'irq,nonsense', PUP)
    refused('timeout', r'--timeout soon: is not a number', 'run', '--timeout', 'soon', PUP)
    refused('net', r'--net wifi: choose user', 'run', '--net', 'wifi', PUP)
    refused('forwarding', r'hostfwd|tcp:nonsense', 'run', '--net', 'user,hostfwd=tcp:nonsense', PUP)


def thread_states(pid):
    """What the kernel says of each thread; one that ends meanwhile is left out."""
    tasks = f'/proc/{pid}/task'
    states = []
    for task in os.listdir(tasks):
        try:
            with open(f'{tasks}/{task}/status') as f:
                states.append(f.read())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return states


def disks(tmp):
    image = os.path.join(tmp, 'disk.img')
    with open(image, 'wb') as f:
        f.truncate(1 << 20)
    run_refused('disk missing', r'/nonexistent: ', '-d', '/nonexistent', PUP)
    run_refused('disk directory', re.escape(tmp) + ':', '-d', tmp, PUP)
    # Somebody else has it, as soon as that guest speaks.
    other = subprocess.Popen([KENNEL, 'run', '--timeout', '60', '-n', 'none', '-d', image, PUP], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    try:
        other.stdout.read(1)
        r = kennel('run', '--timeout', '20', '-n', 'none', '-d', image, PUP)
        check('disk in use', r.returncode == 1 and re.search(r'disk\.img: .*(use|lock)', r.stderr) and len(r.stderr.splitlines()) == 1, r)
        # By now it runs: every thread of it inside the sandbox.
        check('sandbox', all('\nSeccomp:\t2\n' in status for status in thread_states(other.pid)), thread_states(other.pid))
    finally:
        other.terminate()
        check('ended by SIGTERM', other.wait(20) == -15, other.returncode)


def ports(tmp):
    run_refused('port without a name', r'--port /tmp/x: write NAME=SOCKET', '--port', '/tmp/x', PUP)
    run_refused('port without a socket', r'--port x=: write NAME=SOCKET', '--port', 'x=', PUP)
    run_refused('port with a path for a name', r'--port a/b=x: write NAME=SOCKET', '--port', 'a/b=x', PUP)
    run_refused('port where there is a file', r'file: Address already in use', '--port', 'x=' + os.path.join(tmp, 'file'), PUP)
    run_refused('port in no directory', r'/nonexistent/x: No such file', '--port', 'x=/nonexistent/x', PUP)
    run_refused('port twice', r'there is a port of this name already', '--port', f'x={tmp}/1', '--port', f'x={tmp}/2', PUP)
    run_refused('too many ports', r'at most 7', *[word for i in range(8) for word in ('--port', f'x{i}={tmp}/{i}')], PUP)


def shares(tmp):
    run_refused('share without a name', r'--share /tmp: write NAME=DIR', '--share', '/tmp', PUP)
    run_refused('share with an empty name', r'--share =/tmp: write NAME=DIR', '--share', '=/tmp', PUP)
    run_refused('share missing', r'/nonexistent: No such file', '--share', 'x=/nonexistent', PUP)
    run_refused('share of a file', r'file: is not a directory', '--share', 'x=' + os.path.join(tmp, 'file'), PUP)
    run_refused('share twice', r'there is a share of this name already', '--share', f'x={tmp}', '--share', f'x={tmp},ro', PUP)
    run_refused('share with a long name', r'has 1 to 32 characters', '--share', 'x' * 33 + f'={tmp}', PUP)
    run_refused('too many shares', r'at most 8', *[word for i in range(9) for word in ('--share', f'x{i}={tmp}')], PUP)


def commands():
    r = kennel('--version')
    check('--version', r.returncode == 0 and re.fullmatch(r'kennel \d+\.\d+\.\d+\n', r.stdout), r)
    for args in (['help'], ['--help'], ['run', '--help']):
        r = kennel(*args)
        check(' '.join(args), r.returncode == 0 and '--memory SIZE' in r.stdout and '124' in r.stdout, r)
    # The help text and the manual page name every event that there is.
    refusal = kennel('run', '--trace', 'nonsense', PUP).stderr
    events = re.search('choose from (.*)', refusal)[1]
    check('--trace in the help text', f'show on stderr: {events}\n' in kennel('run', '--help').stdout, events)
    with open(os.path.join(os.path.dirname(__file__), '../../kennel/kennel.1'), encoding='ascii') as page:
        check('--trace in the manual page', f'\n.Cm {events.replace(",", " ,")} ,\n' in page.read(), events)
    r = kennel('frolic')
    check('unknown command', r.returncode == 1 and 'no command "frolic"' in r.stderr, r)
    r = kennel()
    check('no command', r.returncode == 1 and r.stderr.startswith('usage:'), r)
    r = kennel('doctor')
    check('doctor', r.returncode == 0 and r.stdout.endswith('Guests can run here.\n') and re.search('way to guest memory: (gs|register)', r.stdout), r)
    doctor_for_programs()


def doctor_for_programs():
    """Names and verdicts are promised, and the manual page has them all."""
    r = kennel('doctor', '--json')
    try:
        found = json.loads(r.stdout)
    except ValueError:
        check('doctor --json', False, r)
        return
    verdicts = {name: what['verdict'] for name, what in found['checks'].items()}
    with open(os.path.join(os.path.dirname(__file__), '../../kennel/kennel.1'), encoding='ascii') as page:
        documented = set(re.findall(r'^\.It Li "([a-z0-9_]+)"', page.read(), re.M))
    check('doctor --json: names in the manual page', documented == set(verdicts), (documented, set(verdicts)))
    worst = max(verdicts.values(), key=['ok', 'without', 'slower', 'cannot'].index)
    check('doctor --json: status', found['status'] == {'without': 'ok'}.get(worst, worst), found)
    check('doctor --json: exit status', r.returncode == {'ok': 0, 'slower': 3, 'cannot': 1}[found['status']], r)
    check('doctor --json: advice', all(('advice' in what) == (what['verdict'] != 'ok') for what in found['checks'].values()), found)
    r = kennel('doctor', '--frolic')
    check('doctor --frolic', r.returncode == 1 and 'unknown argument --frolic' in r.stderr and not r.stdout, r)


def closed_descriptors(tmp):
    """Whoever starts us without standard input or output means that: the first image that is opened must not take their place."""
    image = os.path.join(tmp, 'image')
    command = [KENNEL, 'run', '-m', '64M', '--timeout', '20', '--net', 'none', '--disk', image, PUP, '--', 'run=poweroff']
    for closed in ([0], [1], [2], [0, 1, 2]):
        with open(image, 'wb') as file:
            file.write(bytes(65536))
        r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
                           preexec_fn=lambda: [os.close(fd) for fd in closed])
        with open(image, 'rb') as file:
            check(f'without descriptors {closed}', r.returncode == 0 and not any(file.read()), r)


def terminal_untouched(tmp):
    """A refusal leaves the terminal as it was, and is readable on it."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    r = subprocess.run([KENNEL, 'run', '-d', '/nonexistent', PUP], stdin=slave, stdout=slave, stderr=slave, timeout=60)
    check('terminal after a refusal', r.returncode == 1 and termios.tcgetattr(slave) == before, r.returncode)
    os.close(slave)
    os.close(master)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        commands()
        options()
        command_lines()
        kernels(tmp)
        pc_kernels(tmp)
        disks(tmp)
        open(os.path.join(tmp, 'file'), 'w').close()
        shares(tmp)
        ports(tmp)
        terminal_untouched(tmp)
        closed_descriptors(tmp)
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
