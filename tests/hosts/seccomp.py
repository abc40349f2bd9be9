# SPDX-License-Identifier: MIT
"""Docker's default profile for seccomp, as the runtime specification wants it, for a process without capabilities on x86-64.

Debian has the profile in the form that Docker, Podman and containerd read. It is older than two things that hosts do today and that
are put right here: what is not named is refused with EPERM (Docker's answer; Podman's is ENOSYS), and io_uring is not named (Docker
since version 25, containerd since 2.0).
"""
import json
import os

PROFILE = '/usr/share/containers/seccomp.json'
EPERM = 1
ARCHITECTURES = {'amd64', 'x86', 'x32'}


def applies(rule):
    """Is it for this architecture, and for somebody who has no capabilities?"""
    includes, excludes = rule.get('includes') or {}, rule.get('excludes') or {}
    return (not includes.get('caps') and not includes.get('minKernel') and ARCHITECTURES & set(includes.get('arches') or ARCHITECTURES)
            and not ARCHITECTURES & set(excludes.get('arches') or ()))


def docker_default():
    """The section `seccomp` of a configuration, or None where there is no profile."""
    if not os.path.exists(PROFILE):
        return None
    with open(PROFILE, encoding='utf-8') as file:
        profile = json.load(file)
    rules = []
    for rule in profile['syscalls']:
        names = [name for name in rule['names'] if not name.startswith('io_uring_')]
        if not applies(rule) or not names:
            continue
        made = {'names': names, 'action': rule['action'], 'args': rule.get('args') or []}
        if rule['action'] == 'SCMP_ACT_ERRNO':
            made['errnoRet'] = rule.get('errnoRet', EPERM)
        rules.append(made)
    return {'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': EPERM, 'architectures': ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
            'syscalls': rules}
