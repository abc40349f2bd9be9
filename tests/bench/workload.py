#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""workload.py WORKLOAD - bench/workload from its arguments to its exit status, on guests that are shell scripts.

Such a guest shows a prompt, reads a line, and says what a real one would; what that is, the beginning of the real script says, run by
bash. Time is a counter: each look at the clock takes a second, so a row's figure is its amount.
"""
import contextlib
import io
import os
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

sys.dont_write_bytecode = True
loader = SourceFileLoader('workload', sys.argv[1])
workload = module_from_spec(spec_from_loader('workload', loader))
loader.exec_module(workload)
workload.DISK_MIB = 1
failures = []

FAKE = '''#!/bin/sh
printf 'some words\\r\\nroot@(none):/# '
read -r line
cat "$0.says"
'''
# Twelve times QEMU's figures, in every row.
AMOUNTS = {row: (1200, 100) for row in workload.BARS if row != 'shell'}


def check(name, condition, detail=''):
    print(('ok      ' if condition else 'FAILED  ') + name)
    if not condition:
        failures.append(name)
        print('        ' + str(detail))


class Clock:
    """What bench/run lends: seconds that a process has used."""

    def __init__(self):
        self.seconds = 0

    def processor_seconds(self, _):
        self.seconds += 1
        return self.seconds


def says(amounts, end='echo work-over\n'):
    """What a guest says, by the functions of the real script."""
    words = next(line for line in workload.SCRIPT.splitlines() if line.startswith('row()')), \
        next(line for line in workload.SCRIPT.splitlines() if line.startswith('done_()'))
    script = '\n'.join(words) + '\n' + ''.join(f'echo noise\nrow {row}\necho noise\ndone_ {n} things\n' for row, n in amounts.items())
    return subprocess.run(['bash', '-c', script + end], capture_output=True, check=True).stdout.replace(b'\n', b'\r\n')


class Run:
    """main() in a directory of fakes: amounts by row, Kennel's and QEMU's."""

    def __init__(self, directory, amounts, *arguments, end='echo work-over\n'):
        for which, name in enumerate(('kennel', 'qemu-system-i386')):
            path = os.path.join(directory, name)
            with open(path, 'w', encoding='ascii') as file:
                file.write(FAKE)
            os.chmod(path, 0o755)
            with open(path + '.says', 'wb') as file:
                file.write(says({row: pair[which] for row, pair in amounts.items() if pair[which]}, end))
        workload.load = lambda _: Clock()
        output, os.environ['PATH'] = io.StringIO(), directory + ':' + PATH
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            try:
                self.status = workload.main([directory, '--cpu-time', '--kennel', os.path.join(directory, 'kennel'), *arguments])
            except SystemExit as end_of_it:
                self.status = end_of_it.code
        self.output = output.getvalue()
        self.short = [line for line in self.output.splitlines() if line.startswith('short of the bar')]

    def figures(self, row):
        return next((line.split()[2:] for line in self.output.splitlines() if line.split()[0] == row), None)


def bars_hold(directory):
    run = Run(directory, AMOUNTS, *AMOUNTS, '--require')
    check('all bars hold', run.status == 0 and not run.short, run.output)
    for row in AMOUNTS:
        check(f'figures of {row}', run.figures(row) == ['1200.00', '100.00', '12.00'], run.output)


def bars_fail(directory):
    for row, bar in workload.BARS.items():
        if row == 'shell':
            continue
        good, bad = dict(AMOUNTS, **{row: (bar * 100, 100)}), dict(AMOUNTS, **{row: (bar * 100 - 1, 100)})
        check(f'{row}, just so', Run(directory, good, *AMOUNTS, '--require').status == 0)
        run = Run(directory, bad, *AMOUNTS, '--require')
        check(f'{row}, just not', run.status == 1 and len(run.short) == 1 and row in run.short[0], run.output)
        check(f'{row}, nothing required', Run(directory, bad, *AMOUNTS).status == 0)


def figures_missing(directory):
    for missing in (0, 100), (1200, 0):
        run = Run(directory, dict(AMOUNTS, compile=missing), *AMOUNTS, '--require')
        check(f'no figure: {missing}', run.status == 1 and run.short == ['short of the bar: compile: no figures to compare'], run.output)
    run = Run(directory, AMOUNTS, 'start', '--no-qemu', '--require')
    check('nothing to compare with', run.status == 1 and 'no figures' in run.output, run.output)
    run = Run(directory, AMOUNTS, 'start', '--no-qemu')
    check('nobody to compare with', run.status == 0 and not run.short and run.figures('start') == ['1200.00'], run.output)


def troubles(directory):
    run = Run(directory, AMOUNTS, end='echo a last word\n')
    check('a guest ends early', 'did not come to its end' in str(run.status) and 'a last word' in run.status, run.status)
    run = Run(directory, AMOUNTS, 'compiler')
    check('unknown row', str(run.status).startswith('workload: there is no row compiler;'), run.status)
    os.remove(os.path.join(directory, 'initrd.img'))
    run = Run(directory, AMOUNTS)
    check('no guest', 'has no initrd.img; make one with' in str(run.status), run.status)


def rows_are_in_the_script():
    script = workload.script(['compile'], 1, 2).decode()
    for row in AMOUNTS:
        check(f'the script has {row}', f'row {row}\n' in script or f'random {row} ' in script)
    check('chosen rows reach the script', 'ROWS="compile"\n' in script)
    check('nothing is left to fill in', '@' not in script, script)
    result = subprocess.run(['bash', '-n'], input=script, text=True, capture_output=True, check=False)
    check('bash can read the script', result.returncode == 0 and not result.stderr, result.stderr)


PATH = os.environ['PATH']
with tempfile.TemporaryDirectory() as place:
    for file_name in 'vmlinuz', 'initrd.img', 'root.ext4':
        open(os.path.join(place, file_name), 'w', encoding='ascii').close()
    rows_are_in_the_script()
    bars_hold(place)
    bars_fail(place)
    figures_missing(place)
    troubles(place)
sys.exit(bool(failures))
