/* SPDX-License-Identifier: MIT */
/*
 * fuzz-kernel.c - any bytes are a kernel that can be loaded, or a sentence. See tests/virtio/fuzz.h.
 *
 * Chance alone would never write a kernel. So the first byte of the input chooses a whole one, and the rest says what is spoiled in it, or
 * is the packed stream itself, from behind its first bytes on; or, with nothing chosen, the rest is the file.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/boot/bytes.h"
#include "machine/boot/params.h"
#include "tests/machine/images.h"
#include "tests/virtio/fuzz.h"

enum { RAM = 2 << 20, LARGEST = 32 << 10, MAGIC = 16, HEADER = 0x1f0, PAYLOAD = 3 * 512 + 64 };

static const char *const formats[] = {"gzip", "xz", "lzma", "bzip2", "lzo", "lz4", "zstd"};

enum { FORMATS = sizeof(formats) / sizeof(formats[0]), STREAM = 0x80 };

static struct image vmlinux, packed[FORMATS];
static uint8_t file[LARGEST], *ram;
static char path[32];
static int fd;

static void create(void)
{
	vmlinux = image_vmlinux();
	for (unsigned int i = 0; i < FORMATS; i++)
		packed[i] = image_pack(formats[i], vmlinux);
	ram = malloc(RAM);
	fd = memfd_create("kernel", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

/* --- files -------------------------------------------------------------------------------------------------------------------- */

static size_t copy(const uint8_t *data, size_t size)
{
	size_t len = size < LARGEST ? size : LARGEST;

	memcpy(file, data, len);
	return len;
}

/* A bzImage around a payload, which is not kept. */
static size_t wrap(uint16_t protocol, struct image payload)
{
	struct image image = image_bzimage(protocol, payload.data, payload.size);
	size_t len = copy(image.data, image.size);

	image_free(image);
	return len;
}

/* The first bytes of a format, bytes of the input's choice, and what they are said to unpack to. */
static size_t stream(struct fuzz_input *in, uint16_t protocol, struct image like)
{
	static uint8_t data[LARGEST / 2];
	size_t len = in->left < sizeof(data) - MAGIC - 4 ? in->left : sizeof(data) - MAGIC - 4;

	memcpy(data, like.data, MAGIC);
	if (len)
		memcpy(data + MAGIC, in->data, len);
	in->left = 0;
	put32(data + MAGIC + len, (uint32_t)vmlinux.size);
	return wrap(protocol, (struct image){data, MAGIC + len + 4});
}

/* Somewhere in the headers, or at the beginning or the end of what is packed. */
static void spoil(struct fuzz_input *in, size_t size)
{
	while (in->left) {
		uint8_t how = fuzz_u8(in);
		size_t at = fuzz_u8(in);

		if (how & 1)
			at += HEADER;
		else if (how & 2)
			at += PAYLOAD;
		else if (how & 4)
			at = size - at;
		if (at + 4 > size)
			continue;
		if (how & 8)
			put32(file + at, how & 0x10 ? fuzz_u32(in) : fuzz_u8(in));
		else
			file[at] = fuzz_u8(in);
	}
}

static size_t make_file(struct fuzz_input *in)
{
	static const uint16_t protocols[] = {0x203, 0x207, 0x208, 0x20c};
	uint8_t how = fuzz_u8(in), what = (how & 0xf) % (FORMATS + 3);
	uint16_t protocol = protocols[how >> 4 & 3];
	size_t size;

	switch (what) {
	case 0:
		return copy(in->data, in->left);
	case 1:
		size = copy(vmlinux.data, vmlinux.size);
		break;
	case 2:
		size = wrap(protocol, vmlinux);
		break;
	default:
		size = how & STREAM ? stream(in, protocol, packed[what - 3]) : wrap(protocol, packed[what - 3]);
	}
	spoil(in, size);
	return size;
}

/* --------------------------------------------------------------------------------------------------------------------------------- */

static void load(struct kernel *kernel)
{
	struct error error = {""};
	struct boot_params params = {.kernel = kernel, .command_line = "quiet", .subarch = SUBARCH_LGUEST};
	int ret;

	memset(ram, 0, RAM);
	ret = kernel_load(kernel, ram, RAM, &error);
	if (!ret)
		ret = boot_params_write(&params, ram, RAM, &error);
	if (ret && !*error.text)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct kernel kernel;
	struct error error = {""};

	if (!ram)
		create();
	size = make_file(&in);
	if (ftruncate(fd, 0) || pwrite(fd, file, size, 0) != (ssize_t)size)
		return 0;
	if (kernel_open(&kernel, path, &error)) {
		if (!*error.text)
			abort();
		return 0;
	}
	load(&kernel);
	kernel_close(&kernel);
	return 0;
}
