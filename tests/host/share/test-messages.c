/* SPDX-License-Identifier: MIT */
/* Every message of 9P2000.L that Linux sends, over a real directory; and such as it never would. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtio/endian.h>

#include "host/share/tree.h"

#include "client.h"

static struct client *c;

static int begin(bool read_only)
{
	c = malloc(sizeof(*c));
	assert_non_null(c);
	client_begin(c, read_only);
	client_attach(c);
	return 0;
}

static int setup(void **state)
{
	return begin(false);
}

static int setup_read_only(void **state)
{
	return begin(true);
}

static int teardown(void **state)
{
	client_end(c);
	free(c);
	return 0;
}

static void expect_read(uint32_t fid, uint64_t offset, const char *text)
{
	assert_int_equal(client_call(c, P9_TREAD, "dqd", fid, offset, 4000u), 0);
	assert_int_equal(p9_get32(&c->reply), strlen(text));
	assert_memory_equal(c->reply.at, text, strlen(text));
}

static uint8_t get_type(void)
{
	uint8_t type = p9_get8(&c->reply);

	p9_get32(&c->reply);
	p9_get64(&c->reply);
	return type;
}

/* --- the session ------------------------------------------------------------------------------------------------------ */

static void versions(void **state)
{
	assert_int_equal(client_call(c, P9_TVERSION, "ds", 8192u, "9P2000.L"), 0);
	assert_int_equal(p9_get32(&c->reply), 8192);
	assert_string_equal(p9_get_string(&c->reply), "9P2000.L");
	assert_int_equal(client_call(c, P9_TVERSION, "ds", 0xffffffffu, "9P2000.L"), 0);
	assert_int_equal(p9_get32(&c->reply), P9_MSIZE_MAX);
	assert_int_equal(client_call(c, P9_TVERSION, "ds", 100u, "9P2000.L"), -EMSGSIZE);
	assert_int_equal(client_call(c, P9_TVERSION, "ds", 8192u, "9P2000.u"), 0);
	p9_get32(&c->reply);
	assert_string_equal(p9_get_string(&c->reply), "unknown");
	/* No session: nothing else is served. */
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", 0u, P9_NOFID, "root", "", 0u), -EPROTO);
}

static void a_version_ends_the_session(void **state)
{
	assert_int_equal(client_walk(c, 5, ""), 0);
	client_attach(c);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 5u, UINT64_C(0)), -EBADF);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 0u, UINT64_C(0)), 0);
}

static void attaching(void **state)
{
	assert_int_equal(client_call(c, P9_TAUTH, "dssd", 9u, "root", "", 0u), -EOPNOTSUPP);
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", 1u, 9u, "root", "", 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", 0u, P9_NOFID, "root", "", 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", P9_NOFID, P9_NOFID, "root", "", 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TATTACH, "ddssd", 1u, P9_NOFID, "somebody", "/etc", 7u), 0);
	assert_int_equal(get_type(), SHARE_DIRECTORY);
	assert_int_equal(client_call(c, P9_TFLUSH, "w", 3u), 0);
}

static void unknown_messages(void **state)
{
	static const uint8_t types[] = {0, 6, 7, 9, 54 + 1, 80, 99, 106, 112, 124, 126, 127, 128, 200, 255};

	for (size_t i = 0; i < sizeof(types); i++)
		assert_int_equal(client_call(c, types[i], "dddd", 0u, 0u, 0u, 0u), -EOPNOTSUPP);
}

/* Cut off at each byte, with its size as it was and as it would have to be; never more than an error. */
static void truncated_messages(void **state)
{
	static const struct {
		uint8_t type;
		const char *format;
	} all[] = {
		{P9_TLCREATE, "dsddd"}, {P9_TSYMLINK, "dssd"}, {P9_TMKDIR, "dsdd"}, {P9_TMKNOD, "dsdddd"}, {P9_TVERSION, "ds"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t whole;

		client_put(c, all[i].type, all[i].format, 0u, "name", "name", 1u, 1u, 1u);
		whole = c->request_len;
		for (size_t len = P9_HEADER; len < whole; len++) {
			client_put(c, all[i].type, all[i].format, 0u, "name", "name", 1u, 1u, 1u);
			c->request_len = len;
			assert_int_not_equal(client_send(c), 0);
			c->request[0] = (uint8_t)len;
			assert_int_not_equal(client_send(c), 0);
		}
	}
	client_attach(c);
	assert_null(host_read(c, "share/name"));
}

static void sizes_that_lie(void **state)
{
	client_put(c, P9_TGETATTR, "dq", 0u, UINT64_C(0));
	c->request[0] = 6;
	assert_int_equal(client_send(c), -EINVAL);
	c->request[0] = 0xff;
	assert_int_equal(client_send(c), -EINVAL);
	c->request[3] = 0xff;
	assert_int_equal(client_send(c), -EINVAL);
}

/* Answers that do not fit are errors, whatever the room. */
static void little_room(void **state)
{
	for (c->answer_room = P9_ERROR_LEN; c->answer_room < 160; c->answer_room++)
		assert_int_equal(client_call(c, P9_TGETATTR, "dq", 0u, UINT64_C(0)), -EMSGSIZE);
	c->answer_room = 160;
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 0u, UINT64_C(0)), 0);
}

/* Nothing depends on how the buffers are cut. */
static void any_layout(void **state)
{
	c->answer_room = 4096;
	for (c->piece = 1; c->piece < 30; c->piece += 4) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", c->piece);
		client_make(c, 1, name, "the contents, neither short nor long");
		expect_read(1, 4, "contents, neither short nor long");
	}
}

/* --- walking ---------------------------------------------------------------------------------------------------------- */

static void walking(void **state)
{
	mkdir(host_path(c, "share/a"), 0755);
	mkdir(host_path(c, "share/a/b"), 0755);
	host_write(c, "share/a/b/c", "deep");
	assert_int_equal(client_call(c, P9_TWALK, "ddwsss", 0u, 1u, 3u, "a", "b", "c"), 0);
	assert_int_equal(p9_get16(&c->reply), 3);
	assert_int_equal(get_type(), SHARE_DIRECTORY);
	assert_int_equal(get_type(), SHARE_DIRECTORY);
	assert_int_equal(get_type(), SHARE_FILE);
	assert_int_equal(client_call(c, P9_TLOPEN, "dd", 1u, 0u), 0);
	expect_read(1, 0, "deep");
	/* The fid is taken; an open one stays where it is. */
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 0u, 1u, 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 1u, 1u, 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 77u, 2u, 0u), -EBADF);
	/* Half-way: as far as it goes, and no new fid. */
	assert_int_equal(client_call(c, P9_TWALK, "ddwsss", 0u, 2u, 3u, "a", "b", "x"), 0);
	assert_int_equal(p9_get16(&c->reply), 2);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), -EBADF);
	assert_int_equal(client_call(c, P9_TWALK, "ddws", 0u, 2u, 1u, "x"), -ENOENT);
	assert_int_equal(client_call(c, P9_TWALK, "ddwss", 0u, 2u, 2u, "a", ".."), 0);
	assert_int_equal(p9_get16(&c->reply), 2);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 0u, 3u, 17u), -EINVAL);
	assert_int_equal(client_call(c, P9_TWALK, "ddws", 0u, 3u, 2u, "a"), -EINVAL);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 0u, P9_NOFID, 0u), -EINVAL);
	assert_int_equal(client_walk(c, 4, "a/b/c"), 0);
	assert_int_equal(client_step(c, 4, 5, "d", 1), -ENOTDIR);
}

static void many_fids(void **state)
{
	unsigned int count = 1;

	while (client_call(c, P9_TWALK, "ddw", 0u, count, 0u) == 0)
		count++;
	assert_int_equal(count, P9_FIDS_MAX);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 0u, count, 0u), -EMFILE);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 7u), 0);
	assert_int_equal(client_call(c, P9_TWALK, "ddw", 0u, count, 0u), 0);
}

/* More files than there may be descriptors: those closed meanwhile are found again, and only those. */
static void few_descriptors(void **state)
{
	struct share *share = to_share(c->be);
	enum { COUNT = 100, OPEN = 32 };

	share->open_max = 0;
	for (uint32_t i = 1; i <= COUNT; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%u", i);
		assert_int_equal(client_call(c, P9_TWALK, "ddw", i - 1, i, 0u), 0);
		assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", i, name, 0755u, 0u), 0);
		assert_int_equal(client_step(c, i, i, name, strlen(name)), 0);
		assert_in_range(share->nodes, 1, OPEN + 1);
	}
	for (uint32_t i = 1; i <= COUNT; i++)
		assert_int_equal(client_call(c, P9_TGETATTR, "dq", i * 7 % COUNT + 1, UINT64_C(0)), 0);
	/* Two at a time, the way to each longer than what is open. */
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 20u, "x", 0755u, 0u), 0);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 1u, UINT64_C(0)), 0);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 20u, "x", 22u, "y"), 0);
	assert_int_equal(access(host_path(c, "share/d1/d2/d3"), F_OK), 0);
}

/* Have the guest look at so many others that what it has looked at before is closed. */
static void close_the_rest(void)
{
	for (uint32_t i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "share/other%u", i);
		host_write(c, name, "");
		assert_int_equal(client_walk(c, 1000 + i, strchr(name, '/') + 1), 0);
	}
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(client_call(c, P9_TCLUNK, "d", 1000 + i), 0);
}

/* What has been renamed is found again by its new name, by all who hold it and whatever lies beneath; what was replaced is not. */
static void closed_and_renamed(void **state)
{
	to_share(c->be)->open_max = 0;
	assert_int_equal(mkdir(host_path(c, "share/a"), 0755), 0);
	assert_int_equal(mkdir(host_path(c, "share/a/b"), 0755), 0);
	host_write(c, "share/a/b/file", "text");
	assert_int_equal(client_walk(c, 1, "a"), 0);
	assert_int_equal(client_step(c, 1, 2, "b", 1), 0);
	assert_int_equal(client_step(c, 2, 3, "file", 4), 0);
	assert_int_equal(client_step(c, 2, 4, "file", 4), 0);	/* another one, by the same step */
	assert_int_equal(client_walk(c, 5, "a"), 0);
	close_the_rest();
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "a", 0u, "z"), 0);
	close_the_rest();
	for (uint32_t fid = 1; fid <= 5; fid++)
		assert_int_equal(client_call(c, P9_TGETATTR, "dq", fid, UINT64_C(0)), 0);
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 3u, 5u, "other"), 0);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 5u, "other", 5u, "other"), 0);
	close_the_rest();
	for (uint32_t fid = 1; fid <= 5; fid++)
		assert_int_equal(client_call(c, P9_TGETATTR, "dq", fid, UINT64_C(0)), 0);
	assert_int_equal(access(host_path(c, "share/z/other"), F_OK), 0);
	/* Somebody else's file has come into its place. */
	assert_int_equal(rename(host_path(c, "share/z/other"), host_path(c, "share/z/was")), 0);
	host_write(c, "share/z/other", "");
	close_the_rest();
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 3u, UINT64_C(0)), -ESTALE);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 2u, UINT64_C(0)), 0);
}

/* An open file stays, whatever becomes of its name and of its node; there are only so many, and room for them is made. */
static void many_open_files(void **state)
{
	struct share *share = to_share(c->be);

	client_make(c, 1, "open", "text");
	share->open_max = 0;
	close_the_rest();
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "open", 0u), 0);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 1u, UINT64_C(0)), 0);
	expect_read(1, 0, "text");
	host_write(c, "share/a", "");
	assert_int_equal(client_open(c, 3, "a", 0), -ENFILE);
	assert_int_equal(client_walk(c, 4, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 4u, "c", 0102u, 0644u, 0u), -ENFILE);
	share->open_max = 40;
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 4u, "c", 0102u, 0644u, 0u), 0);
}

/* --- contents --------------------------------------------------------------------------------------------------------- */

static void reading_and_writing(void **state)
{
	char *zero = calloc(1, 6000);

	client_make(c, 1, "file", "hello, host");
	assert_string_equal(host_read(c, "share/file"), "hello, host");
	expect_read(1, 0, "hello, host");
	expect_read(1, 7, "host");
	expect_read(1, 100, "");
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(7), 5u, (size_t)5, "guest"), 0);
	assert_string_equal(host_read(c, "share/file"), "hello, guest");
	assert_int_equal(client_call(c, P9_TFSYNC, "dd", 1u, 0u), 0);
	assert_int_equal(client_call(c, P9_TFSYNC, "dd", 1u, 1u), 0);
	assert_int_equal(client_call(c, P9_TFSYNC, "d", 1u), 0);
	/* Counts beyond what is there. */
	assert_int_equal(client_call(c, P9_TREAD, "dqd", 1u, UINT64_C(0), 0xffffffffu), 0);
	assert_int_equal(p9_get32(&c->reply), 12);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 6u, (size_t)5, "guest"), -EINVAL);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 0xffffffffu, (size_t)5, "guest"), -EINVAL);
	assert_int_equal(client_call(c, P9_TREAD, "dqd", 1u, UINT64_MAX, 4u), -EINVAL);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_MAX, 1u, (size_t)1, "x"), -EFBIG);
	/* As Linux does: the data is not counted in the message's size; longer than any other message, too. */
	client_put(c, P9_TWRITE, "dqdr", 1u, UINT64_C(12), 6000u, (size_t)6000, zero);
	virtio_put32(false, c->request, P9_HEADER + 16);
	assert_int_equal(client_send(c), 0);
	assert_int_equal(p9_get32(&c->reply), 6000);
	client_put(c, P9_TWRITE, "dqdr", 1u, UINT64_C(12), 6000u, (size_t)6000, zero);
	assert_int_equal(client_send(c), 0);
	free(zero);
}

static void opening(void **state)
{
	host_write(c, "share/file", "text");
	assert_int_equal(client_open(c, 1, "file", 0), 0);
	assert_int_equal(get_type(), SHARE_FILE);
	assert_int_equal(client_call(c, P9_TLOPEN, "dd", 1u, 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 1u, (size_t)1, "x"), -EBADF);
	assert_int_equal(client_open(c, 1, "file", 1), 0);
	assert_int_equal(client_call(c, P9_TREAD, "dqd", 1u, UINT64_C(0), 4u), -EBADF);
	assert_int_equal(client_open(c, 1, "file", 3), -EINVAL);
	assert_int_equal(client_open(c, 1, "file", 0200000), -ENOTDIR);
	assert_int_equal(client_open(c, 1, "", 1), -EISDIR);
	assert_int_equal(client_open(c, 1, "", 0), 0);
	assert_int_equal(client_call(c, P9_TREAD, "dqd", 1u, UINT64_C(0), 4u), -EISDIR);
	assert_int_equal(client_open(c, 1, "file", 01001), 0);
	assert_string_equal(host_read(c, "share/file"), "");
	assert_int_equal(client_open(c, 1, "file", 02001), 0);
	host_write(c, "share/file", "before");
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 6u, (size_t)6, " after"), 0);
	assert_string_equal(host_read(c, "share/file"), "before after");
}

#define SETATTR "ddddd" "q" "qqqq"

static int set(uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size, uint64_t sec, uint64_t nsec)
{
	return client_call(c, P9_TSETATTR, SETATTR, fid, valid, mode, 12345u, 12345u, size, sec, nsec, sec + 1, nsec);
}

static void write_at(uint32_t fid, uint64_t offset, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", fid, offset, (uint32_t)len, len, text), 0);
	assert_int_equal(p9_get32(&c->reply), len);
}

/* fcntl() takes O_APPEND away, or gives it, without a message: what is written elsewhere than at the end stays where it is put. */
static void appending_no_more(void **state)
{
	assert_int_equal(client_walk(c, 1, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 1u, "file", 02102u, 0644u, 0u), 0);
	write_at(1, 0, "abc");
	write_at(1, 0, "X");
	assert_string_equal(host_read(c, "share/file"), "Xbc");
	write_at(1, 5, "gap");
	write_at(1, 8, "end");
	assert_int_equal(memcmp(host_read(c, "share/file"), "Xbc\0\0gapend", 12), 0);
	assert_int_equal(client_open(c, 1, "file", 01000 | 02001), 0);
	write_at(1, 0, "abc");
	write_at(1, 1, "Y");
	assert_string_equal(host_read(c, "share/file"), "aYc");
	/* What was opened for anything else never appends. */
	assert_int_equal(client_open(c, 1, "file", 1), 0);
	host_write(c, "share/file", "longer than it was");
	write_at(1, 3, "-");
	assert_string_equal(host_read(c, "share/file"), "lon-er than it was");
}

/* Somebody on the host appends too: the guest, which has not heard of it, writes over none of that. */
static void appending_together(void **state)
{
	client_make(c, 2, "file", "one ");
	assert_int_equal(client_open(c, 1, "file", 02001), 0);
	host_write(c, "share/file", "one two ");
	write_at(1, 4, "three ");
	write_at(1, 10, "four ");
	assert_string_equal(host_read(c, "share/file"), "one two three four ");
	/* It asks, by whatever name and number, and knows the true end; the one that it believed in is a place like any other. */
	assert_int_equal(client_walk(c, 3, "file"), 0);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 3u, UINT64_C(0x7ff)), 0);
	write_at(1, 15, "OUR");
	host_write(c, "share/file", "one two three fOUR five ");
	write_at(1, 19, "six ");
	assert_string_equal(host_read(c, "share/file"), "one two three fOUR five six ");
	/* Another file of the guest's moves the end that the guest knows of. */
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 2u, UINT64_C(40), 4u, (size_t)4, "last"), 0);
	assert_int_equal(truncate(host_path(c, "share/file"), 3), 0);
	write_at(1, 44, "!");
	assert_string_equal(host_read(c, "share/file"), "one!");
	assert_int_equal(set(1, SHARE_SET_SIZE, 0, 2, 0, 0), 0);
	host_write(c, "share/file", "on the host");
	write_at(1, 2, " and here");
	assert_string_equal(host_read(c, "share/file"), "on the host and here");
}

static void creating(void **state)
{
	client_make(c, 1, "file", "one");
	assert_int_equal(client_walk(c, 2, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "file", 0302u, 0644u, 0u), -EEXIST);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "file", 0100u, 0644u, 0u), 0);
	expect_read(2, 0, "one");
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "other", 0102u, 0644u, 0u), -EINVAL);
	assert_int_equal(client_walk(c, 2, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "file", 01102u, 0644u, 0u), 0);
	assert_string_equal(host_read(c, "share/file"), "");
	assert_int_equal(client_walk(c, 2, "file"), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "x", 0102u, 0644u, 0u), -ENOTDIR);
}

/* The guest's kernel has applied a umask already; ours is not applied again. No set-user-ID. */
static void modes(void **state)
{
	struct stat st;

	assert_int_equal(client_walk(c, 1, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 1u, "file", 0102u, 06666u, 0u), 0);
	assert_int_equal(stat(host_path(c, "share/file"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0666);
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 0u, "dir", 01777u, 0u), 0);
	assert_int_equal(get_type(), SHARE_DIRECTORY);
	assert_int_equal(stat(host_path(c, "share/dir"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "fifo", S_IFIFO | 0666u, 0u, 0u, 0u), 0);
	assert_int_equal(stat(host_path(c, "share/fifo"), &st), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0666);
}

/* Unlinked while open: gone from the directory, not from those who hold it. */
static void unlinked_while_open(void **state)
{
	client_make(c, 1, "file", "still here");
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "file", 0u), 0);
	assert_int_equal(client_walk(c, 2, "file"), -ENOENT);
	expect_read(1, 0, "still here");
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 1u, UINT64_C(0x7ff)), 0);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 5u, (size_t)5, "STILL"), 0);
	expect_read(1, 0, "STILL here");
}

/* --- directories ------------------------------------------------------------------------------------------------------ */

/* Every entry once, however little fits an answer. */
static void listing(void **state)
{
	enum { COUNT = 300 };

	for (unsigned int room = 64; room <= 8192; room *= 4) {
		unsigned int seen[COUNT] = {0}, dots = 0;
		uint64_t offset = 0;

		for (int i = 0; i < COUNT; i++) {
			char name[32];

			snprintf(name, sizeof(name), "share/entry-%d", i);
			host_write(c, name, "");
		}
		assert_int_equal(client_open(c, 1, "", 0), 0);
		for (;;) {
			assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 1u, offset, room), 0);
			assert_true(c->answer_len <= P9_HEADER + 4 + room);
			if (!p9_get32(&c->reply))
				break;
			while (c->reply.at < c->reply.end) {
				unsigned int n;
				const char *name;

				get_type();
				offset = p9_get64(&c->reply);
				p9_get8(&c->reply);
				name = p9_get_string(&c->reply);
				assert_false(c->reply.bad);
				if (sscanf(name, "entry-%u", &n) == 1)
					seen[n]++;
				else
					dots += !strcmp(name, ".") + 2 * !strcmp(name, "..");
			}
		}
		assert_int_equal(dots, 3);
		for (int i = 0; i < COUNT; i++)
			assert_int_equal(seen[i], 1);
	}
	assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 1u, UINT64_C(0), 24u), -EINVAL);
	assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 0u, UINT64_C(0), 24u), -EBADF);
	assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 1u, UINT64_MAX, 100u), -EINVAL);
}

static void two_listings_at_a_time(void **state)
{
	uint64_t offset[2] = {0};
	unsigned int count[2] = {0};

	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "share/%d", i);
		host_write(c, name, "");
	}
	assert_int_equal(client_open(c, 1, "", 0), 0);
	assert_int_equal(client_open(c, 2, "", 0), 0);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 1u + i % 2u, offset[i % 2], 30u), 0);
		if (!p9_get32(&c->reply))
			continue;
		get_type();
		offset[i % 2] = p9_get64(&c->reply);
		count[i % 2]++;
	}
	assert_int_equal(count[0], 22);
	assert_int_equal(count[1], 22);
}

/* --- names ------------------------------------------------------------------------------------------------------------ */

static void links(void **state)
{
	struct stat st;

	client_make(c, 1, "file", "text");
	assert_int_equal(client_call(c, P9_TSYMLINK, "dssd", 0u, "sym", "../secret", 0u), 0);
	assert_int_equal(get_type(), SHARE_SYMLINK);
	assert_int_equal(client_walk(c, 2, "sym"), 0);
	assert_int_equal(client_call(c, P9_TREADLINK, "d", 2u), 0);
	assert_string_equal(p9_get_string(&(struct p9_in){.at = c->reply.at, .end = c->reply.end + 1}), "../secret");
	assert_int_equal(client_call(c, P9_TREADLINK, "d", 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TLINK, "dds", 0u, 1u, "hard"), 0);
	assert_int_equal(stat(host_path(c, "share/hard"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	/* A link to a symbolic link is one to the link. */
	assert_int_equal(client_call(c, P9_TLINK, "dds", 0u, 2u, "hardsym"), 0);
	assert_int_equal(lstat(host_path(c, "share/hardsym"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(client_call(c, P9_TLINK, "dds", 0u, 1u, "hard"), -EEXIST);
	assert_int_equal(client_call(c, P9_TLINK, "dds", 0u, 99u, "more"), -EBADF);
}

static void renaming(void **state)
{
	client_make(c, 1, "a", "text");
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 0u, "dir", 0755u, 0u), 0);
	assert_int_equal(client_walk(c, 2, "dir"), 0);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "a", 2u, "b"), 0);
	assert_string_equal(host_read(c, "share/dir/b"), "text");
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "a", 2u, "b"), -ENOENT);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "dir", 2u, "inside"), -EINVAL);
	/* By fid: the file is known by its new name afterwards. */
	assert_int_equal(client_walk(c, 3, "dir/b"), 0);
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 3u, 0u, "c"), 0);
	assert_string_equal(host_read(c, "share/c"), "text");
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 3u, 2u, "d"), 0);
	assert_string_equal(host_read(c, "share/dir/d"), "text");
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 0u, 2u, "root"), -EBUSY);
	/* Somebody else has put another file there. */
	assert_int_equal(unlink(host_path(c, "share/dir/d")), 0);
	host_write(c, "share/dir/d", "another");
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 3u, 0u, "e"), -ENOENT);
	assert_string_equal(host_read(c, "share/dir/d"), "another");
}

static void removing(void **state)
{
	client_make(c, 1, "file", "");
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 0u, "dir", 0755u, 0u), 0);
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "dir", 0u), -EISDIR);
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "file", 0x200u), -ENOTDIR);
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "file", 1u), -EINVAL);
	assert_int_equal(client_walk(c, 2, "dir"), 0);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 2u), 0);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 2u), -EBADF);
	assert_int_equal(client_walk(c, 2, "dir"), -ENOENT);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 1u), 0);
	assert_null(host_read(c, "share/file"));
	/* Even where it cannot be: the fid is gone. */
	assert_int_equal(client_walk(c, 2, ""), 0);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 2u), -EBUSY);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), -EBADF);
}

/* --- attributes ------------------------------------------------------------------------------------------------------- */

static void attributes(void **state)
{
	struct stat st;

	client_make(c, 1, "file", "0123456789");
	assert_int_equal(set(1, SHARE_SET_MODE, 04751, 0, 0, 0), 0);
	assert_int_equal(set(1, SHARE_SET_SIZE, 0, 4, 0, 0), 0);
	assert_string_equal(host_read(c, "share/file"), "0123");
	assert_int_equal(set(1, 0x1b0, 0, 0, 1000000000, 5), 0);
	assert_int_equal(stat(host_path(c, "share/file"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0751);
	assert_int_equal(st.st_atim.tv_sec, 1000000000);
	assert_int_equal(st.st_mtim.tv_sec, 1000000001);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	assert_int_equal(set(1, 0x1b0, 0, 0, 5, UTIME_NOW), -EINVAL);
	assert_int_equal(set(1, 0x1b0, 0, 0, 5, UINT64_MAX), -EINVAL);
	assert_int_equal(set(1, SHARE_SET_SIZE, 0, UINT64_MAX, 0, 0), -EFBIG);
	assert_int_equal(set(1, SHARE_SET_MTIME, 0, 0, 0, 0), 0);
	assert_int_equal(stat(host_path(c, "share/file"), &st), 0);
	assert_true(st.st_mtim.tv_sec > 1500000000);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 1u, UINT64_C(0x7ff)), 0);
	assert_int_equal(p9_get64(&c->reply), 0x7ff);
	assert_int_equal(p9_get8(&c->reply), SHARE_FILE);
	p9_get32(&c->reply);
	assert_int_equal(p9_get64(&c->reply), st.st_ino);
	assert_int_equal(p9_get32(&c->reply), st.st_mode);
	assert_int_equal(p9_get32(&c->reply), st.st_uid);
	assert_int_equal(p9_get32(&c->reply), st.st_gid);
	assert_int_equal(p9_get64(&c->reply), 1);
	p9_get64(&c->reply);
	assert_int_equal(p9_get64(&c->reply), 4);
	/* Without an open file, too. */
	assert_int_equal(client_walk(c, 2, "file"), 0);
	assert_int_equal(set(2, SHARE_SET_SIZE, 0, 2, 0, 0), 0);
	assert_string_equal(host_read(c, "share/file"), "01");
	assert_int_equal(set(0, SHARE_SET_SIZE, 0, 2, 0, 0), -EISDIR);
}

/* Where the host does not let us give files away, nothing happens, and nobody complains. */
static void owners(void **state)
{
	struct stat st;

	client_make(c, 1, "file", "");
	assert_int_equal(set(1, SHARE_SET_UID | SHARE_SET_GID, 0, 0, 0, 0), 0);
	assert_int_equal(stat(host_path(c, "share/file"), &st), 0);
	assert_int_equal(st.st_uid, geteuid() ? geteuid() : 12345);
}

static void space(void **state)
{
	assert_int_equal(client_call(c, P9_TSTATFS, "d", 0u), 0);
	assert_int_equal(p9_get32(&c->reply), 0x01021997);
	assert_true(p9_get32(&c->reply) >= 512);
	assert_true(p9_get64(&c->reply) > 0);
	assert_int_equal(c->answer_len, P9_HEADER + 60);
}

static void extended_attributes(void **state)
{
	char value[16] = "";

	client_make(c, 1, "file", "");
	if (setxattr(host_path(c, "share/file"), "user.probe", "x", 1, 0) < 0) {
		print_message("skipped: no extended attributes in this file system\n");
		skip();
	}
	assert_int_equal(client_walk(c, 2, "file"), 0);
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 2u, "user.color", UINT64_C(4), 0u), 0);
	assert_int_equal(client_call(c, P9_TREAD, "dqd", 2u, UINT64_C(0), 4u), -EBADF);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 2u, UINT64_C(0)), -EBADF);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 2u, UINT64_C(0), 3u, (size_t)3, "blu"), 0);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 2u, UINT64_C(3), 2u, (size_t)2, "ex"), -ENOSPC);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 2u, UINT64_C(3), 1u, (size_t)1, "e"), 0);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), 0);
	assert_int_equal(getxattr(host_path(c, "share/file"), "user.color", value, sizeof(value)), 4);
	assert_memory_equal(value, "blue", 4);

	assert_int_equal(client_call(c, P9_TXATTRWALK, "dds", 1u, 2u, "user.color"), 0);
	assert_int_equal(p9_get64(&c->reply), 4);
	expect_read(2, 1, "lue");
	expect_read(2, 9, "");
	assert_int_equal(client_call(c, P9_TXATTRWALK, "dds", 1u, 3u, ""), 0);
	assert_int_equal(p9_get64(&c->reply), strlen("user.color") + 1 + strlen("user.probe") + 1);
	assert_int_equal(client_call(c, P9_TXATTRWALK, "dds", 1u, 4u, "user.none"), -ENODATA);
	assert_int_equal(client_call(c, P9_TXATTRWALK, "dds", 1u, 4u, "security.capability"), -EOPNOTSUPP);
	assert_int_equal(client_call(c, P9_TXATTRWALK, "dds", 1u, 3u, "user.color"), -EINVAL);

	assert_int_equal(client_walk(c, 4, "file"), 0);
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 4u, "trusted.x", UINT64_C(1), 0u), -EOPNOTSUPP);
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 4u, "user.x", UINT64_MAX, 0u), -E2BIG);
	/* Not all of it came. */
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 4u, "user.x", UINT64_C(2), 0u), 0);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 4u), -EINVAL);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 4u), -EBADF);
	/* How Linux removes one. */
	assert_int_equal(client_walk(c, 4, "file"), 0);
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 4u, "user.color", UINT64_C(0), 2u), 0);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 4u), 0);
	assert_int_equal(getxattr(host_path(c, "share/file"), "user.color", value, sizeof(value)), -1);
}

/* They take our memory: not without end. */
static void many_extended_attributes(void **state)
{
	unsigned int made = 0;

	for (uint32_t fid = 1; fid < 100; fid++) {
		assert_int_equal(client_walk(c, fid, ""), 0);
		made += client_call(c, P9_TXATTRCREATE, "dsqd", fid, "user.x", UINT64_C(65536), 0u) == 0;
	}
	assert_int_equal(made, 15);
	for (uint32_t fid = 1; fid < 100; fid++)
		client_call(c, P9_TCLUNK, "d", fid);
	assert_int_equal(c->server.fids.xattr_bytes, 0);
	assert_int_equal(c->server.fids.count, 1);
}

static void locks(void **state)
{
	client_make(c, 1, "file", "");
	assert_int_equal(client_call(c, P9_TLOCK, "dbdqqds", 1u, 1u, 1u, UINT64_C(0), UINT64_C(10), 42u, "guest"), 0);
	assert_int_equal(p9_get8(&c->reply), 0);
	assert_int_equal(client_call(c, P9_TLOCK, "dbdqqds", 1u, 3u, 1u, UINT64_C(0), UINT64_C(10), 42u, "guest"), -EINVAL);
	assert_int_equal(client_call(c, P9_TLOCK, "dbdqqds", 0u, 1u, 1u, UINT64_C(0), UINT64_C(10), 42u, "guest"), -EBADF);
	assert_int_equal(client_call(c, P9_TGETLOCK, "dbqqds", 1u, 1u, UINT64_C(3), UINT64_C(10), 42u, "guest"), 0);
	assert_int_equal(p9_get8(&c->reply), 2);
	assert_int_equal(p9_get64(&c->reply), 3);
	assert_int_equal(p9_get64(&c->reply), 10);
	assert_int_equal(p9_get32(&c->reply), 42);
}

/* --- the host ------------------------------------------------------------------------------------------------------- */

static void read_only(void **state)
{
	host_write(c, "share/file", "text");
	mkdir(host_path(c, "share/dir"), 0755);
	assert_int_equal(client_open(c, 1, "file", 0), 0);
	expect_read(1, 0, "text");
	assert_int_equal(client_call(c, P9_TFSYNC, "dd", 1u, 0u), 0);
	assert_int_equal(client_open(c, 2, "file", 1), -EROFS);
	assert_int_equal(client_open(c, 2, "file", 2), -EROFS);
	assert_int_equal(client_open(c, 2, "file", 01000), -EROFS);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "new", 0102u, 0644u, 0u), -EROFS);
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 0u, "new", 0755u, 0u), -EROFS);
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "new", S_IFIFO | 0644u, 0u, 0u, 0u), -EROFS);
	assert_int_equal(client_call(c, P9_TSYMLINK, "dssd", 0u, "new", "x", 0u), -EROFS);
	assert_int_equal(client_call(c, P9_TLINK, "dds", 0u, 2u, "new"), -EROFS);
	assert_int_equal(client_call(c, P9_TRENAME, "dds", 2u, 0u, "new"), -EROFS);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "file", 0u, "new"), -EROFS);
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "file", 0u), -EROFS);
	assert_int_equal(client_call(c, P9_TXATTRCREATE, "dsqd", 2u, "user.x", UINT64_C(1), 0u), -EROFS);
	assert_int_equal(set(2, SHARE_SET_MODE, 0, 0, 0, 0), -EROFS);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 1u, (size_t)1, "x"), -EBADF);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 2u), -EROFS);
	assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), -EBADF);
	assert_string_equal(host_read(c, "share/file"), "text");
	assert_int_equal(access(host_path(c, "share/new"), F_OK), -1);
}

/* What the guest holds vanishes: its names are gone, its files are not, and the guest is told. */
static void vanishing(void **state)
{
	mkdir(host_path(c, "share/dir"), 0755);
	host_write(c, "share/dir/file", "text");
	assert_int_equal(client_open(c, 1, "dir/file", 0), 0);
	assert_int_equal(client_walk(c, 2, "dir"), 0);
	client_clean(c);
	expect_read(1, 0, "text");
	assert_int_equal(client_step(c, 2, 3, "file", 4), -ENOENT);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "new", 0102u, 0644u, 0u), -ENOENT);
	assert_int_equal(client_call(c, P9_TREMOVE, "d", 1u), -ENOENT);
	assert_int_equal(rmdir(c->shared), 0);
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", 0u, UINT64_C(0)), 0);
	assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 0u, "new", 0755u, 0u), -ENOENT);
	assert_int_equal(client_open(c, 3, "", 0), 0);
	assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 3u, UINT64_C(0), 1000u), -ENOENT);
}

/* As on a full disk: what fits is written, then comes the error. */
static void no_space(void **state)
{
	struct rlimit before, small = {.rlim_cur = 10000};
	static const char bytes[8000];

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	client_make(c, 1, "file", "");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(8000), 8000u, sizeof(bytes), bytes), 0);
	assert_int_equal(p9_get32(&c->reply), 2000);
	assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(10000), 8000u, sizeof(bytes), bytes), -EFBIG);
	assert_int_equal(set(1, SHARE_SET_SIZE, 0, 20000, 0, 0), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(versions), test(a_version_ends_the_session), test(attaching), test(unknown_messages), test(truncated_messages),
		test(sizes_that_lie), test(little_room), test(any_layout), test(walking), test(many_fids), test(few_descriptors),
		test(closed_and_renamed), test(many_open_files), test(reading_and_writing),
		test(opening), test(appending_no_more), test(appending_together), test(creating), test(modes), test(unlinked_while_open),
		test(listing), test(two_listings_at_a_time),
		test(links), test(renaming), test(removing), test(attributes), test(owners), test(space), test(extended_attributes),
		test(many_extended_attributes), test(locks), test(vanishing), test(no_space),
		cmocka_unit_test_setup_teardown(read_only, setup_read_only, teardown),
	};
	int failed;

	umask(022);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	client_at_once = true;
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
