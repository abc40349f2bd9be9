# SPDX-License-Identifier: MIT
"""Containers, from a root file system and a configuration of the Open Container Initiative's runtime specification, run by crun.

Only what differs from one kind of host to the other is said by whoever uses this; the rest is what Docker does as well.
"""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

DEVICES = [('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']), ('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666']),
           ('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=64m'])]
SYSTEM = [('/proc', 'proc', []), ('/sys', 'sysfs', ['ro', 'nosuid', 'noexec', 'nodev'])]
# What no container may touch, as Docker has it.
MASKED = ['/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list', '/proc/sched_debug', '/sys/firmware']
READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']
PATH = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}
# crun looks at what is mounted there, even when told to leave control groups alone, and refuses a mixture of their two versions.
CRUN = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /sys/fs/cgroup && exec crun --cgroup-manager=disabled "$@"', 'crun']


def bind(place, source, *options):
    return {'destination': place, 'source': source, 'type': 'bind', 'options': ['rbind', *options]}


def mount(place, kind, *options):
    return {'destination': place, 'source': kind, 'type': kind, 'options': list(options)}


class Container:
    """One that is made and goes away with each command that runs in it."""

    def __init__(self, root, uid=0, read_only=True, network=False, mounts=(), capabilities=(), limits=(), seccomp=None, new_privileges=False):
        self.process = {
            'user': {'uid': uid, 'gid': uid},
            'capabilities': {kind: list(capabilities) for kind in ('bounding', 'effective', 'permitted')},
            'rlimits': [{'type': name, 'soft': value, 'hard': value} for name, value in limits],
            'noNewPrivileges': not new_privileges,
        }
        namespaces = ['pid', 'mount', 'ipc', 'uts'] + ([] if network else ['network'])
        self.config = {
            'ociVersion': '1.0.2',
            'root': {'path': root, 'readonly': read_only},
            'hostname': 'container',
            'mounts': [mount(place, kind, *options) for place, kind, options in DEVICES + SYSTEM] + list(mounts),
            'linux': {'namespaces': [{'type': name} for name in namespaces], 'maskedPaths': MASKED, 'readonlyPaths': READ_ONLY},
        }
        if seccomp:
            self.config['linux']['seccomp'] = seccomp

    @contextlib.contextmanager
    def started(self, command, cwd='/', environment=None, **more):
        """Like subprocess.Popen(); when this is left, all that runs in there ends."""
        process = {**self.process, 'args': list(command), 'cwd': cwd, 'env': [f'{name}={value}' for name, value in {**PATH, **(environment or {})}.items()]}
        with tempfile.TemporaryDirectory(prefix='kennel-host-') as bundle:
            with open(os.path.join(bundle, 'config.json'), 'w', encoding='utf-8') as file:
                json.dump({**self.config, 'process': process}, file)
            name = os.path.basename(bundle)
            try:
                with subprocess.Popen([*CRUN, 'run', '--bundle', bundle, name], **more) as child:
                    try:
                        yield child
                    finally:
                        # What it started may live on where crun itself was killed.
                        subprocess.run([*CRUN, 'kill', name, 'KILL'], check=False, capture_output=True)
            finally:
                subprocess.run([*CRUN, 'delete', '--force', name], check=False, capture_output=True)

    def run(self, command, timeout=None, capture_output=False, **more):
        """Like subprocess.run(); the timeout ends all that runs in there."""
        pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE} if capture_output else {}
        with self.started(command, **pipes, **more) as child:
            output, errors = child.communicate(timeout=timeout)
        return subprocess.CompletedProcess(command, child.returncode, output, errors)

    def trouble(self):
        """Why no such container can be made here, or None."""
        if os.geteuid():
            return 'making one takes root'
        if not shutil.which('crun'):
            return 'crun is not installed'
        outcome = self.run(['/bin/true'], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        return (outcome.stderr.strip() or f'status {outcome.returncode}') if outcome.returncode else None
