/* SPDX-License-Identifier: MIT */
#include "images.h"

#include <assert.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bzlib.h>
#include <lz4hc.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include "machine/boot/bytes.h"

static struct image image_new(size_t size)
{
	struct image image = {calloc(1, size), size};

	assert(image.data);
	return image;
}

void image_free(struct image image)
{
	free(image.data);
}

struct image image_vmlinux(void)
{
	static const char words[] = "Linux version 3.19.8 (somebody@somewhere) #1\n\0lguest";
	struct image image = image_new(0x1000 + IMAGE_TEXT);
	Elf32_Ehdr *e = (Elf32_Ehdr *)image.data;
	Elf32_Phdr *p = (Elf32_Phdr *)(image.data + sizeof(*e));

	memcpy(e->e_ident, ELFMAG, SELFMAG);
	e->e_ident[EI_CLASS] = ELFCLASS32;
	e->e_ident[EI_DATA] = ELFDATA2LSB;
	e->e_type = ET_EXEC;
	e->e_machine = EM_386;
	e->e_entry = IMAGE_ENTRY;
	e->e_phoff = sizeof(*e);
	e->e_phentsize = sizeof(*p);
	e->e_phnum = 2;
	p[0].p_type = PT_LOAD;
	p[0].p_offset = 0x1000;
	p[0].p_paddr = IMAGE_PADDR;
	p[0].p_vaddr = 0xc0000000 + IMAGE_PADDR;
	p[0].p_filesz = IMAGE_TEXT;
	p[0].p_memsz = IMAGE_TEXT + IMAGE_BSS;
	p[1].p_type = PT_NOTE;
	for (size_t i = 0; i < IMAGE_TEXT; i++)
		image.data[0x1000 + i] = (uint8_t)(i * 7 + i / 256);
	memcpy(image.data + 0x1100, words, sizeof(words));
	return image;
}

struct image image_bzimage(uint16_t protocol, const uint8_t *payload, size_t len)
{
	enum { SETUP = 3 * 512, STUB = 64 };
	static const char version[] = "3.11.10 (somebody@somewhere) #2 SMP";
	size_t body = (STUB + len + 15) / 16 * 16;
	struct image image = image_new(SETUP + body);
	uint8_t *d = image.data;

	d[0x1f1] = SETUP / 512 - 1;
	put32(d + 0x1f4, (uint32_t)(body / 16));
	put16(d + 0x1fe, 0xaa55);
	d[0x201] = 0x62;
	memcpy(d + 0x202, "HdrS", 4);
	put16(d + 0x206, protocol);
	put16(d + 0x20e, 0x300);
	memcpy(d + 0x500, version, sizeof(version));
	d[0x210] = 0x77;
	d[0x211] = 0x81;		/* LOADED_HIGH, CAN_USE_HEAP */
	put32(d + 0x214, 0x100000);
	put32(d + 0x218, 0xdead0000);
	put32(d + 0x22c, 0x37ffffff);
	put32(d + 0x230, 0x200000);
	put64(d + 0x250, 0xbad);
	if (protocol >= 0x208) {
		put32(d + 0x248, STUB);
		put32(d + 0x24c, (uint32_t)len);
	}
	if (protocol >= 0x20a)
		put32(d + 0x260, 0x400000);
	memcpy(d + SETUP + STUB, payload, len);
	return image;
}

static size_t pack_lzma(struct image plain, uint8_t *out, size_t room, int alone)
{
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	lzma_ret status;
	size_t n;

	lzma_lzma_preset(&options, 6);
	status = alone ? lzma_alone_encoder(&z, &options) : lzma_easy_encoder(&z, 6, LZMA_CHECK_CRC32);
	assert(status == LZMA_OK);
	z.next_in = plain.data;
	z.avail_in = plain.size;
	z.next_out = out;
	z.avail_out = room;
	status = lzma_code(&z, LZMA_FINISH);
	assert(status == LZMA_STREAM_END);
	n = z.total_out;
	lzma_end(&z);
	return n;
}

static size_t pack_gzip(struct image plain, uint8_t *out, size_t room)
{
	z_stream z = {.next_in = plain.data, .avail_in = (uInt)plain.size, .next_out = out, .avail_out = (uInt)room};
	int status = deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);

	assert(status == Z_OK);
	status = deflate(&z, Z_FINISH);
	assert(status == Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

/* What lzop writes: a header, blocks with an Adler-32 of the plain data, a zero. */
static size_t pack_lzop(struct image plain, uint8_t *out)
{
	static const uint8_t magic[] = {0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a};
	enum { BLOCK = 4096 };
	void *work = malloc(LZO1X_1_MEM_COMPRESS);
	size_t at = sizeof(magic);

	memcpy(out, magic, sizeof(magic));
	memset(out + at, 0, 64);
	out[at] = 0x10, out[at + 1] = 0x30;	/* version */
	put_be32(out + at + 8, 1);		/* flags: ADLER32_D */
	out[at + 24] = 3;			/* name length */
	memcpy(out + at + 25, "abc", 3);
	at += 25 + 3 + 4;
	for (size_t from = 0; from < plain.size; from += BLOCK) {
		size_t raw = plain.size - from < BLOCK ? plain.size - from : BLOCK;
		lzo_uint packed = 0;

		lzo1x_1_compress(plain.data + from, raw, out + at + 12, &packed, work);
		if (packed >= raw) {
			packed = raw;
			memcpy(out + at + 12, plain.data + from, raw);
		}
		put_be32(out + at, (uint32_t)raw);
		put_be32(out + at + 4, (uint32_t)packed);
		at += 12 + packed;
	}
	put_be32(out + at, 0);
	free(work);
	return at + 4;
}

static size_t pack_lz4(struct image plain, uint8_t *out, size_t room)
{
	int n = LZ4_compress_HC((const char *)plain.data, (char *)out + 8, (int)plain.size, (int)room - 8, 9);

	assert(n > 0 && plain.size < 8 << 20);
	put32(out, 0x184c2102);
	put32(out + 4, (uint32_t)n);
	return 8 + (size_t)n;
}

/* With a checksum, as the zstd program does it. */
static size_t pack_zstd(struct image plain, uint8_t *out, size_t room)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t n;

	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(z, out, room, plain.data, plain.size);
	assert(!ZSTD_isError(n));
	ZSTD_freeCCtx(z);
	return n;
}

struct image image_pack(const char *format, struct image plain)
{
	struct image image = image_new(plain.size * 2 + 4096);
	size_t room = image.size - 4, n = 0;

	if (!strcmp(format, "gzip"))
		n = pack_gzip(plain, image.data, room);
	else if (!strcmp(format, "xz") || !strcmp(format, "lzma"))
		n = pack_lzma(plain, image.data, room, !strcmp(format, "lzma"));
	else if (!strcmp(format, "lzo"))
		n = pack_lzop(plain, image.data);
	else if (!strcmp(format, "lz4"))
		n = pack_lz4(plain, image.data, room);
	else if (!strcmp(format, "zstd"))
		n = pack_zstd(plain, image.data, room);
	else if (!strcmp(format, "bzip2")) {
		unsigned int len = (unsigned int)room;
		int status = BZ2_bzBuffToBuffCompress((char *)image.data, &len, (char *)plain.data, (unsigned int)plain.size, 9, 0, 0);

		assert(status == BZ_OK);
		n = len;
	}
	assert(n);
	/* gzip ends with the size by itself; for the others the kernel's build appends it. */
	if (strcmp(format, "gzip")) {
		put32(image.data + n, (uint32_t)plain.size);
		n += 4;
	}
	image.size = n;
	return image;
}

static char names[8][32];
static unsigned int next_name;

const char *image_file(const void *data, size_t size)
{
	char *name = names[next_name++ % 8];
	ssize_t n;
	int fd;

	if (*name)
		unlink(name);
	strcpy(name, "/tmp/kennel-test-XXXXXX");
	fd = mkstemp(name);
	assert(fd >= 0);
	n = write(fd, data, size);
	assert(n == (ssize_t)size);
	close(fd);
	return name;
}

void image_cleanup(void)
{
	for (size_t i = 0; i < 8; i++)
		if (*names[i])
			unlink(names[i]);
}
