/* SPDX-License-Identifier: MIT */
#include <device/p9/wire.h>

#include <string.h>

#include <virtio/endian.h>

/* --- reading ---------------------------------------------------------------------------------------------------------- */

static const uint8_t *take(struct p9_in *in, size_t len)
{
	static const uint8_t nothing[8];
	const uint8_t *at = in->at;

	if (in->bad || (size_t)(in->end - in->at) < len) {
		in->bad = true;
		return nothing;
	}
	in->at += len;
	return at;
}

uint8_t p9_get8(struct p9_in *in)
{
	return *take(in, 1);
}

uint16_t p9_get16(struct p9_in *in)
{
	return virtio_get16(false, take(in, 2));
}

uint32_t p9_get32(struct p9_in *in)
{
	return virtio_get32(false, take(in, 4));
}

uint64_t p9_get64(struct p9_in *in)
{
	return virtio_get64(false, take(in, 8));
}

/* The two bytes of its length, which are read by now, make room for the NUL. */
char *p9_get_string(struct p9_in *in)
{
	static char nothing[1];
	size_t len = p9_get16(in);
	uint8_t *text;

	if (in->bad || (size_t)(in->end - in->at) < len || memchr(in->at, 0, len)) {
		in->bad = true;
		return nothing;
	}
	text = in->at - 1;
	memmove(text, in->at, len);
	text[len] = 0;
	in->at += len;
	return (char *)text;
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

void p9_put_bytes(struct p9_out *out, const void *bytes, size_t len)
{
	if (out->full || len > out->limit - out->at) {
		out->full = true;
		return;
	}
	virtio_iov_write(out->iov, out->count, out->at, bytes, len);
	out->at += len;
}

void p9_put8(struct p9_out *out, uint8_t v)
{
	p9_put_bytes(out, &v, 1);
}

void p9_put16(struct p9_out *out, uint16_t v)
{
	uint8_t bytes[2];

	virtio_put16(false, bytes, v);
	p9_put_bytes(out, bytes, sizeof(bytes));
}

void p9_put32(struct p9_out *out, uint32_t v)
{
	uint8_t bytes[4];

	virtio_put32(false, bytes, v);
	p9_put_bytes(out, bytes, sizeof(bytes));
}

void p9_put64(struct p9_out *out, uint64_t v)
{
	uint8_t bytes[8];

	virtio_put64(false, bytes, v);
	p9_put_bytes(out, bytes, sizeof(bytes));
}

void p9_put_string(struct p9_out *out, const char *text, size_t len)
{
	p9_put16(out, (uint16_t)len);
	p9_put_bytes(out, text, len);
}

void p9_put_id(struct p9_out *out, const struct share_id *id)
{
	p9_put8(out, id->type);
	p9_put32(out, id->version);
	p9_put64(out, id->path);
}
