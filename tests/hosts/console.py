# SPDX-License-Identifier: MIT
"""Somebody at the serial port of a virtual machine: a process with pipes for its standard input and output."""
import os
import select
import subprocess
import time


class Console:
    def __init__(self, process, seconds):
        self.process, self.start = process, time.monotonic()
        self.seconds = seconds
        self.seen, self.at = b'', 0

    def expect(self, text):
        """Seconds since the start when that text has appeared behind the last one that was waited for; None if it does not come."""
        while (found := self.seen.find(text, self.at)) < 0:
            left = self.start + self.seconds - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 4096)
            if not data:
                return None
            self.seen += data
        self.at = found + len(text)
        return time.monotonic() - self.start

    def type(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()

    def log_in(self, user, prompt, *lines):
        """The seconds to the login, if somebody could log in and type those lines."""
        seconds = self.expect(b'login: ')
        if not seconds:
            return None
        self.type(user)
        for line in lines:
            if not self.expect(prompt):
                return None
            self.type(line)
        return seconds

    def text(self):
        return self.seen.decode(errors='replace').replace('\r', '')

    def end(self, seconds=120):
        """How it ends by itself, or is ended."""
        try:
            self.seen += self.process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()     # not for its pipes: others may hold these
        return self.process.returncode
