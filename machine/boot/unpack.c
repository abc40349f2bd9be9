/* SPDX-License-Identifier: MIT */
/*
 * unpack.c - seven ways to unpack a kernel.
 *
 * A bzImage carries its payload in whatever format the kernel was configured with, known only by its first bytes
 * (Documentation/x86/boot: payload_offset). Behind the compressed stream the kernel's build appends the unpacked size, 4 bytes
 * little endian (gzip has it there by itself), so every unpacker here must stop at the end of its stream and ignore the rest.
 */
#include "machine/boot/unpack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <zlib.h>
#include <zstd.h>

#include "host/memory_file.h"

/* For dictionaries: the kernel's build uses at most 128 MiB (zstd --ultra), a damaged header may ask for gigabytes. */
enum { MEMORY_LIMIT = 256 << 20 };

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static long unpack_gzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	z_stream z = {.next_in = (Bytef *)in, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)room};
	int status;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -1;
	status = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return status == Z_STREAM_END ? (long)z.total_out : -1;
}

/*
 * The dictionary is the largest thing here, some megabytes that come into being page by page while it fills; so pieces that large are mapped at
 * once. Each piece begins with its size, for its end.
 */
enum { LARGE = 1 << 20, HEAD = 64 };

static void *lzma_large_alloc(void *opaque, size_t count, size_t size)
{
	size_t whole = count * size + HEAD;
	uint8_t *p = whole < LARGE ? malloc(whole) : mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!p || p == MAP_FAILED)
		return NULL;
	if (whole >= LARGE)
		memory_populate(p, whole);
	memcpy(p, &whole, sizeof(whole));
	return p + HEAD;
}

static void lzma_large_free(void *opaque, void *at)
{
	uint8_t *p = at;
	size_t whole;

	if (!p)
		return;
	p -= HEAD;
	memcpy(&whole, p, sizeof(whole));
	if (whole < LARGE)
		free(p);
	else
		munmap(p, whole);
}

static const lzma_allocator lzma_large = {.alloc = lzma_large_alloc, .free = lzma_large_free};

static long run_lzma(lzma_stream *z, lzma_ret started, const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	lzma_ret status = started;

	z->next_in = in;
	z->avail_in = len;
	z->next_out = out;
	z->avail_out = room;
	while (status == LZMA_OK && (z->avail_in || z->avail_out))
		status = lzma_code(z, z->avail_in ? LZMA_RUN : LZMA_FINISH);
	lzma_end(z);
	return status == LZMA_STREAM_END ? (long)z->total_out : -1;
}

static long unpack_xz(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	lzma_stream z = {.allocator = &lzma_large};

	return run_lzma(&z, lzma_stream_decoder(&z, MEMORY_LIMIT, 0), in, len, out, room);
}

static long unpack_lzma(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	lzma_stream z = {.allocator = &lzma_large};

	return run_lzma(&z, lzma_alone_decoder(&z, MEMORY_LIMIT), in, len, out, room);
}

static long unpack_bzip2(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	bz_stream z = {.next_in = (char *)in, .avail_in = (unsigned int)len, .next_out = (char *)out, .avail_out = (unsigned int)room};
	int status;

	if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK)
		return -1;
	status = BZ2_bzDecompress(&z);
	BZ2_bzDecompressEnd(&z);
	return status == BZ_STREAM_END ? (long)((uint64_t)z.total_out_hi32 << 32 | z.total_out_lo32) : -1;
}

/* lzop's file header: magic, versions, method, level (from version 0x940 on), flags, mode, times, name, checksum. */
static long lzop_header(const uint8_t *in, size_t len, uint32_t *flags)
{
	enum { MAGIC = 9, FILTER = 0x800, EXTRA = 0x40 };
	size_t at = MAGIC;
	uint32_t version;

	if (len < 64)
		return -1;
	version = be16(in + at);
	at += 2 + 2;				/* version, library version */
	if (version >= 0x940)
		at += 2;			/* version needed to extract */
	at += 1;				/* method */
	if (version >= 0x940)
		at += 1;			/* level */
	*flags = be32(in + at);
	at += 4;
	if (*flags & (FILTER | EXTRA))
		return -1;
	at += 4 + 4;				/* mode, mtime */
	if (version >= 0x940)
		at += 4;			/* mtime, high half */
	at += 1 + in[at];			/* name */
	at += 4;				/* header checksum */
	return at < len ? (long)at : -1;
}

static long unpack_lzop(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	enum { ADLER_D = 1, ADLER_C = 2, CRC_D = 0x100, CRC_C = 0x200 };
	uint32_t flags;
	size_t done = 0;
	long at = lzop_header(in, len, &flags);
	size_t pos = (size_t)at;

	if (at < 0 || lzo_init() != LZO_E_OK)
		return -1;
	for (;;) {
		uint32_t raw, packed;
		lzo_uint n;

		if (len - pos < 4)
			return -1;
		raw = be32(in + pos);
		pos += 4;
		if (!raw)
			return (long)done;
		if (len - pos < 4 + 16)
			return -1;
		packed = be32(in + pos);
		pos += 4;
		pos += !!(flags & ADLER_D) * 4 + !!(flags & CRC_D) * 4;
		if (packed < raw)
			pos += !!(flags & ADLER_C) * 4 + !!(flags & CRC_C) * 4;
		if (packed > len - pos || raw > room - done || packed > raw)
			return -1;
		n = raw;
		if (packed == raw)
			memcpy(out + done, in + pos, raw);
		else if (lzo1x_decompress_safe(in + pos, packed, out + done, &n, NULL) != LZO_E_OK || n != raw)
			return -1;
		pos += packed;
		done += raw;
	}
}

/* The legacy frame: magic, then blocks of {packed size, data}, each 8 MiB unpacked. It has no end mark: the appended size is it. */
static long unpack_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	enum { BLOCK = 8 << 20, MAGIC = 0x184c2102 };
	size_t pos = 4, done = 0;

	while (len - pos > 4) {
		uint32_t packed = le32(in + pos);
		size_t want = room - done < BLOCK ? room - done : BLOCK;
		int n;

		pos += 4;
		if (packed == MAGIC)
			continue;
		if (packed > len - pos)
			return -1;
		n = LZ4_decompress_safe((const char *)in + pos, (char *)out + done, (int)packed, (int)want);
		if (n < 0)
			return -1;
		pos += packed;
		done += (size_t)n;
		if (n < BLOCK)
			break;
	}
	return (long)done;
}

static long unpack_zstd(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();
	ZSTD_inBuffer from = {in, len, 0};
	ZSTD_outBuffer to = {out, room, 0};
	size_t left = 1;

	if (!z)
		return -1;
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, 27);
	while (left && !ZSTD_isError(left)) {
		size_t before = from.pos + to.pos;

		left = ZSTD_decompressStream(z, &to, &from);
		if (left && from.pos + to.pos == before)
			break;
	}
	ZSTD_freeDCtx(z);
	return left ? -1 : (long)to.pos;
}

static const struct unpacker unpackers[] = {
	{"gzip", {0x1f, 0x8b}, 2, unpack_gzip},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
	{"bzip2", {'B', 'Z', 'h'}, 3, unpack_bzip2},
	{"lzma", {0x5d, 0, 0}, 3, unpack_lzma},
	{"lzo", {0x89, 'L', 'Z', 'O', 0, 0x0d, 0x0a, 0x1a, 0x0a}, 9, unpack_lzop},
	{"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
};

const struct unpacker *unpacker_find(const uint8_t *in, size_t len)
{
	for (size_t i = 0; i < sizeof(unpackers) / sizeof(unpackers[0]); i++)
		if (len >= unpackers[i].magic_len && !memcmp(in, unpackers[i].magic, unpackers[i].magic_len))
			return &unpackers[i];
	return NULL;
}
