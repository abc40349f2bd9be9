#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""isolation-dump tells a good dump from a bad one, a cut one and no dump at all. Argument: the program."""
import struct
import subprocess
import sys

LEAVE = bytes.fromhex("41b801000000" "41ffa7e0000000")  # mov r8d, 1; jmp [r15 + exits.next]
SYSCALL = bytes.fromhex("0f05")


def record(code, address=0x20000000, eip=0xC0100000, generation=0):
    return struct.pack("<4I", address, len(code), eip, generation) + code


def check(name, data, status, words):
    run = subprocess.run([sys.argv[1], "-"], input=data, capture_output=True)
    said = (run.stdout + run.stderr).decode()
    if run.returncode != status or words not in said:
        sys.exit(f"{name}: status {run.returncode}, expected {status}; said: {said!r}")


check("good", record(LEAVE) * 3, 0, "3 blocks, 39 bytes, 1 generations of the cache, 0 refused")
check("generations", record(LEAVE) + record(LEAVE, generation=4), 0, "5 generations")
check("bad", record(LEAVE) + record(SYSCALL + LEAVE, address=0x20000010), 1, "block of c0100000 at 20000010: listed at 0: syscall")
check("cut", record(LEAVE) + record(LEAVE)[:20], 0, "1 blocks")
check("empty", b"", 2, "no blocks")
check("no dump", b"\x7fELF" * 40, 2, "not a dump")
