/* SPDX-License-Identifier: MIT */
/* Ranges of disks that are freed and zeroed: in files, on a block device, and where the host's file system cannot do that. */
#include "tests/host/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/disk/disk.h"

#define SIZE	(1u << 20)

static struct {
	char path[64];
	struct loop *loop;
	struct block_backend *be;
	int fd;
	unsigned char data[SIZE];	/* what the image should hold */
} f;

static struct error err;

/* An image without a zero byte in it. */
static int setup(void **state)
{
	snprintf(f.path, sizeof(f.path), "test-range-%d.img", (int)getpid());
	f.fd = open(f.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(f.fd >= 0);
	for (unsigned int i = 0; i < SIZE; i++)
		f.data[i] = (unsigned char)(1 + i % 255);
	assert_int_equal(pwrite(f.fd, f.data, SIZE, 0), SIZE);
	assert_int_equal(fsync(f.fd), 0);
	f.loop = new_loop();
	return 0;
}

static int teardown(void **state)
{
	loop_destroy(f.loop);
	close(f.fd);
	unlink(f.path);
	return 0;
}

static void open_disk(const char *path, bool read_only, enum disk_engine_kind kind)
{
	f.be = disk_open(f.loop, path, read_only, kind, &err);
	if (!f.be)
		fail_msg("%s", err.text);
}

struct request {
	struct block_io io;
	bool ended;
	int error;
};

static void ended(struct block_io *io, int error)
{
	((struct request *)io)->ended = true;
	((struct request *)io)->error = error;
}

static void start(struct request *request, enum block_op op, uint64_t offset, uint64_t length, bool unmap)
{
	*request = (struct request){ .io = { .op = op, .offset = offset, .length = length, .unmap = unmap, .done = ended } };
	f.be->ops->submit(f.be, &request->io);
}

static int perform(enum block_op op, uint64_t offset, uint64_t length, bool unmap)
{
	struct request request;

	start(&request, op, offset, length, unmap);
	f.be->ops->commit(f.be);
	run_until(f.loop, request.ended);
	return request.error;
}

/* The image is as @f.data says. */
static void check_image(void)
{
	static unsigned char now[SIZE];

	assert_int_equal(pread(f.fd, now, SIZE, 0), SIZE);
	assert_memory_equal(now, f.data, SIZE);
}

static long blocks(void)
{
	struct stat st;

	assert_int_equal(fstat(f.fd, &st), 0);
	return (long)st.st_blocks;
}

static void zero(uint64_t offset, uint64_t length, bool unmap)
{
	assert_int_equal(perform(BLOCK_ZERO, offset, length, unmap), 0);
	memset(f.data + offset, 0, length);
	check_image();
}

static const enum disk_engine_kind kinds[] = { DISK_AUTO, DISK_WORKERS };

static void test_zeroes(void **state)
{
	for (int k = 0; k < 2; k++) {
		open_disk(f.path, false, kinds[k]);
		assert_true(f.be->zeroes);
		zero(65536, 4096, false);
		zero(512, 1024, false);		/* within a block */
		zero(512 * 9, 65536 + 512, true);
		zero(SIZE - 512, 512, true);	/* the last sector; the file keeps its size, or check_image() would miss something */
		zero(0, SIZE, k);
		f.be->ops->close(f.be);
	}
}

static void test_space(void **state)
{
	long all = blocks();

	open_disk(f.path, false, DISK_AUTO);
	if (!f.be->discard_unit) {
		f.be->ops->close(f.be);
		print_message("skipped: a file system without holes\n");
		skip();
	}
	assert_int_equal(f.be->discard_unit % 512, 0);
	assert_int_equal(perform(BLOCK_DISCARD, 0, SIZE / 2, false), 0);
	assert_true(blocks() <= all / 2 + 8);
	assert_int_equal(perform(BLOCK_ZERO, SIZE / 2, SIZE / 4, true), 0);
	assert_true(blocks() <= all / 4 + 8);
	/* Zeroes that keep their place. */
	assert_int_equal(perform(BLOCK_ZERO, 0, SIZE, false), 0);
	assert_true(blocks() >= all);
	memset(f.data, 0, SIZE);
	check_image();
	f.be->ops->close(f.be);
}

static void test_limits(void **state)
{
	open_disk(f.path, false, DISK_AUTO);
	assert_int_equal(perform(BLOCK_ZERO, SIZE, 512, false), -EIO);
	assert_int_equal(perform(BLOCK_DISCARD, SIZE - 512, 1024, false), -EIO);
	assert_int_equal(perform(BLOCK_DISCARD, 512, UINT64_MAX, false), -EIO);
	assert_int_equal(perform(BLOCK_DISCARD, UINT64_MAX - 511, 512, false), -EIO);
	assert_int_equal(perform(BLOCK_ZERO, SIZE, 0, false), 0);
	check_image();
	f.be->ops->close(f.be);
	open_disk(f.path, true, DISK_AUTO);
	assert_false(f.be->zeroes);
	assert_int_equal(f.be->discard_unit, 0);
	assert_int_equal(perform(BLOCK_ZERO, 0, 512, false), -EROFS);
	assert_int_equal(perform(BLOCK_DISCARD, 0, 512, false), -EROFS);
	check_image();
	f.be->ops->close(f.be);
}

/* drain() and close() carry out what the loop has not come to. */
static void test_drain(void **state)
{
	struct request requests[8];

	open_disk(f.path, false, DISK_AUTO);
	for (unsigned int i = 0; i < 8; i++)
		start(&requests[i], BLOCK_ZERO, i * 8192, 4096, true);
	f.be->ops->drain(f.be);
	for (unsigned int i = 0; i < 8; i++) {
		assert_true(requests[i].ended);
		assert_int_equal(requests[i].error, 0);
		memset(f.data + (size_t)i * 8192, 0, 4096);
	}
	check_image();
	start(&requests[0], BLOCK_ZERO, SIZE / 2, 4096, false);
	f.be->ops->close(f.be);
	assert_true(requests[0].ended);
	memset(f.data + SIZE / 2, 0, 4096);
	check_image();
}

/* A device whose backing file shows what became of it. */
static void test_block_device(void **state)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), device = -1;
	struct loop_config config = { .fd = (uint32_t)f.fd, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	long all = blocks();
	char name[32];

	if (control >= 0) {
		snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		device = open(name, O_RDWR | O_CLOEXEC);
		close(control);
	}
	if (device < 0 || ioctl(device, LOOP_CONFIGURE, &config) < 0) {
		print_message("skipped: no loop device for us here\n");
		close(device);
		skip();
	}
	open_disk(name, false, DISK_AUTO);
	close(device);
	assert_true(f.be->zeroes);
	assert_true(f.be->discard_unit);
	zero(4096, 8192, false);
	zero(65536, 65536, true);
	zero(512 * 3, 512, true);
	assert_int_equal(perform(BLOCK_DISCARD, SIZE / 2, SIZE / 4, false), 0);
	f.be->ops->close(f.be);
	assert_true(blocks() <= all - (SIZE / 4 + 65536) / 512 + 8);
}

/* --- a host whose file systems know nothing of this ------------------------------------------------------------------- */

/* cmocka's checks do not work in a child. */
#define child_check(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); _exit(1); } } while (0)

static void no_fallocate(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	static unsigned char now[SIZE];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
	f.loop = loop_create(&err);
	f.be = disk_open(f.loop, f.path, false, DISK_AUTO, &err);
	child_check(f.be && f.be->zeroes && !f.be->discard_unit);
	child_check(perform(BLOCK_ZERO, 4096 + 512, 300 * 1024, true) == 0);
	memset(f.data + 4096 + 512, 0, 300 * 1024);
	child_check(perform(BLOCK_ZERO, SIZE - 512, 512, false) == 0);
	memset(f.data + SIZE - 512, 0, 512);
	child_check(perform(BLOCK_DISCARD, 0, 4096, false) == 0);
	child_check(pread(f.fd, now, SIZE, 0) == SIZE && !memcmp(now, f.data, SIZE));
	f.be->ops->close(f.be);
}

static void test_no_fallocate(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		no_fallocate();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: no system call filters here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_zeroes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_block_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_fallocate, setup, teardown),
	};

	return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
