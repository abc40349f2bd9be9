#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""results.py SCRIPT - what scripts/results makes of a log: what was left out is named and has not passed."""
import json
import os
import subprocess
import sys
import tempfile

# One test each: its result, what it printed, and what is to be counted and named of it.
CASES = [
    ('plain', 'OK', 'fine\n', (1, 0), []),
    ('broken', 'FAIL', '', (0, 1), []),
    ('slow', 'TIMEOUT', '1..2\nok 1 - one\n', (1, 1), []),
    ('talkative', 'OK', 'ok one\nok two\n', (1, 0), []),
    ('whole', 'SKIP', 'run by nobody\nskipped: no programs here\n', (0, 0), ['whole: no programs here']),
    ('case', 'SKIP', 'skipped guest: no kernel: none\n', (0, 0), ['case: no kernel: none']),
    ('silent', 'SKIP', 'well\n', (0, 0), ['silent: no reason given']),
    ('tap', 'OK', '1..3\nok 1 - one\nok 2 two # SKIP not there\nok 3\n', (2, 0), ['tap, two: not there']),
    ('tap-broken', 'FAIL', '1..3\nok 1 - one\nnot ok 2 - two\nnot ok 3 - three\n', (1, 2), []),
    ('tap-nothing', 'SKIP', '1..0 # SKIP no archive\n', (0, 0), ['tap-nothing: no archive']),
    ('cmocka', 'OK', 'skipped: no loop device\n[  SKIPPED ] loop\n[  PASSED  ] 4 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n'
     '[  SKIPPED ] loop\n', (1, 0), ['cmocka, loop: no loop device']),
    ('cmocka-all', 'OK', '[  SKIPPED ] all\n[  PASSED  ] 0 test(s).\n', (0, 0), ['cmocka-all, all: no reason given']),
    ('parts', 'OK', 'skipped alias: two addresses\nskipped: another\nfine\n', (1, 0), ['parts, alias: two addresses', 'parts: another']),
]


def results(script, tests):
    with tempfile.TemporaryDirectory() as build:
        os.mkdir(os.path.join(build, 'meson-logs'))
        with open(os.path.join(build, 'meson-logs', 'testlog.json'), 'w', encoding='utf-8') as file:
            for name, result, stdout, *_ in tests:
                json.dump({'name': f'kennel:suite / {name}', 'result': result, 'stdout': stdout}, file)
                file.write('\n')
        return subprocess.run([script, build], capture_output=True, text=True, check=True).stdout.splitlines()


def expected(tests):
    lines = ['  ' + line for test in tests for line in test[4]]
    passed, failed = (sum(test[3][n] for test in tests) for n in (0, 1))
    return ['left out:'] * bool(lines) + lines + [f'{passed} passed, {failed} failed, {len(lines)} skipped']


def main(script):
    bad = 0
    for tests in [[case] for case in CASES] + [CASES]:
        got, want = results(script, tests), expected(tests)
        if got != want:
            print(f'{tests[0][0]}: {got}, not {want}')
            bad += 1
    return bad > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
