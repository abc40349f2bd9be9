/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtio/endian.h>

/* --- the host's side -------------------------------------------------------------------------------------------------- */

const char *host_path(struct client *c, const char *path)
{
	static char full[4][512];
	static unsigned int next;
	char *p = full[next++ % 4];

	snprintf(p, sizeof(full[0]), "%s/%s", c->dir, path);
	return p;
}

void host_write(struct client *c, const char *path, const char *contents)
{
	FILE *f = fopen(host_path(c, path), "w");

	assert_non_null(f);
	fputs(contents, f);
	fclose(f);
}

const char *host_read(struct client *c, const char *path)
{
	static char text[4096];
	int fd = open(host_path(c, path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got;

	if (fd < 0)
		return NULL;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got < 0)
		return NULL;
	text[got] = 0;
	return text;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (ftw->level)
		remove(path);
	return 0;
}

/* A guest may have made directories that cannot be searched. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	return 0;
}

static void empty(const char *path)
{
	nftw(path, open_up, 16, FTW_PHYS);
	nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

void client_clean(struct client *c)
{
	mkdir(c->shared, 0755);
	empty(c->shared);
}

void client_begin(struct client *c, bool read_only)
{
	struct error err = {""};

	memset(c, 0, sizeof(*c));
	strcpy(c->dir, "share-XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	snprintf(c->shared, sizeof(c->shared), "%s/share", c->dir);
	assert_int_equal(mkdir(c->shared, 0755), 0);
	host_write(c, "secret", SECRET);
	c->loop = loop_create(&err);
	assert_non_null(c->loop);
	c->be = share_open(c->loop, "tag", c->shared, read_only, &err);
	if (!c->be)
		fail_msg("%s", err.text);
	c->server.backend = c->be;
	c->answer_room = sizeof(c->answer);
}

void client_end(struct client *c)
{
	p9_server_reset(&c->server);
	if (c->be)
		c->be->ops->close(c->be);
	loop_destroy(c->loop);
	empty(c->dir);
	rmdir(c->dir);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

static void put(struct client *c, const void *bytes, size_t len)
{
	assert_true(c->request_len + len <= sizeof(c->request));
	if (len)
		memcpy(c->request + c->request_len, bytes, len);
	c->request_len += len;
}

static void put_number(struct client *c, uint64_t v, size_t len)
{
	uint8_t bytes[8];

	virtio_put64(false, bytes, v);
	put(c, bytes, len);
}

static void put_string(struct client *c, const char *text, size_t len)
{
	put_number(c, len, 2);
	put(c, text, len);
}

void client_vput(struct client *c, uint8_t type, const char *format, va_list fields)
{
	const char *text;
	size_t len;

	c->request_len = 0;
	put_number(c, 0, 4);
	put_number(c, type, 1);
	put_number(c, ++c->tag, 2);
	for (; *format; format++)
		switch (*format) {
		case 'b':
			put_number(c, va_arg(fields, unsigned int), 1);
			break;
		case 'w':
			put_number(c, va_arg(fields, unsigned int), 2);
			break;
		case 'd':
			put_number(c, va_arg(fields, unsigned int), 4);
			break;
		case 'q':
			put_number(c, va_arg(fields, uint64_t), 8);
			break;
		case 's':
			text = va_arg(fields, const char *);
			put_string(c, text, strlen(text));
			break;
		case 'z':
			len = va_arg(fields, size_t);
			put_string(c, va_arg(fields, const char *), len);
			break;
		case 'r':
			len = va_arg(fields, size_t);
			put(c, va_arg(fields, const char *), len);
			break;
		default:
			fail_msg("no such format: %c", *format);
		}
	virtio_put32(false, c->request, (uint32_t)c->request_len);
}

void client_put(struct client *c, uint8_t type, const char *format, ...)
{
	va_list fields;

	va_start(fields, format);
	client_vput(c, type, format, fields);
	va_end(fields);
}

static unsigned int cut(const struct client *c, struct virtio_iov *iov, uint8_t *bytes, size_t len)
{
	size_t piece = c->piece ? c->piece : len;
	unsigned int count = 0;

	for (size_t at = 0; at < len; at += piece) {
		if (count == P9_PIECES_MAX / 2 - 1)
			piece = len - at;
		iov[count++] = (struct virtio_iov){bytes + at, len - at < piece ? len - at : piece};
	}
	return count;
}

bool client_at_once;

int client_send(struct client *c)
{
	struct virtio_iov out[P9_PIECES_MAX], in[P9_PIECES_MAX];
	unsigned int out_count = cut(c, out, c->request, c->request_len), in_count = cut(c, in, c->answer, c->answer_room);

	memset(c->answer, 0xa5, sizeof(c->answer));
	c->answer_len = 0;
	if (client_at_once && c->be->ops->now(c->be, true)) {
		c->answer_len = p9_server_serve_now(&c->server, out, out_count, in, in_count);
		c->be->ops->now(c->be, false);
	}
	if (!c->answer_len)
		c->answer_len = p9_server_serve(&c->server, out, out_count, in, in_count);
	assert_in_range(c->answer_len, P9_HEADER, c->answer_room);
	assert_int_equal(virtio_get32(false, c->answer), c->answer_len);
	assert_int_equal(virtio_get16(false, c->answer + 5), virtio_get16(false, c->request + 5));
	c->type = c->answer[4];
	c->reply = (struct p9_in){.at = c->answer + P9_HEADER, .end = c->answer + c->answer_len};
	if (c->type == P9_RLERROR) {
		assert_int_equal(c->answer_len, P9_ERROR_LEN);
		return -(int)virtio_get32(false, c->answer + P9_HEADER);
	}
	assert_int_equal(c->type, c->request[4] + 1);
	return 0;
}

int client_call(struct client *c, uint8_t type, const char *format, ...)
{
	va_list fields;

	va_start(fields, format);
	client_vput(c, type, format, fields);
	va_end(fields);
	return client_send(c);
}

/* --- common things ---------------------------------------------------------------------------------------------------- */

void client_attach(struct client *c)
{
	assert_int_equal(client_call(c, P9_TVERSION, "ds", 65536u, "9P2000.L"), 0);
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", 0u, P9_NOFID, "root", "", 0u), 0);
}

int client_step(struct client *c, uint32_t from, uint32_t fid, const char *name, size_t len)
{
	return client_call(c, P9_TWALK, "ddwz", from, fid, 1u, len, name);
}

int client_walk(struct client *c, uint32_t fid, const char *path)
{
	char copy[512], *rest = copy, *name;
	int error;

	client_call(c, P9_TCLUNK, "d", fid);
	error = client_call(c, P9_TWALK, "ddw", 0u, fid, 0u);
	snprintf(copy, sizeof(copy), "%s", path);
	while (!error && (name = strsep(&rest, "/")))
		if (*name)
			error = client_step(c, fid, fid, name, strlen(name));
	return error;
}

int client_open(struct client *c, uint32_t fid, const char *path, uint32_t flags)
{
	int error = client_walk(c, fid, path);

	return error ? error : client_call(c, P9_TLOPEN, "dd", fid, flags);
}

void client_make(struct client *c, uint32_t fid, const char *name, const char *contents)
{
	size_t len = strlen(contents);

	assert_int_equal(client_walk(c, fid, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", fid, name, 0102u, 0644u, 0u), 0);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", fid, UINT64_C(0), (unsigned int)len, len, contents), 0);
	assert_int_equal(p9_get32(&c->reply), len);
}
