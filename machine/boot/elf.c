/* SPDX-License-Identifier: MIT */
/*
 * elf.c - vmlinux.
 *
 * Segments go to p_paddr; the entry point of an i386 vmlinux is a physical address since 2.6.24 (lguest-core, 2.2). Where it
 * lies in no segment's physical range but in a virtual one, it is moved along with its segment.
 */
#include "machine/boot/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "host/memory_file.h"

bool elf_is(const uint8_t *image, size_t size)
{
	return size >= SELFMAG && !memcmp(image, ELFMAG, SELFMAG);
}

/* Headers are copied out: an image inside another file has no alignment. */
static Elf32_Ehdr header_of(const uint8_t *image)
{
	Elf32_Ehdr header;

	memcpy(&header, image, sizeof(header));
	return header;
}

static Elf32_Phdr segment_of(const uint8_t *image, const Elf32_Ehdr *header, unsigned int i)
{
	Elf32_Phdr segment;

	memcpy(&segment, image + header->e_phoff + (size_t)i * sizeof(segment), sizeof(segment));
	return segment;
}

/* One rule for checking and for copying: what was not checked is not copied. */
static bool is_loaded(const Elf32_Phdr *s)
{
	return s->p_type == PT_LOAD && s->p_memsz;
}

static int check_header(const uint8_t *image, size_t size, const char *name, struct error *error)
{
	Elf32_Ehdr header;

	if (size > EI_CLASS && image[EI_CLASS] == ELFCLASS64)
		return error_set(error, ENOEXEC, "%s: is a 64-bit kernel; a 32-bit (i386) one is needed", name);
	if (size < sizeof(header))
		return error_set(error, ENOEXEC, "%s: is truncated: the ELF header is not complete", name);
	header = header_of(image);
	if (header.e_ident[EI_CLASS] != ELFCLASS32 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_386)
		return error_set(error, ENOEXEC, "%s: is an ELF file for another processor; an i386 kernel is needed", name);
	if (header.e_type != ET_EXEC)
		return error_set(error, ENOEXEC, "%s: is an ELF file but no kernel: it is not an executable at fixed addresses", name);
	if (header.e_phentsize != sizeof(Elf32_Phdr) || !header.e_phnum)
		return error_set(error, ENOEXEC, "%s: is an ELF file but no kernel: it has no program headers", name);
	if (header.e_phoff > size || (size_t)header.e_phnum * sizeof(Elf32_Phdr) > size - header.e_phoff)
		return error_set(error, ENOEXEC, "%s: is truncated: the program headers lie outside the file", name);
	return 0;
}

static int check_segment(const Elf32_Phdr *s, size_t size, const char *name, struct error *error)
{
	if (s->p_offset > size || s->p_filesz > size - s->p_offset)
		return error_set(error, ENOEXEC, "%s: is truncated: the segment at %#x ends at offset %llu of a file of %zu bytes", name,
			       s->p_paddr, (unsigned long long)s->p_offset + s->p_filesz, size);
	if (s->p_filesz > s->p_memsz)
		return error_set(error, ENOEXEC, "%s: is damaged: the segment at %#x is larger in the file than in memory", name, s->p_paddr);
	if (s->p_paddr + s->p_memsz < s->p_paddr)
		return error_set(error, ENOEXEC, "%s: has a segment outside memory: %#x with %#x bytes", name, s->p_paddr, s->p_memsz);
	return 0;
}

int elf_check(const uint8_t *image, size_t size, const char *name, struct kernel_place *place, struct error *error)
{
	bool entered = false;
	Elf32_Ehdr header;
	int err = check_header(image, size, name, error);

	if (err)
		return err;
	header = header_of(image);
	*place = (struct kernel_place){.entry = header.e_entry, .start = UINT32_MAX};
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		Elf32_Phdr s = segment_of(image, &header, i);

		if (!is_loaded(&s))
			continue;
		err = check_segment(&s, size, name, error);
		if (err)
			return err;
		if (s.p_paddr < place->start) {
			place->start = s.p_paddr;
			place->page_offset = s.p_vaddr - s.p_paddr;
		}
		if (s.p_paddr + s.p_memsz > place->end)
			place->end = s.p_paddr + s.p_memsz;
		entered |= header.e_entry - s.p_paddr < s.p_filesz;
	}
	for (unsigned int i = 0; i < header.e_phnum && !entered; i++) {
		Elf32_Phdr s = segment_of(image, &header, i);

		entered = is_loaded(&s) && header.e_entry - s.p_vaddr < s.p_filesz;
		if (entered)
			place->entry = header.e_entry - s.p_vaddr + s.p_paddr;
	}
	if (!entered)
		return error_set(error, ENOEXEC, "%s: its entry point %#x lies in none of its segments", name, header.e_entry);
	return 0;
}

void elf_copy(const uint8_t *image, uint8_t *ram)
{
	Elf32_Ehdr header = header_of(image);

	for (unsigned int i = 0; i < header.e_phnum; i++) {
		Elf32_Phdr s = segment_of(image, &header, i);

		if (is_loaded(&s))
			memory_fill(ram + s.p_paddr, image + s.p_offset, s.p_filesz);
	}
}
