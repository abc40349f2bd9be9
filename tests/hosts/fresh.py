#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fresh.py SUITE [TEST...] - the README's two commands on a machine that has nothing yet: a minimal root of a Debian release.

`make run` must reach a login, and `make check` pass; TESTs are those that it runs (default: all). What is there beforehand is
Debian's minimum and make; and, for a week, the guest that the first such machine has fetched: to install one takes minutes where the host
runs no i386 programs. Takes root, and the archive.
"""
import os
import shutil
import subprocess
import sys
import time

from console import Console
from debian_root import WEEK, Unavailable, cache, fresh
from oci import bind
from tap import Report, leave_out

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, '..', '..')
RUN_SECONDS = 2400
CHECK_SECONDS = 1800
ENVIRONMENT = {'HOME': '/root', 'LANG': 'C.UTF-8'}


def copy_source(root):
    """As it is in a clone, without what has been built in this one."""
    home = os.path.join(root, 'root', 'kennel')
    os.mkdir(home)
    pack = subprocess.Popen(['tar', '-C', SOURCE, '-c', '--exclude=./build*', '--exclude=./.git', '--exclude=./.cache', '--exclude=__pycache__', '--exclude=*.log', '--exclude=./fuzz-*', '.'],
                            stdout=subprocess.PIPE)
    subprocess.run(['tar', '-C', home, '--no-same-owner', '-x'], stdin=pack.stdout, check=True)
    return '/root/kennel'


def kept_guest():
    """What lies at ~/.cache/kennel on each of these machines."""
    folder = cache('guest')
    made = os.path.join(folder, 'debian', 'cmdline')
    if os.path.exists(made) and time.time() - os.path.getmtime(made) > WEEK:
        shutil.rmtree(folder)
    os.makedirs(folder, exist_ok=True)
    return bind('/root/.cache/kennel', folder)


def last(text, lines=30):
    return '\n'.join(text.splitlines()[-lines:])


def make_run(report, container, source):
    """To a login, where somebody logs in and switches off."""
    with container.started(['make', 'run'], cwd=source, environment=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT) as process:
        console = Console(process, RUN_SECONDS)
        seconds = console.log_in('root', b'# ', 'poweroff')
        status = console.end()
    report('make run', bool(seconds) and status == 0, f'status {status}\n{last(console.text())}')
    if seconds:
        fetching = 'with' if 'kennel fetch: done' in console.text() else 'without'
        report.say(f'to the login {seconds:.0f} s, with setup and build, {fetching} fetching the guest')


def make_check(report, container, source, tests):
    start = time.monotonic()
    try:
        outcome = container.run(['make', 'check', 'TESTS=--timeout-multiplier 3 ' + ' '.join(tests)], cwd=source, environment=ENVIRONMENT,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        report('make check', False, f'it did not end within {CHECK_SECONDS} s')
        return
    report('make check', outcome.returncode == 0, last(outcome.stdout, 80))
    report.say(f'{time.monotonic() - start:.0f} s\n' + '\n'.join(line for line in outcome.stdout.splitlines() if line.startswith(('Ok:', 'skipped:'))))


def main(suite, *tests):
    report = Report(f'fresh {suite}')
    try:
        with fresh(suite, [kept_guest()]) as (container, root):
            source = copy_source(root)
            script = 'apt-get -qq update && apt-get -qq -y --no-install-recommends install make'
            outcome = container.run(['sh', '-c', script], environment=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if outcome.returncode:
                raise Unavailable(last(outcome.stderr, 1))
            make_run(report, container, source)
            make_check(report, container, source, tests)
    except Unavailable as why:
        leave_out(why)
    return report.end()


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
