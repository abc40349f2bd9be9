/* SPDX-License-Identifier: MIT */
/*
 * kernel.c - vmlinux or bzImage.
 *
 * A bzImage is a boot sector with the setup header (Documentation/x86/boot), some sectors of 16-bit code that nobody here
 * runs, and the 32-bit part: a small unpacker with a compressed vmlinux inside. From protocol 2.08 on the header says where
 * that payload lies, and unpacking it on the host saves the guest a second of work: what comes out is an ELF file. Older
 * ones, and payloads packed in a way not known here, are loaded whole at 1 MiB and unpack themselves.
 */
#include "machine/boot/kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "host/memory_file.h"
#include "machine/boot/bytes.h"
#include "machine/ram.h"

/* Offsets in the first sector. Linux, Documentation/x86/boot. */
enum {
	SETUP_SECTS = 0x1f1,
	SYSSIZE = 0x1f4,	/* 16-byte units */
	BOOT_FLAG = 0x1fe,
	HDRS = 0x202,	/* "HdrS" */
	PROTOCOL = 0x206,
	KERNEL_VERSION = 0x20e,	/* + 0x200 = where the text is */
	LOADFLAGS = 0x211,
	CODE32_START = 0x214,
	XLOADFLAGS = 0x236,
	PAYLOAD_OFFSET = 0x248,
	PAYLOAD_LENGTH = 0x24c,
	INIT_SIZE = 0x260,
	HEADER_END = 0x264,
	LOADED_HIGH = 1,
	XLF_KERNEL_64 = 1,
	UNPACKED_LIMIT = 512 << 20,
};

static bool is_bzimage(const struct file_view *file)
{
	return file->size >= HEADER_END && get16(file->data + BOOT_FLAG) == 0xaa55 && !memcmp(file->data + HDRS, "HdrS", 4);
}

static void copy_version(struct kernel *kernel, const uint8_t *text, size_t room)
{
	size_t n = 0;

	while (n < room && n < sizeof(kernel->version) - 1 && text[n] >= ' ' && text[n] < 0x7f)
		n++;
	memcpy(kernel->version, text, n);
	kernel->version[n] = 0;
}

static void find_version(struct kernel *kernel)
{
	static const char banner[] = "Linux version ";
	size_t at;

	if (kernel->setup && (at = get16(kernel->setup + KERNEL_VERSION))) {
		if (at + 0x200 < kernel->file.size)
			copy_version(kernel, kernel->file.data + at + 0x200, kernel->file.size - at - 0x200);
	} else if (kernel->elf) {
		const uint8_t *end = kernel->elf + kernel->elf_size;
		const uint8_t *p = memmem(kernel->elf, kernel->elf_size, banner, sizeof(banner) - 1);

		if (p)
			copy_version(kernel, p + sizeof(banner) - 1, (size_t)(end - p) - (sizeof(banner) - 1));
	}
}

/* What the payload unpacks to, for the caller to unmap; or NULL and a sentence. */
static uint8_t *unpack(const struct kernel *kernel, size_t *size, struct error *error)
{
	const char *path = kernel->file.path, *packing = kernel->unpacker->name;
	uint8_t *out;
	long got;

	*size = get32(kernel->payload + kernel->payload_size - 4);
	if (*size < 52 || *size > UNPACKED_LIMIT) {
		error_set(error, ENOEXEC, "%s: is damaged: its %s payload claims to unpack to %zu bytes", path, packing, *size);
		return NULL;
	}
	/* Not from the heap, which would keep it. */
	out = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (out == MAP_FAILED) {
		error_set(error, ENOMEM, "%s: no memory to unpack %zu bytes", path, *size);
		return NULL;
	}
	memory_populate(out, *size);
	got = kernel->unpacker->unpack(kernel->payload, kernel->payload_size, out, *size);
	if (got < 0 || (size_t)got != *size) {
		error_set(error, ENOEXEC, "%s: is damaged: its %s payload does not unpack", path, packing);
		munmap(out, *size);
		return NULL;
	}
	return out;
}

/* Loaded at 1 MiB, it moves itself to its preferred address first: what it needs there is in init_size (protocol 2.10). */
static int place_raw(struct kernel *kernel, const uint8_t *raw, size_t size, struct error *error)
{
	const uint8_t *setup = kernel->setup;
	uint32_t entry = get32(setup + CODE32_START);
	uint32_t init = get16(setup + PROTOCOL) >= 0x20a ? get32(setup + INIT_SIZE) : 0;

	if (!(setup[LOADFLAGS] & LOADED_HIGH))
		return error_set(error, ENOEXEC, "%s: is a zImage, which loads below 1 MiB; a bzImage or vmlinux is needed", kernel->file.path);
	kernel->raw = raw;
	kernel->raw_size = size;
	kernel->place.start = 0x100000;
	kernel->place.entry = entry >= 0x100000 && entry - 0x100000 < size ? entry : 0x100000;
	kernel->place.end = init ? 0x1000000 + init : 0x100000 + (uint32_t)size;
	return 0;
}

static int open_bzimage(struct kernel *kernel, struct error *error)
{
	const struct file_view *file = &kernel->file;
	const uint8_t *setup = file->data;
	uint32_t protocol = get16(setup + PROTOCOL), offset, length;
	size_t skip = (setup[SETUP_SECTS] ? setup[SETUP_SECTS] + 1u : 5u) * 512;
	size_t body = (size_t)get32(setup + SYSSIZE) * 16;

	kernel->setup = setup;
	if (protocol < 0x204)	/* syssize is 16 bits wide before 2.04 */
		body &= 0xfffff;
	/* The last unit need not be full: the build rounds up, and some versions do not pad. */
	if (file->size < skip || file->size - skip + 15 < body)
		return error_set(error, ENOEXEC, "%s: is truncated: the bzImage should have %zu bytes but has %zu", file->path, skip + body, file->size);
	if (protocol >= 0x20c && get16(setup + XLOADFLAGS) & XLF_KERNEL_64)
		return error_set(error, ENOEXEC, "%s: is a 64-bit kernel; a 32-bit (i386) one is needed", file->path);
	if (protocol < 0x208)
		return place_raw(kernel, setup + skip, file->size - skip, error);
	offset = get32(setup + PAYLOAD_OFFSET);
	length = get32(setup + PAYLOAD_LENGTH);
	if (!length)
		return place_raw(kernel, setup + skip, file->size - skip, error);
	if (length < 16 || offset > file->size - skip || length > file->size - skip - offset)
		return error_set(error, ENOEXEC, "%s: is truncated: the kernel packed in it is not all there", file->path);
	kernel->payload = setup + skip + offset;
	kernel->payload_size = length;
	kernel->unpacker = unpacker_find(kernel->payload, length);
	if (!kernel->unpacker)
		return place_raw(kernel, setup + skip, file->size - skip, error);
	kernel->elf = kernel->unpacked = unpack(kernel, &kernel->elf_size, error);
	return kernel->elf ? 0 : -ENOEXEC;
}

static int open_any(struct kernel *kernel, struct error *error)
{
	const struct file_view *file = &kernel->file;
	int err;

	if (!file->size)
		return error_set(error, ENOEXEC, "%s: is empty, not a kernel", file->path);
	if (elf_is(file->data, file->size)) {
		kernel->elf = file->data;
		kernel->elf_size = file->size;
	} else if (is_bzimage(file)) {
		err = open_bzimage(kernel, error);
		if (err)
			return err;
	} else {
		return error_set(error, ENOEXEC, "%s: is not a kernel: neither an ELF file (vmlinux) nor a bzImage", file->path);
	}
	if (kernel->elf) {
		if (!elf_is(kernel->elf, kernel->elf_size))
			return error_set(error, ENOEXEC, "%s: is damaged: what is packed in it is no ELF file", file->path);
		err = elf_check(kernel->elf, kernel->elf_size, file->path, &kernel->place, error);
		if (err)
			return err;
	}
	find_version(kernel);
	return 0;
}

int kernel_open(struct kernel *kernel, const char *path, struct error *error)
{
	int err;

	*kernel = (struct kernel){0};
	err = file_open(&kernel->file, path, "kernel", error);
	if (err)
		return err;
	err = open_any(kernel, error);
	if (err)
		kernel_close(kernel);
	return err;
}

static void drop_unpacked(struct kernel *kernel)
{
	if (!kernel->unpacked)
		return;
	munmap(kernel->unpacked, kernel->elf_size);
	kernel->elf = kernel->unpacked = NULL;
}

void kernel_close(struct kernel *kernel)
{
	drop_unpacked(kernel);
	file_close(&kernel->file);
}

void kernel_rest(struct kernel *kernel)
{
	drop_unpacked(kernel);
	file_rest(&kernel->file);
}

bool kernel_contains(const struct kernel *kernel, const void *bytes, size_t len)
{
	return !kernel->elf || memmem(kernel->elf, kernel->elf_size, bytes, len);
}

/* Checked again: since it was opened somebody may have written to the file. */
static int load_elf(const struct kernel *kernel, const uint8_t *elf, size_t size, uint8_t *ram, struct error *error)
{
	struct kernel_place place;
	int err = elf_check(elf, size, kernel->file.path, &place, error);

	if (err)
		return err;
	if (place.entry != kernel->place.entry || place.start != kernel->place.start || place.end != kernel->place.end)
		return error_set(error, ENOEXEC, "%s: is another kernel now than when the guest was started", kernel->file.path);
	elf_copy(elf, ram);
	return 0;
}

static int load_again(const struct kernel *kernel, uint8_t *ram, struct error *error)
{
	size_t size;
	uint8_t *elf = unpack(kernel, &size, error);
	int err;

	if (!elf)
		return -ENOEXEC;
	err = load_elf(kernel, elf, size, ram, error);
	munmap(elf, size);
	return err;
}

int kernel_load(const struct kernel *kernel, uint8_t *ram, uint32_t size, struct error *error)
{
	const struct kernel_place *place = &kernel->place;

	if (place->start < 0x2000)
		return error_set(error, ENOEXEC, "%s: has a segment at %#x, where the boot parameters go", kernel->file.path, place->start);
	if (place->end > RAM_MAX)
		return error_set(error, ENOEXEC, "%s: has its segments outside memory: it ends at %#x, memory at %#llx at the most",
			       kernel->file.path, place->end, RAM_MAX);
	if (place->end > size)
		return error_set(error, ENOMEM, "%s: too little memory: this kernel needs at least %uM, the guest has %uM (see --memory)",
			       kernel->file.path, (unsigned int)(((uint64_t)place->end + 0xfffff) >> 20), size >> 20);
	if (kernel->elf)
		return load_elf(kernel, kernel->elf, kernel->elf_size, ram, error);
	if (kernel->unpacker)
		return load_again(kernel, ram, error);
	memory_fill(ram + place->start, kernel->raw, kernel->raw_size);
	return 0;
}
