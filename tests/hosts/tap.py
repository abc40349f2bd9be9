# SPDX-License-Identifier: MIT
"""TAP: how the tests of hosts tell their results, one line for each, which .ci/run counts.

A host that cannot be made here is left out as a whole, and says why.
"""
import sys


class Report:
    def __init__(self, host):
        self.host, self.count, self.failed = host, 0, 0

    def __call__(self, name, good, detail=''):
        self.count += 1
        self.failed += not good
        print(f'{"" if good else "not "}ok {self.count} - {self.host}: {name}', flush=True)
        if not good and detail:
            self.say(detail)
        return good

    def without(self, name, why):
        """One result that cannot be had."""
        self.count += 1
        print(f'ok {self.count} - {self.host}: {name} # SKIP {why}', flush=True)

    @staticmethod
    def say(text):
        """Something to know besides."""
        print('\n'.join('# ' + line for line in str(text).splitlines()), flush=True)

    def end(self):
        print(f'1..{self.count}', flush=True)
        return bool(self.failed)


def leave_out(why):
    """End here: nothing of this host can be had."""
    print(f'1..0 # SKIP {" ".join(str(why).split())}')
    sys.exit(0)
