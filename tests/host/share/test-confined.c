/* SPDX-License-Identifier: MIT */
/* A guest that wants out of the shared directory. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

static struct client *c;

static int setup(void **state)
{
	c = malloc(sizeof(*c));
	assert_non_null(c);
	client_begin(c, false);
	client_attach(c);
	mkdir(host_path(c, "share/dir"), 0755);
	host_write(c, "share/dir/file", "inside");
	return 0;
}

static int teardown(void **state)
{
	assert_string_equal(host_read(c, "secret"), SECRET);
	client_end(c);
	free(c);
	return 0;
}

static uint64_t inode_of(uint32_t fid)
{
	assert_int_equal(client_call(c, P9_TGETATTR, "dq", fid, UINT64_C(0x7ff)), 0);
	p9_get64(&c->reply);
	p9_get8(&c->reply);
	p9_get32(&c->reply);
	return p9_get64(&c->reply);
}

/* ".." of the root is the root, from however deep. */
static void dot_dot(void **state)
{
	uint64_t root = inode_of(0);

	assert_int_equal(client_call(c, P9_TWALK, "ddwsss", 0u, 1u, 3u, "..", "..", ".."), 0);
	assert_int_equal(inode_of(1), root);
	assert_int_equal(client_call(c, P9_TWALK, "ddwssss", 0u, 2u, 4u, "dir", "..", "..", "dir"), 0);
	assert_int_equal(client_step(c, 2, 3, "..", 2), 0);
	assert_int_equal(inode_of(3), root);
	assert_int_equal(client_step(c, 3, 4, "secret", 6), -ENOENT);
	/* What lists the root tells nothing of what is above. */
	assert_int_equal(client_open(c, 5, "", 0), 0);
	assert_int_equal(client_call(c, P9_TREADDIR, "dqd", 5u, UINT64_C(0), 4000u), 0);
	for (p9_get32(&c->reply); c->reply.at < c->reply.end;) {
		uint64_t path = (p9_get8(&c->reply), p9_get32(&c->reply), p9_get64(&c->reply));
		const char *name = (p9_get64(&c->reply), p9_get8(&c->reply), p9_get_string(&c->reply));

		if (!strcmp(name, ".."))
			assert_int_equal(path, root);
	}
}

static const struct {
	size_t len;
	const char *name;
	int walk, create;
} bad_names[] = {
	{0, "", -ENOENT, -ENOENT},
	{1, ".", -EINVAL, -EEXIST},
	{1, "/", -EINVAL, -EINVAL},
	{11, "/etc/passwd", -EINVAL, -EINVAL},
	{9, "../secret", -EINVAL, -EINVAL},
	{8, "dir/file", -EINVAL, -EINVAL},
	{4, "dir/", -EINVAL, -EINVAL},
	{3, "../", -EINVAL, -EINVAL},
	{4, "dir\0", -EINVAL, -EINVAL},
	{8, "..\0/file", -EINVAL, -EINVAL},
	{1, "\0", -EINVAL, -EINVAL},
};

static void names(void **state)
{
	static char longer[256];

	memset(longer, 'x', sizeof(longer));
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		const char *name = bad_names[i].name;
		size_t len = bad_names[i].len;
		int walk = bad_names[i].walk, create = bad_names[i].create;

		assert_int_equal(client_step(c, 0, 1, name, len), walk);
		assert_int_equal(client_call(c, P9_TLCREATE, "dzddd", 0u, len, name, 0102u, 0644u, 0u), create);
		assert_int_equal(client_call(c, P9_TMKDIR, "dzdd", 0u, len, name, 0755u, 0u), create);
		assert_int_equal(client_call(c, P9_TMKNOD, "dzdddd", 0u, len, name, S_IFIFO | 0644u, 0u, 0u, 0u), create);
		assert_int_equal(client_call(c, P9_TSYMLINK, "dzsd", 0u, len, name, "x", 0u), create);
		assert_int_equal(client_call(c, P9_TLINK, "ddz", 0u, 0u, len, name), create);
		assert_int_equal(client_call(c, P9_TUNLINKAT, "dzd", 0u, len, name, 0u), walk);
		assert_int_equal(client_call(c, P9_TUNLINKAT, "dzd", 0u, len, name, 0x200u), walk);
		assert_int_equal(client_call(c, P9_TRENAMEAT, "dzds", 0u, len, name, 0u, "x"), walk);
		assert_int_equal(client_call(c, P9_TRENAMEAT, "dsdz", 0u, "dir", 0u, len, name), walk);
	}
	assert_int_equal(client_step(c, 0, 1, longer, 256), -ENAMETOOLONG);
	assert_int_equal(client_step(c, 0, 1, longer, 255), -ENOENT);
	/* ".." as a thing to be made, moved or removed. */
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 0u, "..", 0102u, 0644u, 0u), -EEXIST);
	assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "..", 0x200u), -EINVAL);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "..", 0u, "x"), -EINVAL);
	assert_int_equal(client_call(c, P9_TRENAMEAT, "dsds", 0u, "dir", 0u, ".."), -EINVAL);
}

/* A link is a link: neither walked through, nor opened, nor written or changed through. */
static void symbolic_links(void **state)
{
	static const char *const targets[] = {"/etc/passwd", "../secret", "..", "/", "/proc/self/root", "/proc/self/fd/0"};

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		assert_int_equal(client_call(c, P9_TSYMLINK, "dssd", 0u, "link", targets[i], 0u), 0);
		assert_int_equal(client_walk(c, 1, "link"), 0);
		assert_int_equal(client_call(c, P9_TLOPEN, "dd", 1u, 0u), -ELOOP);
		assert_int_equal(client_call(c, P9_TLOPEN, "dd", 1u, 2u), -ELOOP);
		assert_int_equal(client_call(c, P9_TLOPEN, "dd", 1u, 0200000u), -ENOTDIR);
		assert_int_equal(client_step(c, 1, 2, "passwd", 6), -ENOTDIR);
		assert_int_equal(client_step(c, 1, 2, "..", 2), 0);
		assert_int_equal(inode_of(2), inode_of(0));
		assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), 0);
		assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 1u, "x", 0102u, 0644u, 0u), -ENOTDIR);
		assert_int_equal(client_call(c, P9_TMKDIR, "dsdd", 1u, "x", 0755u, 0u), -ENOTDIR);
		assert_int_equal(client_walk(c, 2, ""), 0);
		assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "link", 0102u, 0644u, 0u), -ELOOP);
		assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "link", 01102u, 0644u, 0u), -ELOOP);
		assert_int_equal(client_call(c, P9_TCLUNK, "d", 2u), 0);
		/* The size, the mode; the time is the link's own. */
		assert_int_not_equal(client_call(c, P9_TSETATTR, "dddddqqqqq", 1u, SHARE_SET_SIZE, 0u, 0u, 0u, UINT64_C(0), UINT64_C(0),
						 UINT64_C(0), UINT64_C(0), UINT64_C(0)), 0);
		assert_int_not_equal(client_call(c, P9_TSETATTR, "dddddqqqqq", 1u, SHARE_SET_MODE, 0777u, 0u, 0u, UINT64_C(0), UINT64_C(0),
						 UINT64_C(0), UINT64_C(0), UINT64_C(0)), 0);
		assert_int_equal(client_call(c, P9_TSETATTR, "dddddqqqqq", 1u, 0x1b0u, 0u, 0u, 0u, UINT64_C(0), UINT64_C(77),
					     UINT64_C(0), UINT64_C(77), UINT64_C(0)), 0);
		assert_int_equal(client_call(c, P9_TUNLINKAT, "dsd", 0u, "link", 0u), 0);
	}
}

static void times_stay(void **state)
{
	struct stat st;

	assert_int_equal(client_call(c, P9_TSYMLINK, "dssd", 0u, "link", "../secret", 0u), 0);
	assert_int_equal(client_walk(c, 1, "link"), 0);
	assert_int_equal(client_call(c, P9_TSETATTR, "dddddqqqqq", 1u, 0x1b6u, 0u, 7u, 7u, UINT64_C(0), UINT64_C(77), UINT64_C(0),
				     UINT64_C(77), UINT64_C(0)), 0);
	assert_int_equal(stat(host_path(c, "secret"), &st), 0);
	assert_true(st.st_mtim.tv_sec > 77);
	assert_int_equal(st.st_uid, geteuid());
}

/* The host's devices stay the host's; FIFOs are never opened here, where that could wait for ever. */
static void special_files(void **state)
{
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "null", S_IFCHR | 0666u, 1u, 3u, 0u), -EPERM);
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "disk", S_IFBLK | 0666u, 8u, 0u, 0u), -EPERM);
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "dirs", S_IFDIR | 0666u, 8u, 0u, 0u), -EINVAL);
	assert_int_equal(client_call(c, P9_TMKNOD, "dsdddd", 0u, "fifo", S_IFIFO | 0666u, 0u, 0u, 0u), 0);
	assert_int_equal(client_open(c, 1, "fifo", 0), -ENXIO);
	assert_int_equal(client_open(c, 1, "fifo", 1), -ENXIO);
	assert_int_equal(client_walk(c, 2, ""), 0);
	assert_int_equal(client_call(c, P9_TLCREATE, "dsddd", 2u, "fifo", 0100u, 0644u, 0u), -ENXIO);
	if (!mknod(host_path(c, "share/null"), S_IFCHR | 0666, 1 << 8 | 3))
		assert_int_equal(client_open(c, 1, "null", 2), -ENXIO);
}

/* A directory that the guest holds is moved about: ".." from it still leads where it came from, never above the root. */
static void moved_away(void **state)
{
	mkdir(host_path(c, "outside"), 0755);
	assert_int_equal(client_walk(c, 1, "dir"), 0);
	assert_int_equal(rename(host_path(c, "share/dir"), host_path(c, "outside/dir")), 0);
	assert_int_equal(client_call(c, P9_TWALK, "ddwss", 1u, 2u, 2u, "..", ".."), 0);
	assert_int_equal(inode_of(2), inode_of(0));
	assert_int_equal(client_call(c, P9_TWALK, "ddwss", 1u, 3u, 2u, "..", "secret"), 0);
	assert_int_equal(p9_get16(&c->reply), 1);
}

/* --- races ---------------------------------------------------------------------------------------------------------- */

static atomic_bool stop;

/* Exchange a directory and a link that leads out, as fast as it goes. */
static void *exchange(void *opaque)
{
	char a[512], b[512];

	snprintf(a, sizeof(a), "%s", host_path(c, "share/dir"));
	snprintf(b, sizeof(b), "%s", host_path(c, "share/link"));
	while (!stop)
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */);
	return NULL;
}

static void rename_race(void **state)
{
	unsigned int reached = 0, refused = 0;
	pthread_t thread;

	host_write(c, "outside-file", SECRET);
	mkdir(host_path(c, "outside"), 0755);
	host_write(c, "outside/file", SECRET);
	assert_int_equal(symlink("../outside", host_path(c, "share/link")), 0);
	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, exchange, NULL), 0);
	for (int i = 0; i < 20000 && !(i > 2000 && reached && refused); i++) {
		int error = client_open(c, 1, "dir/file", 0);

		if (error) {
			assert_true(error == -ENOTDIR || error == -ENOENT);
			refused++;
			continue;
		}
		assert_int_equal(client_call(c, P9_TREAD, "dqd", 1u, UINT64_C(0), 100u), 0);
		assert_int_equal(p9_get32(&c->reply), 6);
		assert_memory_equal(c->reply.at, "inside", 6);
		reached++;
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(reached);
	assert_true(refused);
}

/* A new file, or an old one, where a link to somewhere else comes and goes. */
static void *come_and_go(void *opaque)
{
	char path[512];

	snprintf(path, sizeof(path), "%s", host_path(c, "share/new"));
	while (!stop) {
		symlink("../secret", path);
		unlink(path);
	}
	return NULL;
}

static void create_race(void **state)
{
	unsigned int made = 0, refused = 0;
	pthread_t thread;

	stop = false;
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, NULL), 0);
	for (int i = 0; i < 20000 && !(i > 2000 && made && refused); i++) {
		int error;

		assert_int_equal(client_walk(c, 1, ""), 0);
		error = client_call(c, P9_TLCREATE, "dsddd", 1u, "new", 01102u, 0644u, 0u);
		if (error) {
			assert_true(error == -ELOOP || error == -EEXIST || error == -ENOENT);
			refused++;
			continue;
		}
		assert_int_equal(client_call(c, P9_TWRITE, "dqdr", 1u, UINT64_C(0), 5u, (size_t)5, "guest"), 0);
		made++;
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_true(made);
	assert_true(refused);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(dot_dot), test(names), test(symbolic_links), test(times_stay), test(special_files), test(moved_away),
		test(rename_race), test(create_race),
	};
	int failed;

	failed = cmocka_run_group_tests(tests, NULL, NULL);
	client_at_once = true;
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
