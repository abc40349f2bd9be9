#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-pup-image.py PUP - is this the ELF file that an lguest host expects to load?

An i386 executable whose entry point is a physical address inside a loaded, executable segment; segments page-aligned, in memory
above the boot parameters, linked at PAGE_OFFSET above where they are loaded, and not overlapping.
"""
import struct
import sys

PAGE_OFFSET = 0xC0000000
EM_386, ET_EXEC, PT_LOAD, PF_X = 3, 2, 1, 1


def segments(image):
    """The program headers that are loaded, as dictionaries."""
    offset, size, count = struct.unpack_from('<I', image, 28)[0], *struct.unpack_from('<HH', image, 42)
    names = ('type', 'offset', 'vaddr', 'paddr', 'filesz', 'memsz', 'flags', 'align')
    headers = (dict(zip(names, struct.unpack_from('<8I', image, offset + i * size))) for i in range(count))
    return [h for h in headers if h['type'] == PT_LOAD]


def problems(image):
    if image[:7] != b'\x7fELF\x01\x01\x01':
        yield 'not a little-endian 32-bit ELF file'
        return
    kind, machine, _, entry = struct.unpack_from('<HHII', image, 16)
    if kind != ET_EXEC:
        yield f'type {kind}, not an executable'
    if machine != EM_386:
        yield f'machine {machine}, not i386'
    loads = sorted(segments(image), key=lambda s: s['paddr'])
    if not loads:
        yield 'nothing to load'
    if not any(s['flags'] & PF_X and s['paddr'] <= entry < s['paddr'] + s['filesz'] for s in loads):
        yield f'entry {entry:#x} is not the physical address of loaded code'
    end = 0x100000
    for s in loads:
        where = f"segment at {s['paddr']:#x}"
        if s['vaddr'] - s['paddr'] != PAGE_OFFSET:
            yield f'{where} is linked at {s["vaddr"]:#x}'
        if s['paddr'] % 4096 or s['offset'] % 4096:
            yield f'{where} is not page-aligned in memory and file'
        if s['paddr'] < end:
            yield f'{where} begins below {end:#x}'
        if s['offset'] + s['filesz'] > len(image) or s['filesz'] > s['memsz']:
            yield f'{where} is larger than its file'
        end = s['paddr'] + s['memsz']
    if end > 0x800000:
        yield f'the image ends at {end:#x}, above the 8 MiB that its boot page tables show'


def main():
    with open(sys.argv[1], 'rb') as file:
        found = list(problems(file.read()))
    for problem in found:
        print(f'{sys.argv[1]}: {problem}')
    return bool(found)


if __name__ == '__main__':
    sys.exit(main())
