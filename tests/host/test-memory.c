/* SPDX-License-Identifier: MIT */
/* test-memory.c - limits of control groups, in trees made for it; files of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/memory_file.h"
#include "host/memory_limit.h"

static char root[] = "/tmp/kennel-memory-XXXXXX";

static void put(const char *file, const char *text)
{
	char command[512];
	FILE *f;

	snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s/%s')\"", root, file);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/%s", root, file);
	f = fopen(command, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void clear(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'/*", root);
	assert_int_equal(system(command), 0);
}

static void expect(uint64_t bytes, const char *file)
{
	struct memory_limit limit;

	assert_int_equal(memory_limit_find(root, &limit), bytes != 0);
	if (!bytes)
		return;
	assert_int_equal(limit.bytes, bytes);
	assert_string_equal(limit.file + strlen(root), file);
}

static void version_2(void **state)
{
	clear();
	expect(0, NULL);
	put("proc/self/cgroup", "0::/user.slice/one/two\n");
	put("sys/fs/cgroup/user.slice/one/two/memory.max", "max\n");
	expect(0, NULL);
	/* The lowest counts, wherever it is. */
	put("sys/fs/cgroup/user.slice/memory.max", "1000000\n");
	expect(1000000, "/sys/fs/cgroup/user.slice/memory.max");
	put("sys/fs/cgroup/user.slice/one/two/memory.max", "2000000\n");
	expect(1000000, "/sys/fs/cgroup/user.slice/memory.max");
	put("sys/fs/cgroup/user.slice/one/memory.max", "500000\n");
	expect(500000, "/sys/fs/cgroup/user.slice/one/memory.max");
	/* A container that sees its own group as the top, under its own name for it or another's. */
	put("sys/fs/cgroup/memory.max", "400000\n");
	put("proc/self/cgroup", "0::/\n");
	expect(400000, "/sys/fs/cgroup/memory.max");
	put("proc/self/cgroup", "0::/../docker/1234\n");
	expect(400000, "/sys/fs/cgroup/memory.max");
}

static void version_1(void **state)
{
	clear();
	put("proc/self/cgroup", "11:cpu,cpuacct:/other\n10:hugetlb,memory:/docker/1234\n1:name=systemd:/memory\n0::/unified\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("sys/fs/cgroup/memory/other/memory.limit_in_bytes", "1\n");
	expect(0, NULL);
	put("sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes", "268435456\n");
	expect(268435456, "/sys/fs/cgroup/memory/docker/1234/memory.limit_in_bytes");
	put("sys/fs/cgroup/unified/unified/memory.max", "100000\n");
	expect(100000, "/sys/fs/cgroup/unified/unified/memory.max");
}

static void file_mapped_twice(void **state)
{
	static const uint8_t ret42[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
	const char *where = "nowhere";
	int fd = memory_file_create("test", 8192, true, &where);
	uint8_t *w, *x;

	assert_true(fd >= 0);
	assert_null(where);	/* of what this host forbids, tests/kennel/forbidden.py makes something */
	w = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	assert_true(w != MAP_FAILED && x != MAP_FAILED);
	assert_int_equal(w[8191], 0);
	memcpy(w + 4096, ret42, sizeof(ret42));
	assert_int_equal(((int (*)(void))(void *)(x + 4096))(), 42);
	munmap(w, 8192);
	munmap(x, 8192);
	close(fd);
}

static int setup(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	clear();
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2),
		cmocka_unit_test(version_1),
		cmocka_unit_test(file_mapped_twice),
	};

	return cmocka_run_group_tests_name("memory", tests, setup, teardown);
}
