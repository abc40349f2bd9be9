#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fetch.py KENNEL PUP - fetching guests without a network, and running what a fetch leaves.

What needs the archive is not tested here. An archive that is not there, or that nobody signed, is: each ends in one sentence and
status 1, and leaves nothing that looks like a guest.
"""
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile

KENNEL, PUP = map(os.path.abspath, sys.argv[1:3])
failures = []


def kennel(cache, *args, path=''):
    env = {k: v for k, v in os.environ.items() if k not in ('XDG_CACHE_HOME', 'HOME') and not k.endswith('_proxy')}
    if cache:
        env['XDG_CACHE_HOME'] = cache
    env['PATH'] = path + env['PATH']
    return subprocess.run([KENNEL, *args], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=env)


def check(name, condition, detail=''):
    print(('ok      ' if condition else 'FAILED  ') + name)
    if not condition:
        failures.append(name)
        print('        ' + str(detail))


def refused(name, pattern, cache, *args, path=''):
    """Steps may be told before it; the last line says what went wrong."""
    r = kennel(cache, *args, path=path)
    lines = [line for line in r.stderr.splitlines() if not line.startswith('kennel fetch: ')]
    good = r.returncode == 1 and len(lines) == 1 and lines[0].startswith('kennel: ') and re.search(pattern, lines[0])
    check(name, good, (r.returncode, r.stdout, r.stderr, pattern))


def options(cache):
    refused('no name', 'fetch what\\?', cache, 'fetch')
    refused('unknown name', 'fetch plan9?: nobody knows how', cache, 'fetch', 'plan')
    refused('a path', 'nobody knows how', cache, 'fetch', '../fetch/debian')
    refused('a folder', 'nobody knows how', cache, 'fetch', 'parts')
    for args, pattern in ((['--frolic'], 'unknown argument --frolic'), (['--size'], '--size needs a value'),
                          (['--size', 'big'], '--size big: is not a size'), (['--size', '2GG'], 'is not a size'),
                          (['--kernel', 'arm64'], '--kernel arm64: choose 686'),
                          (['--suite', '../x'], 'not the name of a Debian'),
                          (['--include=a b'], 'is not a list of packages')):
        refused(' '.join(args), pattern, cache, 'fetch', 'debian', *args)
    r = kennel(cache, 'fetch', 'debian', '--help')
    check('help', r.returncode == 0 and '--suite' in r.stdout and not r.stderr, r)
    r = kennel(cache, 'fetch', 'debian', '--suite=bullseye', '--kernel', '686-pae', '--include', 'gcc,make', '--size', '800',
               '--dry-run')
    image = f'{cache}/kennel/debian-bullseye-pae/root.ext4 of 800M'
    check('dry run', r.returncode == 0 and image in r.stdout and 'gcc make' in r.stdout, r)
    r = kennel(cache, 'fetch', 'debian', '--no-root', '--dry-run')
    check('dry run without a root', r.returncode == 0 and '686' in r.stdout and 'root.ext4' not in r.stdout, r)
    check('a dry run leaves nothing', not os.path.exists(cache + '/kennel'), os.listdir(cache))


def scripts_come_with_the_program():
    """Whoever builds the program alone, as `make run` does, can fetch."""
    needed = subprocess.run(['ninja', '-C', os.path.dirname(KENNEL), '-t', 'query', 'kennel'], capture_output=True, text=True).stdout
    for name in 'debian', 'parts/build-root', 'parts/configure', 'parts/init':
        check(f'fetch/{name} is built with the program', f' fetch/{name}\n' in needed, needed)


def no_archive(cache, tmp):
    refused('no network', 'no network: http://127.0.0.1:9/debian cannot be reached', cache,
            'fetch', 'debian', '--mirror', 'http://127.0.0.1:9/debian')
    dist = os.path.join(tmp, 'archive', 'dists', 'bookworm')
    os.makedirs(dist)
    with open(os.path.join(dist, 'Release'), 'w') as f:
        f.write('Origin: Debian\nSuite: stable\nCodename: bookworm\nComponents: main\nArchitectures: i386\n')
    mirror = ['--mirror', f'file:{tmp}/archive']
    refused('an archive that nobody signed', "the archive's signature", cache, 'fetch', 'debian', *mirror)
    refused('an archive without the suite', 'package lists', cache, 'fetch', 'debian', '--suite', 'sarge', *mirror)
    refused('no keyring', 'debian-archive-keyring', cache, 'fetch', 'debian', '--keyring', '/nonexistent')
    left = [name for _, _, files in os.walk(cache + '/kennel/debian') for name in files]
    check('nothing is left of those', left == [] and '.making' not in os.listdir(cache + '/kennel/debian'), left)


def places(cache, tmp):
    refused('no cache directory', 'cannot create directory', '/dev/null', 'fetch', 'debian')
    refused('no home', 'HOME', None, 'fetch', 'debian')
    os.makedirs(cache + '/kennel/archive', exist_ok=True)
    with open(cache + '/kennel/archive/lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused('two at once', 'another kennel fetch is at work', cache, 'fetch', 'debian')
    there = os.path.join(tmp, 'there')
    os.mkdir(there)
    open(there + '/vmlinuz', 'w').close()
    r = kennel(cache, 'fetch', 'debian', '--to', there)
    check('it is there', r.returncode == 0 and 'there already' in r.stderr and os.listdir(there) == ['vmlinuz'], r)


def write(path, text=''):
    with open(path, 'w') as f:
        f.write(text)


def full_disk(cache, tmp):
    """A df of our own: from the third time it is asked, the disk is full. Then even the log says nothing."""
    tools = os.path.join(tmp, 'tools')
    os.mkdir(tools)
    write(tools + '/df', '#!/bin/sh\necho x >>$0.asked\n[ $(wc -l <$0.asked) -gt $(cat $0.good) ] && free=1024 || free=9999999\n'
                         'echo Filesystem; echo "disk 9999999 0 $free"\n')
    os.chmod(tools + '/df', 0o755)
    for good, pattern in (('0', '1 MiB free, and 400 MiB are needed'), ('2', 'no space left in .* while fetching the package lists')):
        write(tools + '/df.good', good)
        write(tools + '/df.asked')
        refused(f'a disk that is full after {good} looks', pattern, cache, 'fetch', 'debian', '--mirror', 'http://127.0.0.1:9/debian',
                path=tools + ':')


def rewritten_meanwhile(tmp):
    """The build may exchange the script while it runs. The first tool that it calls, a dirname of our own, ruins its second half."""
    scripts, tools = os.path.join(tmp, 'scripts'), os.path.join(tmp, 'other-tools')
    shutil.copytree(os.path.join(os.path.dirname(KENNEL), 'fetch'), scripts)
    os.mkdir(tools)
    half = os.path.getsize(scripts + '/debian') // 2
    write(tools + '/dirname', f'#!/bin/sh\ntruncate -s {half} {scripts}/debian\nyes "exit 7" | head -n 4000 >>{scripts}/debian\n'
                              f'echo {scripts}\n')
    os.chmod(tools + '/dirname', 0o755)
    r = subprocess.run([scripts + '/debian', '--dry-run'], capture_output=True, text=True, timeout=60,
                       env={**os.environ, 'XDG_CACHE_HOME': tmp, 'PATH': tools + ':' + os.environ['PATH']})
    check('a script that is rewritten meanwhile', r.returncode == 0 and 'would download' in r.stdout, r)


def reasons(tmp):
    """Why packages are installed in a guest: the script's own function on hosts that are pretended here."""
    with open(os.path.join(os.path.dirname(KENNEL), 'fetch', 'debian'), encoding='ascii') as script:
        functions = script.read().rsplit('\nmain "$@"', 1)[0]
    here = os.path.join(tmp, 'reasons')
    os.makedirs(here + '/bin')
    write(here + '/functions', functions)
    write(here + '/log', 'unshare: write failed /proc/self/uid_map: Operation not permitted\n')

    def reason(name, pattern, programs=True, user='1000', uidmap=True, **settings):
        write(here + '/bin/busybox', '#!/bin/sh\nexit 0\n' if programs else '\x7fELF')
        os.chmod(here + '/bin/busybox', 0o755)
        lines = [f'. {here}/functions', f'try={here} log={here}/log', f'id() {{ echo {user}; }}', f'command() {{ {str(uidmap).lower()}; }}',
                 'grep() { true; }', 'setting() { case $1 in ' + ' '.join(f'*.{k}) echo {v};;' for k, v in settings.items()) + ' esac; }',
                 'explain_place']
        r = subprocess.run(['sh', '-c', '\n'.join(lines)], capture_output=True, text=True, timeout=60)
        check('reason: ' + name, re.search(pattern, r.stdout) and len(r.stdout.splitlines()) == 1 and not r.stderr, r)

    reason('no 32-bit programs', 'runs no 32-bit programs$', programs=False, user='0')
    reason('no 32-bit programs, and no rights either', 'runs no 32-bit programs$', programs=False, max_user_namespaces=0)
    reason('no user namespaces', 'user.max_user_namespaces is 0', max_user_namespaces=0)
    reason('no user namespaces, in Debian of old', 'kernel.unprivileged_userns_clone is 0', unprivileged_userns_clone=0)
    reason('Ubuntu 24.04', 'AppArmor keeps rights from user namespaces', apparmor_restrict_unprivileged_userns=1)
    reason('root on Ubuntu 24.04', 'rights are missing here .unshare: write failed', user='0', apparmor_restrict_unprivileged_userns=1)
    reason('no uidmap', 'the package uidmap is missing', uidmap=False)
    reason('something else', 'rights are missing here .unshare: write failed /proc/self/uid_map: Operation not permitted')


def bundles(cache, tmp):
    """What the files of a bundle become shows in what is wrong with them."""
    run = ['run', '--timeout', '20', '--net', 'none']
    bundle = os.path.join(cache, 'kennel', 'pup')
    os.makedirs(bundle)
    refused('a bundle without a kernel', 'is a directory without a vmlinuz', cache, *run, bundle)
    refused('a name that is not there', 'pup: cannot open the kernel', cache, *run, 'pup')
    os.symlink(PUP, bundle + '/vmlinuz')
    write(bundle + '/cmdline', 'first=1 mem=64M\n')
    for name in 'pup', bundle:
        refused(f'parameters of {name}', '"mem=64M"', cache, *run, name)
    write(bundle + '/cmdline', 'first=1\n')
    write(bundle + '/initrd.img')
    refused('initial RAM disk of a bundle', 'pup/initrd.img: is empty', cache, *run, 'pup')
    refused('own initial RAM disk', '/own: cannot open the initrd', cache, *run, '-i', '/own', 'pup')
    os.unlink(bundle + '/initrd.img')
    os.mkdir(bundle + '/root.ext4')
    roots = ('root of a bundle', 'pup/root.ext4: ', []), ('own root', '/nonexistent/root: ', ['-r', '/nonexistent/root'])
    for name, pattern, args in roots:
        r = kennel(cache, *run, '-d', '/nonexistent/other', *args, 'pup')
        lines = r.stderr.splitlines()
        check(name, r.returncode == 1 and len(lines) == 1 and pattern in lines[0], r)
    # A file of that name comes first.
    r = subprocess.run([KENNEL, *run, 'pup'], cwd=tmp, capture_output=True, text=True, timeout=60, env={'XDG_CACHE_HOME': cache})
    check('the bundle from elsewhere', 'root.ext4' in r.stderr, r)
    write(os.path.join(tmp, 'pup'))
    r = subprocess.run([KENNEL, *run, 'pup'], cwd=tmp, capture_output=True, text=True, timeout=60, env={'XDG_CACHE_HOME': cache})
    check('the file before the bundle', 'kennel: pup: is empty' in r.stderr, r)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        cache = os.path.join(tmp, 'cache')
        os.mkdir(cache)
        options(cache)
        scripts_come_with_the_program()
        no_archive(cache, tmp)
        places(cache, tmp)
        full_disk(cache, tmp)
        rewritten_meanwhile(tmp)
        reasons(tmp)
        bundles(cache, tmp)
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
