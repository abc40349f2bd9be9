/* SPDX-License-Identifier: MIT */
#include "tests/host/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/disk/disk.h"

static char path[64];
static struct loop *loop;
static struct error err;

static int make_image(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static int setup(void **state)
{
	snprintf(path, sizeof(path), "test-disk-%d.img", (int)getpid());
	loop = new_loop();
	return loop_start(loop, &err);
}

static int teardown(void **state)
{
	loop_stop(loop);
	loop_destroy(loop);
	unlink(path);
	return 0;
}

/* --- requests that can be waited for --------------------------------------------------------------------------------- */

struct request {
	struct block_io io;
	struct virtio_iov iov[8];
	atomic_bool ended;
	bool on_loop;
	int error;
};

static void ended(struct block_io *io, int error)
{
	struct request *request = (struct request *)io;

	assert_true(io_locked());
	request->error = error;
	request->on_loop = loop_is_self(loop);
	request->ended = true;
}

static void start(struct block_backend *be, struct request *request, enum block_op op, uint64_t offset)
{
	request->io.op = op;
	request->io.offset = offset;
	request->io.done = ended;
	if (!request->io.iov)
		request->io.iov = request->iov;
	request->ended = false;
	be->ops->submit(be, &request->io);
}

static int perform(struct block_backend *be, enum block_op op, uint64_t offset, void *data, size_t len)
{
	struct request request = { .iov = { { data, len } }, .io.iov_count = op == BLOCK_FLUSH ? 0 : 1 };

	io_lock();
	start(be, &request, op, offset);
	be->ops->commit(be);
	io_unlock();
	wait_until(request.ended);
	assert_ptr_equal(request.iov[0].base, data);	/* the list is the device's, and stays as it was */
	assert_int_equal(request.iov[0].len, len);
	return request.error;
}

static struct block_backend *must_open(bool read_only, enum disk_engine_kind kind)
{
	struct block_backend *be;

	io_lock();
	be = disk_open(loop, path, read_only, kind, &err);
	io_unlock();
	if (!be)
		fail_msg("%s", err.text);
	return be;
}

static void must_refuse(const char *name, bool read_only, const char *sentence)
{
	struct block_backend *be;

	io_lock();
	be = disk_open(loop, name, read_only, DISK_AUTO, &err);
	io_unlock();
	assert_null(be);
	if (!strstr(err.text, sentence) || !strstr(err.text, name))
		fail_msg("got '%s', expected '%s ... %s'", err.text, name, sentence);
}

static void close_disk(struct block_backend *be)
{
	loop_stop(loop);
	be->ops->close(be);
	assert_int_equal(loop_start(loop, &err), 0);
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	must_refuse("no-such.img", false, "No such file or directory");
	must_refuse("/", false, "is a directory");
	must_refuse("/", true, "is a directory");
	must_refuse("/dev/null", false, "neither a file nor a block device");
	close(make_image(0));
	must_refuse(path, false, "is empty");
	close(make_image(100));
	must_refuse(path, false, "smaller than one sector");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	must_refuse(path, true, "neither a file");
	unlink(path);
	if (geteuid() == 0)
		return;		/* root may read anything */
	close(make_image(4096));
	chmod(path, 0);
	must_refuse(path, false, "Permission denied");
	chmod(path, 0400);
	must_refuse(path, false, "add ',ro'");
}

static void test_size_and_serial(void **state)
{
	struct block_backend *be;
	char serial[21], byte;

	close(make_image(3 * 512 + 511));
	be = must_open(false, DISK_AUTO);
	assert_int_equal(be->size, 3 * 512);
	assert_int_equal(be->block_size, 512);
	assert_true(strlen(be->serial) <= 20);
	assert_memory_equal(be->serial, "test-disk-", 10);
	memcpy(serial, be->serial, sizeof(serial));
	assert_int_equal(perform(be, BLOCK_READ, 3 * 512, &byte, 1), -EIO);
	assert_int_equal(perform(be, BLOCK_READ, UINT64_MAX, &byte, 1), -EIO);
	assert_int_equal(perform(be, BLOCK_READ, 3 * 512, &byte, 0), 0);
	close_disk(be);
	be = must_open(true, DISK_AUTO);
	assert_string_equal(be->serial, serial);
	assert_int_equal(perform(be, BLOCK_READ, 0, &byte, 1), 0);
	assert_int_equal(perform(be, BLOCK_WRITE, 0, &byte, 1), -EROFS);
	assert_int_equal(perform(be, BLOCK_FLUSH, 0, NULL, 0), 0);
	close_disk(be);
}

/* Try to open in another process; its exit status is 0 if it could, 1 if the sentence was right, 2 otherwise. */
static int open_elsewhere(bool read_only)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct loop *own = loop_create(&err);
		struct block_backend *be = disk_open(own, path, read_only, DISK_AUTO, &err);

		_exit(be ? 0 : strstr(err.text, "in use by another kennel") && strstr(err.text, path) ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_lock(void **state)
{
	struct block_backend *be;

	close(make_image(4096));
	be = must_open(false, DISK_AUTO);
	must_refuse(path, false, "in use by another kennel");
	assert_int_equal(open_elsewhere(false), 1);
	assert_int_equal(open_elsewhere(true), 1);
	close_disk(be);
	be = must_open(true, DISK_AUTO);
	assert_int_equal(open_elsewhere(false), 1);
	assert_int_equal(open_elsewhere(true), 0);
	close_disk(be);
	assert_int_equal(open_elsewhere(false), 0);
}

/* --- data ------------------------------------------------------------------------------------------------------------ */

#define IMAGE_SIZE (1u << 20)

/* Random writes and reads with odd scatter lists, against a copy of what the disk should hold. */
static void check_data(enum disk_engine_kind kind)
{
	unsigned char *shadow = calloc(1, IMAGE_SIZE), *buffer = malloc(65536 + 64), *file = malloc(IMAGE_SIZE);
	struct block_backend *be;
	unsigned int seed = 1;
	int fd = make_image(IMAGE_SIZE);

	be = must_open(false, kind);
	for (int round = 0; round < 300; round++) {
		struct request request = { .io.iov_count = 1 + (unsigned int)rand_r(&seed) % 8 };
		enum block_op op = rand_r(&seed) % 2 ? BLOCK_READ : BLOCK_WRITE;
		size_t total = 0;
		uint64_t offset;

		for (unsigned int i = 0; i < request.io.iov_count; i++) {
			request.iov[i].base = buffer + (total ? total : (size_t)rand_r(&seed) % 64);
			request.iov[i].len = (size_t)rand_r(&seed) % 8000;
			if (i)
				request.iov[i].base = (unsigned char *)request.iov[i - 1].base + request.iov[i - 1].len;
			total += request.iov[i].len;
		}
		offset = (uint64_t)rand_r(&seed) % (IMAGE_SIZE - total);
		for (size_t i = 0; i < total; i++)
			((unsigned char *)request.iov[0].base)[i] = (unsigned char)rand_r(&seed);
		if (op == BLOCK_WRITE)
			memcpy(shadow + offset, request.iov[0].base, total);
		io_lock();
		start(be, &request, op, offset);
		be->ops->commit(be);
		io_unlock();
		wait_until(request.ended);
		assert_int_equal(request.error, 0);
		assert_memory_equal(shadow + offset, request.iov[0].base, total);
	}
	assert_int_equal(perform(be, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(pread(fd, file, IMAGE_SIZE, 0), IMAGE_SIZE);
	assert_memory_equal(file, shadow, IMAGE_SIZE);
	close(fd);
	close_disk(be);
	free(shadow);
	free(buffer);
	free(file);
}

static bool have_uring(void)
{
	struct block_backend *be;

	close(make_image(4096));
	be = disk_open(loop, path, false, DISK_URING, &err);
	if (be)
		close_disk(be);
	return be;
}

static const enum disk_engine_kind kinds[] = { DISK_AUTO, DISK_WORKERS, DISK_URING };

static int kinds_here(void)
{
	return have_uring() ? 3 : 2;
}

static void test_data_uring(void **state)
{
	if (!have_uring()) {
		print_message("skipped: %s\n", err.text);
		skip();
	}
	check_data(DISK_URING);
}

static void test_data_workers(void **state)
{
	check_data(DISK_WORKERS);
}

#define MANY 300

/* More requests at once than any queue inside holds; each pattern must land in its own place. */
static void check_many(enum disk_engine_kind kind, bool drain)
{
	struct request *requests = calloc(MANY, sizeof(*requests));
	uint32_t *data = malloc(MANY * 512), *back = malloc(MANY * 512);
	struct block_backend *be;
	int fd = make_image(MANY * 512);

	be = must_open(false, kind);
	for (unsigned int i = 0; i < MANY * 128; i++)
		data[i] = i * 2654435761u;
	io_lock();
	for (unsigned int i = 0; i < MANY; i++) {
		requests[i].iov[0] = (struct virtio_iov){ data + 128 * i, 512 };
		requests[i].io.iov_count = 1;
		start(be, &requests[i], BLOCK_WRITE, 512 * i);
		assert_false(requests[i].ended);	/* submit() does not wait */
	}
	be->ops->commit(be);
	if (drain) {
		be->ops->drain(be);
		for (unsigned int i = 0; i < MANY; i++)
			assert_true(requests[i].ended);
	}
	io_unlock();
	for (unsigned int i = 0; i < MANY; i++) {
		wait_until(requests[i].ended);
		assert_int_equal(requests[i].error, 0);
		if (!drain)
			assert_true(requests[i].on_loop);
	}
	assert_int_equal(pread(fd, back, MANY * 512, 0), MANY * 512);
	assert_memory_equal(data, back, MANY * 512);
	close(fd);
	close_disk(be);
	free(requests);
	free(data);
	free(back);
}

static void test_many(void **state)
{
	for (int k = 0; k < kinds_here(); k++) {
		check_many(kinds[k], false);
		for (int i = 0; i < 10; i++)
			check_many(kinds[k], true);
	}
}

/* close() carries out what the loop has not begun, and what it was in the middle of. */
static void test_close_finishes(void **state)
{
	for (int k = 0; k < kinds_here(); k++) {
		struct request requests[40] = { 0 };
		struct block_backend *be;
		char data[512] = "kept", back[512];
		int fd = make_image(sizeof(requests) / sizeof(requests[0]) * 512);

		be = must_open(false, kinds[k]);
		io_lock();
		for (unsigned int i = 0; i < 40; i++) {
			requests[i].iov[0] = (struct virtio_iov){ data, 512 };
			requests[i].io.iov_count = 1;
			start(be, &requests[i], BLOCK_WRITE, 512 * i);
			if (i == 20)
				be->ops->commit(be);
		}
		io_unlock();
		loop_stop(loop);
		io_lock();
		be->ops->close(be);
		io_unlock();
		assert_int_equal(loop_start(loop, &err), 0);
		for (unsigned int i = 0; i < 40; i++) {
			assert_true(requests[i].ended);
			assert_int_equal(requests[i].error, 0);
			assert_int_equal(pread(fd, back, 512, 512 * i), 512);
			assert_string_equal(back, "kept");
		}
		close(fd);
	}
}

/* A list longer than the kernel takes at once. */
static void test_long_list(void **state)
{
	enum { PIECES = 3000 };
	struct virtio_iov *iov = calloc(PIECES, sizeof(*iov));
	unsigned char *data = malloc(PIECES * 16);

	for (int k = 0; k < kinds_here(); k++) {
		struct request request = { 0 };
		struct block_backend *be;
		unsigned char back[16];
		int fd = make_image(PIECES * 16 + 512);

		be = must_open(false, kinds[k]);
		for (unsigned int i = 0; i < PIECES; i++) {
			memset(data + 16 * i, (int)(i % 251), 16);
			iov[PIECES - 1 - i] = (struct virtio_iov){ data + 16 * i, 16 };
		}
		request.io.iov = iov;
		request.io.iov_count = PIECES;
		io_lock();
		start(be, &request, BLOCK_WRITE, 0);
		be->ops->commit(be);
		io_unlock();
		wait_until(request.ended);
		assert_int_equal(request.error, 0);
		for (unsigned int i = 0; i < PIECES; i++) {
			assert_int_equal(pread(fd, back, 16, 16 * (PIECES - 1 - i)), 16);
			assert_memory_equal(back, data + 16 * i, 16);
			assert_ptr_equal(iov[PIECES - 1 - i].base, data + 16 * i);	/* the device's list is as it was */
		}
		close(fd);
		close_disk(be);
	}
	free(iov);
	free(data);
}

/* --- errors of the host ---------------------------------------------------------------------------------------------- */

static void test_shrunk_image(void **state)
{
	struct block_backend *be;
	char data[1024];
	int fd = make_image(8192);

	be = must_open(false, DISK_AUTO);
	assert_int_equal(ftruncate(fd, 4096 + 512), 0);
	assert_int_equal(perform(be, BLOCK_READ, 4096, data, 512), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(perform(be, BLOCK_READ, 4096, data, 1024), -EIO);
	assert_int_equal(perform(be, BLOCK_READ, 6000, data, 512), -EIO);
	close_disk(be);
	close(fd);
}

/* The children below have no cmocka: they end with 0, or the line that failed (or 77: cannot be tried here). */
#define child_check(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); _exit(1); } } while (0)

static int child_perform(struct block_backend *be, struct loop *own, enum block_op op, uint64_t offset, void *data, size_t len)
{
	struct request request = { .iov = { { data, len } }, .io.iov_count = 1 };

	start(be, &request, op, offset);
	if (be->ops->commit)
		be->ops->commit(be);
	while (!request.ended)
		loop_run_once(own, 100);
	child_check(request.iov[0].base == data && request.iov[0].len == len);
	return request.error;
}

/* With no other thread at the moment of fork(): the child would inherit a lock that one holds, the allocator's for example. */
static void run_child(void (*body)(struct loop *own))
{
	int status;
	pid_t pid;

	loop_stop(loop);
	pid = fork();
	if (!pid) {
		loop = loop_create(&err);
		body(loop);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(loop_start(loop, &err), 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: not possible on this host\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static bool write_file(const char *name, const char *format, int value)
{
	FILE *file = fopen(name, "w");

	return file && fprintf(file, format, value) > 0 && fclose(file) == 0;
}

static void full_disk(struct loop *own)
{
	static char data[256 << 10];
	int uid = (int)getuid(), gid = (int)getgid();

	/* Root of a user namespace may mount a small filesystem. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !write_file("/proc/self/setgroups", "deny%.0d", 0) ||
	    !write_file("/proc/self/uid_map", "0 %d 1", uid) || !write_file("/proc/self/gid_map", "0 %d 1", gid) ||
	    mount("none", "/mnt", "tmpfs", 0, "size=64k") < 0)
		_exit(77);
	for (int k = 0; k < 3; k++) {
		struct block_backend *be;
		int fd;

		snprintf(path, sizeof(path), "/mnt/full.img");
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		child_check(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
		be = disk_open(own, path, false, kinds[k], &err);
		if (!be && kinds[k] == DISK_URING)
			break;
		child_check(be);
		child_check(child_perform(be, own, BLOCK_WRITE, 0, data, 4096) == 0);
		child_check(child_perform(be, own, BLOCK_WRITE, 0, data, sizeof(data)) == -ENOSPC);
		child_check(child_perform(be, own, BLOCK_READ, 0, data, 4096) == 0);
		be->ops->close(be);
		close(fd);
	}
}

static void test_full_disk(void **state)
{
	run_child(full_disk);
}

/* A file size limit is an error of the request; the signal that comes with it must not end the guest. */
static void size_limit(struct loop *own)
{
	struct rlimit limit = { 4096, 4096 };
	static char data[8192];
	struct block_backend *be;

	close(make_image(1 << 20));
	child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int k = 0; k < 2; k++) {
		be = disk_open(own, path, false, k ? DISK_WORKERS : DISK_AUTO, &err);
		child_check(be);
		child_check(child_perform(be, own, BLOCK_WRITE, 0, data, 4096) == 0);
		child_check(child_perform(be, own, BLOCK_WRITE, 8192, data, 4096) == -EFBIG);
		child_check(child_perform(be, own, BLOCK_WRITE, 2048, data, 4096) == -EFBIG);	/* after half of it */
		be->ops->close(be);
	}
}

static void test_size_limit(void **state)
{
	run_child(size_limit);
}

/* A container that forbids io_uring: as Docker's seccomp profile does. */
static void no_uring(struct loop *own)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_preadv2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
	struct block_backend *be;
	char data[512] = "through threads", back[512];
	int fd = make_image(4096);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
	child_check(!disk_open(own, path, false, DISK_URING, &err));
	child_check(strstr(err.text, "Operation not permitted"));
	be = disk_open(own, path, false, DISK_AUTO, &err);
	child_check(be);
	child_check(child_perform(be, own, BLOCK_WRITE, 512, data, 512) == 0);
	child_check(pread(fd, back, 512, 512) == 512 && !strcmp(back, data));
	/* A host that never gets round to it: tried several times, then given up. */
	child_check(child_perform(be, own, BLOCK_READ, 512, data, 512) == -EIO);
	be->ops->close(be);
}

static void test_no_uring(void **state)
{
	run_child(no_uring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_and_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_uring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_workers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_finishes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shrunk_image, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_uring, setup, teardown),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
