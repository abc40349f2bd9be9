# SPDX-License-Identifier: MIT
"""Minimal root file systems of Debian's releases, as fresh as a machine can be: Essential packages and apt, nothing else.

What comes from the archive is kept from one run to the next, never what was installed: the root as a tar file for a week, packages as apt
has downloaded them. All under ${XDG_CACHE_HOME:-~/.cache}/kennel-hosts.
"""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time

from oci import Container, bind

WEEK = 7 * 24 * 3600
MAKE_SECONDS = 900
MIRROR = os.environ.get('DEBIAN_MIRROR', 'http://deb.debian.org/debian')
ALL_CAPABILITIES = ['CAP_AUDIT_WRITE', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_KILL', 'CAP_MKNOD', 'CAP_NET_BIND_SERVICE',
                    'CAP_NET_RAW', 'CAP_SETFCAP', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_SETUID', 'CAP_SYS_ADMIN', 'CAP_SYS_CHROOT']


class Unavailable(Exception):
    """No such root can be had here; the text says why."""


def cache(*names):
    path = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'kennel-hosts', *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def tarball(suite):
    """The root as a file, made if there is none or an old one. An old one is better than none."""
    path = cache(suite + '.tar')
    if os.path.exists(path) and time.time() - os.path.getmtime(path) < WEEK:
        return path
    if not shutil.which('mmdebstrap'):
        raise Unavailable('mmdebstrap is not installed')
    part = path + '.part'
    try:
        outcome = subprocess.run(['mmdebstrap', '--quiet', '--variant=minbase', '--format=tar', suite, part, MIRROR], stdin=subprocess.DEVNULL,
                                 capture_output=True, text=True, timeout=MAKE_SECONDS, check=False)
        said = (outcome.stderr.strip().splitlines() or ['mmdebstrap failed'])[-1] if outcome.returncode else ''
    except subprocess.TimeoutExpired:
        said = f'the archive did not answer within {MAKE_SECONDS} s'
    if not said:
        os.rename(part, path)
    elif not os.path.exists(path):
        raise Unavailable(said)
    return path


@contextlib.contextmanager
def fresh(suite, mounts=()):
    """A machine with that release, on the host's network. (container, its root's path)"""
    if os.geteuid():
        raise Unavailable('making a root takes root')
    with tempfile.TemporaryDirectory(prefix='kennel-root-', dir='/var/tmp') as root:
        subprocess.run(['tar', '-C', root, '--numeric-owner', '-xf', tarball(suite)], check=True)
        shutil.copy('/etc/resolv.conf', os.path.join(root, 'etc'))
        archives = cache(suite + '-archives', 'partial')
        os.makedirs(archives, exist_ok=True)
        container = Container(root, read_only=False, network=True, new_privileges=True, capabilities=ALL_CAPABILITIES,
                              mounts=[bind('/var/cache/apt/archives', os.path.dirname(archives)), *mounts])
        if why := container.trouble():
            raise Unavailable(why)
        yield container, root


def program(suite, package, path):
    """A file out of a package of that release, on the host. For what is linked statically."""
    kept = cache(f'{suite}-{package}', path.strip('/'))
    if os.path.exists(kept):
        return kept
    with fresh(suite) as (container, root):
        script = f'apt-get -qq update && cd /tmp && apt-get -qq download {package} && dpkg-deb -x {package}_*.deb /tmp/unpacked'
        outcome = container.run(['sh', '-c', script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAKE_SECONDS)
        if outcome.returncode:
            raise Unavailable((outcome.stderr.strip().splitlines() or [f'no {package}'])[-1])
        shutil.copy(os.path.join(root, 'tmp', 'unpacked', path.strip('/')), kept)
    return kept
