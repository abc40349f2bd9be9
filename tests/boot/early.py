#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""early.py KENNEL KERNEL [NAME...] - kernels that go wrong before they have come far (early/early.c), on the PC.

However they end, the command says so in one sentence and has the right status. A subtest for each, told in TAP.
"""
import sys

from kennel_run import Bench, Failure

TRIPLE = 'kennel: the guest crashed: triple fault at EIP 0x[0-9a-f]+: '
UNHANDLED = ', and no way to handle it'
TIMEOUT = 'kennel: the guest did not end within 2 seconds'

# What it does, options, the status, all of stderr, all of stdout.
CASES = [
    ('undefined-instruction', [], 2, TRIPLE + r'invalid opcode \(vector 6, error 0\)' + UNHANDLED, ''),
    ('bad-selector', [], 2, TRIPLE + r'protection fault \(vector 13, error 0x1238\)' + UNHANDLED, ''),
    ('empty-page-tables', [], 2, TRIPLE + 'page fault at 0x10[0-9a-f]+, error (0|0x10)' + UNHANDLED, ''),
    ('bad-page-tables', [], 2, TRIPLE + '.*' + UNHANDLED, ''),
    ('jump-into-the-void', [], 2, TRIPLE + r'invalid opcode \(vector 6, error 0\)' + UNHANDLED, ''),
    ('stack-in-the-void', [], 2, TRIPLE + '.*' + UNHANDLED, ''),
    ('wipe-memory', [], 2, TRIPLE + '.*' + UNHANDLED, ''),
    ('spin', [], 124, TIMEOUT, ''),
    ('spin-with-ticks', [], 124, TIMEOUT, 'a hundred ticks\n'),
    ('wait-for-nothing', [], 124, TIMEOUT, ''),
    ('halt', [], 0, 'kennel: the guest halted', ''),
    ('reset', ['--no-reboot'], 0, '', 'reset\n'),
    ('reset', [], 124, TIMEOUT, r'(reset\n){2,}[reset]{0,5}'),
    ('panic', [], 2, 'kennel: the guest crashed: Kernel panic - not syncing: no root', 'Kernel panic - not syncing: no root\n'),
    ('probe', [], 0, '', 'all absent\n'),
    ('nothing', [], 0, '', 'early: nothing to do\n'),
]


def run(bench, name, options, status, errors, output):
    outcome = bench.run('--machine', 'pc', *options, parameters=[f'do={name}'], timeout=2 if status == 124 else 60)
    outcome.ended(status).said(rf'\A{output}\Z')
    outcome.said(rf'\A{errors}\n\Z' if errors else r'\A\Z', 'errors')


def main(kennel, kernel, *names):
    cases = [case for case in CASES if not names or case[0] in names]
    print(f'1..{len(cases)}')
    for number, case in enumerate(cases, 1):
        name = ' '.join([case[0].replace('-', ' '), *case[1]])
        try:
            run(Bench(kennel, kernel), *case)
        except Failure as failure:
            print(f'not ok {number} - {name}')
            print(f'{name}: {failure}', file=sys.stderr)
        else:
            print(f'ok {number} - {name}')


if __name__ == '__main__':
    main(*sys.argv[1:])
