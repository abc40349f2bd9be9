#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""forbidden.py KENNEL PUP FORBID [CASE...] - hosts that forbid things: pup is booted to its end under each, and what is said of it is read.

Each case is one function. What this host cannot be made to forbid is left out by name, with the reason; the summary counts such cases
apart, and a run in which nothing but those was left is skipped (status 77).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

KENNEL, PUP, FORBID = map(os.path.abspath, sys.argv[1:4])
GIB = 1 << 30
RUN = [KENNEL, 'run', '--timeout', '100', '-m', '64M']


class LeftOut(Exception):
    """What the host cannot do."""


class Failure(Exception):
    """What Kennel did not do."""


def command(*args, **more):
    return subprocess.run(args, capture_output=True, text=True, errors='replace', timeout=200, stdin=subprocess.DEVNULL, **more)


def forbidden(rules, *program):
    result = command(FORBID, *rules, '--', *program)
    if result.returncode == 77:
        raise LeftOut(result.stderr.strip())
    return result


class Boot:
    """A guest that ran, or that should not have."""

    def __init__(self, result):
        self.result = result

    def fail(self, reason):
        raise Failure(f'{reason}\n{self.result}')

    def ended(self, checks=0):
        """It powered off; at least so many checks of its own went well, and none badly."""
        out = self.result.stdout
        if self.result.returncode or 'pup: woof' not in out or re.search('^FAIL', out, re.M) or len(re.findall('^ok ', out, re.M)) < checks:
            self.fail('pup did not get to its end')
        return self

    def said(self, pattern, times=1):
        found = [line for line in self.result.stderr.splitlines() if re.search(pattern, line)]
        if len(found) != times:
            self.fail(f'{pattern!r} was said {len(found)} times')
        return self

    def quiet(self):
        """Nothing is said without -v."""
        if self.result.stderr:
            self.fail('something was said')
        return self

    def refused(self, pattern):
        lines = self.result.stderr.splitlines()
        if self.result.returncode != 1 or len(lines) != 1 or not re.search(pattern, lines[0]):
            self.fail(f'no refusal in one sentence with {pattern!r}')
        return self


def boot(rules, *options, run='poweroff', net='none'):
    return Boot(forbidden(rules, *RUN, *options, '--net', net, PUP, '--', 'run=' + run))


def disk(tmp):
    path = os.path.join(tmp, 'disk')
    with open(path, 'wb') as file:
        file.truncate(1 << 20)
    return path


# --- io_uring -----------------------------------------------------------------------------------------------------------------

def case_uring_refused(tmp):
    """At set-up: by Docker (EPERM), kernels without it (ENOSYS), and others."""
    for number in 'EPERM', 'ENOSYS', 'EINVAL', 'ENOMEM':
        rules = [f'io_uring_setup={number}']
        boot(rules, '-d', disk(tmp), run='disk+write+0+wolf,disk+read+0,poweroff').ended().quiet()
        boot(rules, '-v', '-d', disk(tmp), run='disk+write+0+wolf,disk+read+0,poweroff').ended().said('no io_uring here .*; using threads')


def case_uring_refused_later(tmp):
    """When something is to be registered: what was set up is taken down again."""
    boot(['io_uring_register=EPERM'], '-v', '-d', disk(tmp), run='disk+read+0,poweroff').ended().said('no io_uring here .*; using threads')


# --- memory files -------------------------------------------------------------------------------------------------------------

def case_memfd_noexec(tmp):
    """vm.memfd_noexec, which is a setting of each namespace of processes."""
    for value in '1', '2':
        script = f'echo {value} >/proc/sys/vm/memfd_noexec && exec "$@"'
        result = command('unshare', '--user', '--map-root-user', '--pid', '--fork', '--mount-proc', 'sh', '-c', script, 'sh',
                         *RUN, '--net', 'none', PUP, '--', 'run=poweroff')
        if 'memfd_noexec' in result.stderr or 'unshare' in result.stderr:
            raise LeftOut(result.stderr.strip())
        Boot(result).ended().quiet()


def case_memfd_must_say(tmp):
    """A kernel that refuses what does not say that it is no program, and one that does not know how to say so."""
    boot(['memfd_create:1&8=0=EACCES'], '-v').ended().said('forbids', times=0)
    boot(['memfd_create:1&8=8=EINVAL', 'memfd_create:1&16=16=EINVAL'], '-v').ended().said('forbids', times=0)
    # As little as is possible is ever asked for without a word: that is what kernels since 6.3 complain of.
    boot(['memfd_create:1&24=0=EPERM'], '-v').ended().said('forbids', times=0)


def case_memfd_forbidden(tmp):
    for number in 'EPERM', 'ENOSYS':
        boot([f'memfd_create={number}'], run='user,poweroff').ended(29).quiet()
        boot([f'memfd_create={number}'], '-v').ended().said(r'forbids memfd_create\(\): guest memory is in a file without a name in /')
    boot(['memfd_create=EPERM', 'openat:2&0x410000=0x410000=EOPNOTSUPP'], '-v').ended().said('forbids memfd_create')


def case_no_memory_file(tmp):
    rules = ['memfd_create=EPERM', 'openat:2&0x410000=0x410000=EACCES']
    boot(rules).refused(r'guest memory: neither a memfd nor a file in /dev/shm, .*: Operation not permitted')
    doctor = forbidden(rules, KENNEL, 'doctor')
    if doctor.returncode != 1 or not re.search('^FAIL  executable memory: neither', doctor.stdout, re.M):
        raise Failure(doctor)


def case_memory_deny_write_execute(tmp):
    """By the kernel, and as systemd filters it where the kernel cannot."""
    boot(['mdwe'], run='user,poweroff').ended(29).quiet()
    doctor = forbidden(['mdwe'], KENNEL, 'doctor')
    if doctor.returncode or not re.search('^ok    executable memory', doctor.stdout, re.M):
        raise Failure(doctor)


def case_memory_deny_write_execute_by_filter(tmp):
    boot(['mmap:2&6=6=EPERM', 'mprotect:2&4=4=EPERM', 'pkey_mprotect:2&4=4=EPERM', 'shmat:2&0x8000=0x8000=EPERM'],
         run='user,poweroff').ended(29).quiet()


# --- addresses and memory -----------------------------------------------------------------------------------------------------

def case_address_space(tmp):
    boot([f'limit:as={80 * GIB}'], run='user,poweroff').ended(29)
    boot([f'limit:as={20 * GIB}'], run='user,poweroff').ended(29).said('addresses or memory are limited')
    boot([f'limit:as={10 * GIB}'], run='test,poweroff').ended(50).said('addresses or memory are limited')
    boot([f'limit:as={4 * GIB}']).refused('cannot reserve address space for guest memory .*ulimit -v')


def case_promised_memory(tmp):
    """
    Private memory that may be written counts, as it does with vm.overcommit_memory=2: that would be for the whole host, so a limit
    on data (RLIMIT_DATA) stands in for it here.
    """
    boot([f'limit:data={64 << 20}'], run='user,poweroff').ended(29).said('(addresses or )?memory (is|are) limited')
    boot([f'limit:data={4 << 20}']).refused('no memory|thread')


def case_few_mappings(tmp):
    """As if vm.max_map_count were so low: it is one for the whole host."""
    environment = {**os.environ, 'KENNEL_HOST': 'maps=1000'}
    command_line = [*RUN, '--net', 'none', PUP, '--', 'run=user,poweroff']
    Boot(command(*command_line, env=environment)).ended(29).quiet()
    environment['KENNEL_HOST'] = 'maps=400'
    Boot(command(*command_line, env=environment)).refused('too few mappings .vm.max_map_count')


def limited_group(limit):
    """A control group of our own with that much memory: its directory."""
    with open('/proc/self/cgroup', encoding='ascii') as file:
        lines = [line.strip().split(':', 2) for line in file]
    for _, controllers, group in lines:
        if 'memory' in controllers.split(','):
            parent, name = '/sys/fs/cgroup/memory' + group, 'memory.limit_in_bytes'
        elif not controllers and len(lines) == 1:
            parent, name = '/sys/fs/cgroup' + group, 'memory.max'
        else:
            continue
        path = os.path.join(parent, f'kennel-test-{os.getpid()}')
        try:
            os.mkdir(path)
        except OSError as error:
            raise LeftOut(f'no control group can be made: {error}') from error
        try:
            with open(os.path.join(path, name), 'w', encoding='ascii') as file:
                file.write(str(limit))
            return path
        except OSError as error:
            os.rmdir(path)
            raise LeftOut(f'no control group can be limited: {error}') from error
    raise LeftOut('no control group for memory')


def case_memory_limit(tmp):
    group = limited_group(48 << 20)
    script = f'echo $$ >{group}/cgroup.procs && exec "$@"'
    try:
        result = Boot(command('sh', '-c', script, 'sh', *RUN, '--net', 'none', PUP, '--', 'run=poweroff'))
        result.ended().said(rf'warning: this process may use 48M of memory \({group}/memory\S+\) and the guest has 64M')
    finally:
        os.rmdir(group)


def case_places_taken(tmp):
    """MAP_FIXED_NOREPLACE, or rather none of the places that we ask for."""
    boot(['mmap:3&0x100000=0x100000=EEXIST'], run='user,poweroff').ended(29).quiet()


# --- the rest -----------------------------------------------------------------------------------------------------------------

def case_few_threads(tmp):
    """64 processes are enough; where there are fewer than are needed, that is what is said."""
    if os.getuid():
        raise LeftOut('only root can become a user that has no processes yet')
    os.chmod(tmp, 0o755)
    for name, path in ('kennel', KENNEL), ('pup', PUP):
        shutil.copy(path, os.path.join(tmp, name))
    image = disk(tmp)
    os.chmod(image, 0o666)

    def run(number):
        return Boot(forbidden([f'limit:nproc={number}', 'user=54321'], tmp + '/kennel', *RUN[1:], '--net', 'user', '-d', image,
                              tmp + '/pup', '--', 'run=disk+write+0+wolf,disk+read+0,poweroff'))

    run(64).ended().quiet()
    # io_uring's own threads count too, and may be the ones that there are no more of.
    for number in 7, 6, 5:
        run(number).ended().quiet()
        with open(image, 'r+b') as file:
            if file.read(4) != b'wolf':
                raise Failure(f'with {number} threads the disk was not written to')
            file.truncate(0)
            file.truncate(1 << 20)
    for number in 4, 3, 2, 1:
        run(number).refused('cannot start a thread: Resource temporarily unavailable.*ulimit -u')


def case_emulated_processor(tmp):
    """A user-mode emulator runs us, and would run guests wrongly."""
    emulator = shutil.which('qemu-x86_64') or shutil.which('qemu-x86_64-static')
    if not emulator:
        raise LeftOut('qemu-x86_64 (qemu-user) is not installed')
    Boot(command(emulator, *RUN, '--net', 'none', PUP)).refused("QEMU's user-mode emulation")
    doctor = command(emulator, KENNEL, 'doctor', '--json')
    if doctor.returncode != 1 or json.loads(doctor.stdout)['status'] != 'cannot':
        raise Failure(doctor)


def case_nothing_but_reading(tmp):
    """A root that cannot be written to, /tmp without programs, no devices but the plain ones, no capabilities, no new privileges."""
    if not shutil.which('bwrap'):
        raise LeftOut('bwrap is not installed')
    sandbox = ['bwrap', '--unshare-all', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--tmpfs', '/var/tmp']
    for path in KENNEL, PUP, FORBID:
        sandbox += ['--ro-bind', path, path]
    if command(*sandbox, 'true').returncode:
        raise LeftOut(command(*sandbox, 'true').stderr.strip())
    result = command(*sandbox, FORBID, '--', *RUN, '--net', 'user', PUP, '--', 'run=user,poweroff')
    Boot(result).ended(29).quiet()
    result = command(*sandbox, FORBID, '--', *RUN, '--net', 'tap=kennel0', PUP)
    Boot(result).refused('kennel0: /dev/net/tun: No such file')


CASES = {name[5:].replace('_', '-'): function for name, function in list(globals().items()) if name.startswith('case_')}


def main():
    failed, left_out, names = [], [], sys.argv[4:] or list(CASES)
    for name in names:
        with tempfile.TemporaryDirectory() as tmp:
            try:
                CASES[name](tmp)
                print('ok      ' + name)
            except LeftOut as reason:
                left_out.append(name)
                print(f'LEFT OUT {name}: {reason}')
            except Failure as reason:
                failed.append(name)
                print(f'FAILED  {name}: {reason}')
    print(f'{len(names) - len(failed) - len(left_out)} passed, {len(failed)} failed, {len(left_out)} left out')
    return 1 if failed else 77 if len(left_out) == len(names) else 0


if __name__ == '__main__':
    sys.exit(main())
