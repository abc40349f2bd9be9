#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""setup.py SCRIPT - what scripts/setup does on hosts where packages are missing, which dpkg-query, apt-get and the like pretend here."""
import os
import subprocess
import sys
import tempfile

SCRIPT = os.path.abspath(sys.argv[1])
failures = []

# Installed is what has a file in "installed"; what has one in "cannot" makes apt-get fail. What apt-get was asked for is noted.
TOOLS = {
    'dpkg-query': 'shift 3\n[ -e "$HERE/installed/$1" ] && printf installed',
    'gcc': 'exit 1',
    'sudo': 'exit 1',
    'id': 'echo "$WHO"',
    'apt-get': 'echo "$*" >>"$HERE/asked"\n'
               'for word; do [ ! -e "$HERE/cannot/$word" ] || exit 100; done\n'
               'for word; do case $word in -*|*=*|install|update) ;; *) : >"$HERE/installed/$word" ;; esac; done',
}


class Host:
    """Where some packages are missing, and some of these cannot be installed."""

    def __init__(self, tmp, missing, cannot=(), **tools):
        self.tmp = tmp
        for folder in 'installed', 'cannot', 'tools':
            os.mkdir(os.path.join(tmp, folder))
        for name, script in {**TOOLS, **tools}.items():
            path = os.path.join(tmp, 'tools', name)
            with open(path, 'w', encoding='ascii') as file:
                file.write(f'#!/bin/sh\n{script}\n')
            os.chmod(path, 0o755)
        wanted = subprocess.run([SCRIPT, '--list', '--all'], capture_output=True, text=True, check=True).stdout.split()
        for name in set(wanted) - set(missing):
            self.touch('installed', name)
        for name in cannot:
            self.touch('cannot', name)

    def touch(self, folder, name):
        with open(os.path.join(self.tmp, folder, name), 'w', encoding='ascii'):
            pass

    def setup(self, *options, who='1000'):
        env = {**os.environ, 'HERE': self.tmp, 'WHO': who, 'PATH': os.path.join(self.tmp, 'tools') + ':' + os.environ['PATH']}
        return subprocess.run([SCRIPT, *options], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env)

    def has(self, name):
        return os.path.exists(os.path.join(self.tmp, 'installed', name))

    def asked(self):
        with open(os.path.join(self.tmp, 'asked'), encoding='ascii') as file:
            return file.read()


def check(name, condition, detail=''):
    print(('ok      ' if condition else 'FAILED  ') + name)
    if not condition:
        failures.append(name)
        print('        ' + str(detail))


def ended(name, result, status, *said):
    check(name, result.returncode == status and all(words in result.stderr for words in said) and bool(said) == bool(result.stderr), result)


def main():
    def host(*args, **tools):
        return Host(tempfile.mkdtemp(dir=tmp), *args, **tools)

    with tempfile.TemporaryDirectory() as tmp:
        ended('nothing is missing', host([]).setup(), 0)
        some = ['e2fsprogs', 'gcc-multilib']
        ended('an ordinary user', host(some).setup(), 1, 'as root: apt-get install gcc-multilib e2fsprogs')
        ended('an ordinary user who wants to run', host(some).setup('--run'), 1, 'as root: apt-get install')
        ended('only tests lack something', host(['gcc-multilib']).setup(), 1, 'as root: apt-get install gcc-multilib')
        ended('only tests, and the user wants to run', host(['gcc-multilib']).setup('--run'), 0, 'gcc-multilib', 'going on without')
        ended('another compiler for 32 bits', host(['gcc-multilib'], gcc='exit 0').setup(), 0)
        ended('options', host([]).setup('--frolic'), 1, 'usage: ')
        root = host(some)
        ended('root', root.setup(who='0'), 0, 'installing gcc-multilib e2fsprogs')
        check('root installs', root.has('e2fsprogs') and root.has('gcc-multilib'))
        check('root removes nothing', '--no-remove' in root.asked(), root.asked())
        root = host(some, ['gcc-multilib'])
        ended('root, with a conflict', root.setup('--run', who='0'), 0, 'could not install: gcc-multilib', 'going on without')
        check('what has no conflict is there', root.has('e2fsprogs') and not root.has('gcc-multilib'))
        ended('root, with a conflict, for tests', host(some, ['gcc-multilib']).setup(who='0'), 1, 'could not install: gcc-multilib')
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
