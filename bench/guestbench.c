/* SPDX-License-Identifier: MIT */
/*
 * guestbench.c - what a guest is worth, in one static i386 program: run on the host, from a guest's shell, or as a guest's init.
 *
 *	guestbench [ROW...]		every row, or some of them, each for GUESTBENCH_SECONDS (environment; 0.5)
 *
 * Each row is two lines, `bench-begin NAME` and `bench NAME MEAN UNIT SECONDS BEST`, more being better; bench/run collects them, and
 * corrects the values by its own clock: a guest's clock may be wrong by half when its host was busy while it calibrated. As process 1
 * it mounts what the rows need, announces itself with `bench-init UPTIME s` (the guest's own clock) before anything else, and powers
 * the machine off at the end. Kernels hand words of their command line that they do not know to process 1: row names as arguments, NAME=VALUE as
 * environment; so the same words work there.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels.h"

#define PAGE         4096u
#define COPY_SIZE    (8u << 20)
#define CHASE_WORDS  (1u << 20)		/* 4 MiB */
#define SORT_COUNT   1000000u
#define TOUCH_PAGES  4096u
#define MMAP_SIZE    (16u << 10)

static volatile uint32_t sink;
static volatile double float_sink;
static const char *self = "/proc/self/exe";

__attribute__((noreturn)) static void fail(const char *what)
{
	printf("guestbench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	/* The system call itself: a vDSO could be one more thing that differs between the places we run at. */
#ifdef SYS_clock_gettime64
	/* User-mode Linux for i386 has none of the old calls with 32-bit seconds; Linux before 5.1 none of these. */
	struct {
		int64_t seconds, nanoseconds;
	} wide;

	if (!syscall(SYS_clock_gettime64, CLOCK_MONOTONIC, &wide))
		return (double)wide.seconds + (double)wide.nanoseconds * 1e-9;
#endif
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void *map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("mmap");
	return at;
}

/* --- computing ---------------------------------------------------------------------------------------------------------- */

static uint8_t *area, *second_area;

static void make_area(void)
{
	area = map(COPY_SIZE);
	for (size_t i = 0; i < COPY_SIZE; i++)
		area[i] = (uint8_t)(i * 7 + 1);
}

static void hash(uint32_t amount)
{
	sink = kernel_hash(amount);
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void make_sort(void)
{
	/* The library's 4 MB for merging stay mapped: this row is to compute, and touch and mmap measure the rest. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	area = map(SORT_COUNT * sizeof(uint32_t));
}

static void sort(uint32_t amount)
{
	while (amount--) {
		uint32_t *word = (uint32_t *)area, random = 1;

		for (uint32_t i = 0; i < SORT_COUNT; i++) {
			random = random * 1664525u + 1013904223u;
			word[i] = random;
		}
		qsort(word, SORT_COUNT, sizeof(*word), compare);
	}
}

static void bytes(uint32_t amount)
{
	sink = kernel_bytes(area, amount);
}

static void indirect(uint32_t amount)
{
	sink = kernel_indirect(amount);
}

static void floats(uint32_t amount)
{
	float_sink = kernel_float(amount);
}

static void sinsqrt(uint32_t amount)
{
	double sum = 0;

	for (uint32_t i = 0; i < amount; i++)
		sum += sin(i * 0.001) * sqrt(i);
	float_sink = sum;
}

static void make_chase(void)
{
	area = map(CHASE_WORDS * sizeof(uint32_t));
	kernel_chase_make((uint32_t *)area, CHASE_WORDS);
}

static void chase(uint32_t amount)
{
	sink = kernel_chase((uint32_t *)area, amount);
}

static void make_copy(void)
{
	make_area();
	second_area = map(COPY_SIZE);
	memset(second_area, 1, COPY_SIZE);
}

static void copy(uint32_t amount)
{
	memcpy(second_area, area, amount);
	sink = second_area[amount / 2];
}

/* --- asking the kernel -------------------------------------------------------------------------------------------------- */

/*
 * Through syscall(), which enters the kernel the way that kernel recommends to i386 programs (its vDSO): SYSENTER or SYSCALL on a
 * host, INT 0x80 in a guest whose processor does not announce SYSENTER. A host's own INT 0x80 may be far slower and is no measure.
 */
static void getppid_row(uint32_t amount)
{
	while (amount--)
		sink = syscall(SYS_getppid);
}

static int zero_fd;

static void make_zero(void)
{
	zero_fd = open("/dev/zero", O_RDONLY);
	if (zero_fd < 0)
		fail("/dev/zero");
}

static void zero(uint32_t amount)
{
	char byte;

	while (amount--) {
		if (read(zero_fd, &byte, 1) != 1)
			fail("/dev/zero");
	}
}

static int ping[2], pong[2];
static pid_t partner;

static void make_pipe(void)
{
	if (pipe(ping) || pipe(pong))
		fail("pipe");
	partner = fork();
	if (partner < 0)
		fail("fork");
	if (!partner) {
		char byte;

		close(ping[1]);
		while (read(ping[0], &byte, 1) == 1 && write(pong[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(ping[0]);
}

static void pipe_row(uint32_t amount)
{
	char byte = 0;

	while (amount--) {
		if (write(ping[1], &byte, 1) != 1 || read(pong[0], &byte, 1) != 1)
			fail("pipe");
	}
}

static void end_pipe(void)
{
	close(ping[1]);
	close(pong[0]);
	close(pong[1]);
	waitpid(partner, NULL, 0);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0)
		fail("fork");
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		fail("a child");
}

static void fork_row(uint32_t amount)
{
	while (amount--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void exec_row(uint32_t amount)
{
	while (amount--) {
		pid_t pid = fork();

		if (!pid) {
			execl(self, "guestbench", "exit", (char *)NULL);
			_exit(1);
		}
		wait_for(pid);
	}
}

/* --- pages -------------------------------------------------------------------------------------------------------------- */

static void touch(uint32_t amount)
{
	volatile uint8_t *at = map((size_t)amount * PAGE);

	/* No large pages: the row is about faults. */
	madvise((void *)at, (size_t)amount * PAGE, MADV_NOHUGEPAGE);
	for (uint32_t i = 0; i < amount; i++)
		at[i * PAGE] = 1;
	munmap((void *)at, (size_t)amount * PAGE);
}

static void mmap_row(uint32_t amount)
{
	while (amount--) {
		volatile uint8_t *at = map(MMAP_SIZE);

		for (uint32_t i = 0; i < MMAP_SIZE; i += PAGE)
			at[i] = 1;
		munmap((void *)at, MMAP_SIZE);
	}
}

/* --- measuring ---------------------------------------------------------------------------------------------------------- */

static const struct row {
	const char *name;
	void (*prepare)(void);		/* in the row's own process; may be NULL */
	void (*work)(uint32_t amount);
	void (*finish)(void);		/* may be NULL */
	uint32_t amount;		/* of one call of work() */
	double unit;
	const char *unit_name;
} rows[] = {
	{ "hash", NULL, hash, NULL, 1000000, 1e6, "Mround/s" },
	{ "qsort", make_sort, sort, NULL, 1, 1, "/s" },
	{ "bytes", make_area, bytes, NULL, COPY_SIZE, 1e6, "MB/s" },
	{ "indirect", NULL, indirect, NULL, 1000000, 1e6, "Mcall/s" },
	{ "float", NULL, floats, NULL, 1000000, 1e6, "Miter/s" },
	{ "sinsqrt", NULL, sinsqrt, NULL, 100000, 1e6, "Mcall/s" },
	{ "chase", make_chase, chase, NULL, 1000000, 1e6, "Mload/s" },
	{ "memcpy", make_copy, copy, NULL, COPY_SIZE, 1e6, "MB/s" },
	{ "getppid", NULL, getppid_row, NULL, 20000, 1e3, "K/s" },
	{ "readzero", make_zero, zero, NULL, 20000, 1e3, "K/s" },
	{ "pipe", make_pipe, pipe_row, end_pipe, 200, 1e3, "K/s" },
	{ "fork", NULL, fork_row, NULL, 20, 1, "/s" },
	{ "exec", NULL, exec_row, NULL, 10, 1, "/s" },
	{ "touch", NULL, touch, NULL, TOUCH_PAGES, 1e3, "K/s" },
	{ "mmap", NULL, mmap_row, NULL, 500, 1e3, "K/s" },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* How fast the whole time was, and the best part of it: what else the machine does comes and goes. */
struct speed {
	double mean, best;		/* per second */
	double seconds;
};

enum { SLICE_MS = 20 };

static struct speed repeat(const struct row *row, double seconds)
{
	struct speed speed = { 0 };
	double start = now(), slice = start, total = 0, done = 0, end;

	do {
		row->work(row->amount);
		total += row->amount;
		end = now();
		if (end - slice < SLICE_MS * 1e-3)
			continue;
		if ((total - done) / (end - slice) > speed.best)
			speed.best = (total - done) / (end - slice);
		done = total;
		slice = end;
	} while (end - start < seconds);
	speed.seconds = end - start;
	speed.mean = total / speed.seconds;
	return speed;
}

static void measure(const struct row *row, double seconds)
{
	struct speed speed;

	if (row->prepare)
		row->prepare();
	row->work(row->amount / 16 + 1); /* once, for what happens only once */
	printf("bench-begin %s\n", row->name);
	fflush(stdout);
	speed = repeat(row, seconds);
	printf("bench %s %.4g %s %.3f %.4g\n", row->name, speed.mean / row->unit, row->unit_name, speed.seconds, speed.best / row->unit);
	fflush(stdout);
	if (row->finish)
		row->finish();
}

/* Each row in a process of its own: fork and exec would otherwise pay for the memory that other rows have used. */
static int run_row(const struct row *row, double seconds)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid) {
		measure(row, seconds);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		printf("guestbench: row %s failed (status %d)\n", row->name, status);
		return 1;
	}
	return 0;
}

static bool wanted(const struct row *row, int count, char **names)
{
	for (int i = 0; i < count; i++) {
		if (!strcmp(names[i], row->name))
			return true;
	}
	return !count;
}

static bool is_row(const char *name)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (!strcmp(rows[i].name, name))
			return true;
	}
	return false;
}

/* --- as process 1 ------------------------------------------------------------------------------------------------------- */

/* The console that the kernel gave us, if it did; otherwise the first that exists, once there is a /dev. */
static void begin_as_init(void)
{
	static const char *const consoles[] = { "/dev/console", "/dev/hvc0", "/dev/ttyS0" };

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL)) {
		mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
		mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
	}
	mount("proc", "/proc", "proc", 0, NULL);
	for (size_t i = 0; fcntl(1, F_GETFD) < 0 && i < sizeof(consoles) / sizeof(consoles[0]); i++) {
		int fd = open(consoles[i], O_RDWR);

		if (fd >= 0) {
			dup2(fd, 0);
			dup2(fd, 1);
			dup2(fd, 2);
		}
	}
}

int main(int argc, char **argv)
{
	bool init = getpid() == 1;
	const char *wish = getenv("GUESTBENCH_SECONDS");
	double seconds = wish ? atof(wish) : 0.5;
	char *names[ROW_COUNT];
	int count = 0, failed = 0;

	if (argc == 2 && !strcmp(argv[1], "exit"))
		return 0;
	if (init) {
		begin_as_init();
		printf("bench-init %.3f s\n", now());
		fflush(stdout);
	}
	for (int i = 1; i < argc && count < (int)ROW_COUNT; i++) {
		if (is_row(argv[i])) {
			names[count++] = argv[i];
		} else if (!init) { /* an init gets words that are meant for others */
			printf("guestbench: there is no row %s\n", argv[i]);
			return 1;
		}
	}
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (wanted(&rows[i], count, names))
			failed += run_row(&rows[i], seconds);
	}
	printf("bench-end %d\n", failed);
	fflush(stdout);
	if (init) {
		sync();
		reboot(RB_POWER_OFF);
		reboot(RB_AUTOBOOT); /* no power-off here: then QEMU's -no-reboot ends it */
	}
	return failed != 0;
}
