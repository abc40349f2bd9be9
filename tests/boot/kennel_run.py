# SPDX-License-Identifier: MIT
"""Running kennel for a test: a command, what it said, how it ended, and a way to complain."""
import os
import re
import subprocess
import tempfile
import time


class Failure(Exception):
    pass


class Outcome:
    """One finished `kennel run`."""

    def __init__(self, command, status, output, errors, seconds, cpu):
        self.command, self.status, self.output, self.errors = command, status, output, errors
        self.seconds, self.cpu = seconds, cpu

    def fail(self, why):
        raise Failure(f'{why}\n  command: {" ".join(self.command)}\n  status {self.status} after {self.seconds:.1f} s\n'
                      f'--- stdout\n{self.output}\n--- stderr\n{self.errors}')

    def ended(self, status):
        if self.status != status:
            self.fail(f'status {self.status}, expected {status}')
        return self

    def said(self, pattern, where='output'):
        if not re.search(pattern, getattr(self, where), re.M):
            self.fail(f'{where} does not match {pattern!r}')
        return self

    def kept_quiet(self, pattern, where='output'):
        if match := re.search(pattern, getattr(self, where), re.M):
            self.fail(f'{where} has {match[0]!r}')
        return self


class Bench:
    """What a test needs: the programs, and a directory that goes away."""

    def __init__(self, kennel, pup):
        self.kennel, self.pup = os.path.abspath(kennel), os.path.abspath(pup)
        self.temporary = tempfile.TemporaryDirectory(prefix='kennel-test-')
        self.directory = self.temporary.name

    def path(self, name):
        return os.path.join(self.directory, name)

    def file(self, name, content=b'', size=None):
        with open(self.path(name), 'wb') as file:
            file.write(content)
            if size is not None:
                file.truncate(size)
        return self.path(name)

    def command(self, *options, kernel=None, parameters=(), memory='64M', net='none', timeout=60):
        base = [self.kennel, 'run', '--timeout', str(timeout)]
        base += ['-m', memory] if memory else []
        base += ['-n', net] if net else []
        return base + [*options, kernel or self.pup, *(['--', *parameters] if parameters else [])]

    def run(self, *options, run=None, typed=None, environment=None, started=None, before=None, **more):
        """Run to the end. run: pup's commands; typed: bytes on standard input; started is told the process, before() runs in it."""
        parameters = list(more.pop('parameters', []))
        if run:
            parameters.append(f'run={run}')
        command = self.command(*options, parameters=parameters, **more)
        start, then = time.monotonic(), os.times()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=before,
                              env={**os.environ, **(environment or {})}) as process:
            if started:
                started(process)
            try:
                output, errors = process.communicate(typed if typed is not None else b'', timeout=more.get('timeout', 60) + 60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        now = os.times()
        cpu = now.children_user + now.children_system - then.children_user - then.children_system
        return Outcome(command, process.returncode, output.decode(errors='replace').replace('\r', ''),
                       errors.decode(errors='replace').replace('\r', ''), time.monotonic() - start, cpu)
