/* SPDX-License-Identifier: MIT */
/*
 * wire.h - 9P2000.L as bytes: message numbers, and reading and writing the fields of a message.
 *
 * Every message is size[4] type[1] tag[2] and fields, little-endian whatever the device's byte order is; a string is len[2] and that
 * many bytes. (Plan 9 manual, section 5; the .L messages: Linux, net/9p and include/net/9p/9p.h.)
 *
 * Neither reader nor writer has to be asked after each field: a field that is not there reads as zero or an empty string and sets
 * @bad; one that does not fit is not written and sets @full.
 */
#ifndef KENNEL_DEVICE_P9_WIRE_H
#define KENNEL_DEVICE_P9_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <device/backend.h>

/* Requests; the answer to each is one higher. */
enum p9_type {
	P9_RLERROR = 7,
	P9_TSTATFS = 8,
	P9_TLOPEN = 12,
	P9_TLCREATE = 14,
	P9_TSYMLINK = 16,
	P9_TMKNOD = 18,
	P9_TRENAME = 20,
	P9_TREADLINK = 22,
	P9_TGETATTR = 24,
	P9_TSETATTR = 26,
	P9_TXATTRWALK = 30,
	P9_TXATTRCREATE = 32,
	P9_TREADDIR = 40,
	P9_TFSYNC = 50,
	P9_TLOCK = 52,
	P9_TGETLOCK = 54,
	P9_TLINK = 70,
	P9_TMKDIR = 72,
	P9_TRENAMEAT = 74,
	P9_TUNLINKAT = 76,
	P9_TVERSION = 100,
	P9_TAUTH = 102,
	P9_TATTACH = 104,
	P9_TFLUSH = 108,
	P9_TWALK = 110,
	P9_TREAD = 116,
	P9_TWRITE = 118,
	P9_TCLUNK = 120,
	P9_TREMOVE = 122,
	P9_TYPES = 128,
};

#define P9_HEADER	7u			/* bytes: size, type, tag */
#define P9_ERROR_LEN	(P9_HEADER + 4)		/* of an Rlerror: what there is always room for */
#define P9_NOFID	0xffffffffu

/* A request, of which we have a copy that may be written to. */
struct p9_in {
	uint8_t *at, *end;
	bool bad;
};

uint8_t p9_get8(struct p9_in *in);
uint16_t p9_get16(struct p9_in *in);
uint32_t p9_get32(struct p9_in *in);
uint64_t p9_get64(struct p9_in *in);
/* The next string, NUL-terminated in place. One with a NUL in it is bad. Never NULL. */
char *p9_get_string(struct p9_in *in);

/* An answer, written straight to where it belongs. */
struct p9_out {
	const struct virtio_iov *iov;
	unsigned int count;
	uint64_t at;				/* bytes written, the header included */
	uint64_t limit;
	bool full;
};

void p9_put8(struct p9_out *out, uint8_t v);
void p9_put16(struct p9_out *out, uint16_t v);
void p9_put32(struct p9_out *out, uint32_t v);
void p9_put64(struct p9_out *out, uint64_t v);
void p9_put_bytes(struct p9_out *out, const void *bytes, size_t len);
void p9_put_string(struct p9_out *out, const char *text, size_t len);
void p9_put_id(struct p9_out *out, const struct share_id *id);	/* a qid */

#endif
