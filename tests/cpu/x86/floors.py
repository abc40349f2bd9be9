#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are the rooms of cpu/x86 on their floors, and does scripts/floors see it when they are not?"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

FLOORS = sys.argv.pop(1)
ROOT = os.path.join(os.path.dirname(FLOORS), '..')


class Floors(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        shutil.copytree(os.path.join(ROOT, 'cpu/x86'), os.path.join(self.dir.name, 'cpu/x86'))
        os.mkdir(os.path.join(self.dir.name, 'docs'))
        shutil.copy(os.path.join(ROOT, 'docs/tour.md'), os.path.join(self.dir.name, 'docs'))

    def tearDown(self):
        self.dir.cleanup()

    def add(self, path, text):
        os.makedirs(os.path.dirname(os.path.join(self.dir.name, path)), exist_ok=True)
        with open(os.path.join(self.dir.name, path), 'a') as f:
            f.write(text)

    def run_floors(self):
        done = subprocess.run([FLOORS, self.dir.name], capture_output=True, text=True)
        self.assertEqual(done.stderr, '')
        self.assertEqual(done.returncode, bool(done.stdout))
        return done.stdout.splitlines()

    def includes(self, path, header):
        self.add(path, f'#include "{header}"\n')
        return self.run_floors()

    def test_the_tree(self):
        self.assertEqual(self.run_floors(), [])

    def test_upwards(self):
        self.assertEqual(self.includes('cpu/x86/cache/block.c', 'cpu/x86/translate/emit.h'),
                         ['cpu/x86/cache/block.c, on floor 4, includes cpu/x86/translate/emit.h, on floor 7'])

    def test_beside(self):
        self.assertEqual(self.includes('cpu/x86/space/soft.h', 'cpu/x86/cache/block.h'),
                         ['cpu/x86/space/soft.h, on floor 4, includes cpu/x86/cache/block.h, on floor 4'])
        self.assertEqual(len(self.includes('cpu/x86/cache/jump.c', 'cpu/x86/space/slot.h')), 2)

    def test_from_the_hall(self):
        self.assertEqual(self.includes('cpu/x86/frame.h', 'cpu/x86/cache/block.h'),
                         ['cpu/x86/frame.h, on floor 3, includes cpu/x86/cache/block.h, on floor 4'])

    def test_into_the_hall(self):
        self.assertEqual(self.includes('cpu/x86/translate/odd.h', 'cpu/x86/fault.h'),
                         ['cpu/x86/translate/odd.h, on floor 7, includes cpu/x86/fault.h, on floor 8'])
        self.assertEqual(len(self.includes('cpu/x86/decode/decode.h', 'cpu/x86/state.h')), 2)

    def test_out_of_the_hall(self):
        self.assertEqual(self.includes('cpu/x86/run.c', 'host/message.h'),
                         ['cpu/x86/run.c: includes host/message.h, which is not in cpu/x86/'])

    def test_downwards(self):
        self.assertEqual(self.includes('cpu/x86/space/soft.c', 'cpu/x86/decode/optable.h'), [])
        self.assertEqual(self.includes('cpu/x86/run.c', 'cpu/x86/fault.h'), [])

    def test_who_has_no_floor(self):
        self.add('cpu/x86/attic.c', '')
        self.add('cpu/x86/cellar/wine.c', '')
        self.assertEqual(self.run_floors(), ['cpu/x86/attic.c: has no floor in docs/tour.md',
                                             'cpu/x86/cellar/wine.c: has no floor in docs/tour.md'])

    def test_a_floor_without_anybody(self):
        os.remove(os.path.join(self.dir.name, 'cpu/x86/copy.h'))
        self.assertEqual(self.run_floors(), ['docs/tour.md: there is no cpu/x86/copy.h'])


if __name__ == '__main__':
    unittest.main()
