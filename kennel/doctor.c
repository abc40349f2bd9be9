/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - what this host has of what Kennel needs. Each check does the thing rather than ask about it where it can.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpu/x86/cpu.h"
#include "host/clock.h"
#include "kennel/commands.h"

enum verdict { GOOD, SLOWER, BAD };

struct finding {
	enum verdict verdict;
	char detail[160];	/* what was seen */
};

struct check {
	const char *what;
	void (*look)(struct finding *f);
	const char *advice;	/* when it is not good */
};

__attribute__((format(printf, 3, 4))) static void found(struct finding *f, enum verdict verdict, const char *format, ...)
{
	va_list args;

	f->verdict = verdict;
	va_start(args, format);
	vsnprintf(f->detail, sizeof(f->detail), format, args);
	va_end(args);
}

static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

static void look_window(struct finding *f)
{
	const char *sentence, *way = cpu_window_way(&sentence);

	if (way)
		found(f, GOOD, "%s: %s", way, sentence);
	else
		found(f, BAD, "%s", sentence);
}

static void look_mappings(struct finding *f)
{
	enum { USUAL = 65530, LITTLE = 16384 };
	char text[32];
	long limit;

	read_text("/proc/sys/vm/max_map_count", text, sizeof(text));
	limit = atol(text);
	if (limit >= USUAL)
		found(f, GOOD, "%ld", limit);
	else
		found(f, limit < LITTLE ? BAD : SLOWER, "%ld, %d is usual", limit, USUAL);
}

static void look_address_space(struct finding *f)
{
	size_t want = (size_t)96 << 30;
	void *p = mmap(NULL, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		found(f, BAD, "cannot reserve 96 GiB of it: %s", strerror(errno));
		return;
	}
	munmap(p, want);
	found(f, GOOD, "96 GiB can be reserved");
}

/* One page of a memfd, writable here and executable there, below 4 GiB: how the code cache is made. */
static void look_executable(struct finding *f)
{
	static const uint8_t ret42[] = {0xb8, 42, 0, 0, 0, 0xc3};
	int fd = memfd_create("kennel-doctor", MFD_CLOEXEC);
	void *w, *x;

	if (fd < 0 || ftruncate(fd, 4096)) {
		found(f, BAD, "memfd_create: %s", strerror(errno));
		return;
	}
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_32BIT, fd, 0);
	if (w == MAP_FAILED || x == MAP_FAILED) {
		found(f, BAD, "cannot map memory executable: %s", strerror(errno));
	} else {
		memcpy(w, ret42, sizeof(ret42));
		found(f, ((int (*)(void))x)() == 42 ? GOOD : BAD, "a memfd can be mapped to write and to execute");
	}
	if (w != MAP_FAILED)
		munmap(w, 4096);
	if (x != MAP_FAILED)
		munmap(x, 4096);
	close(fd);
}

static void look_uring(struct finding *f)
{
	struct io_uring_params params = {0};
	long fd = syscall(SYS_io_uring_setup, 4, &params);

	if (fd < 0) {
		found(f, SLOWER, "refused: %s", strerror(errno));
		return;
	}
	close((int)fd);
	found(f, GOOD, "available");
}

static void look_seccomp(struct finding *f)
{
	long mode = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);

	if (mode < 0)
		found(f, SLOWER, "this kernel has no seccomp");
	else if (mode == 2)
		found(f, GOOD, "a filter of the container or service manager is in force; the checks here passed under it");
	else
		found(f, GOOD, "available");
}

static void look_tsc(struct finding *f)
{
	char source[32];

	read_text("/sys/devices/system/clocksource/clocksource0/current_clocksource", source, sizeof(source));
	switch (clock_tsc_trust()) {
	case CLOCK_TSC_CONSTANT:
		found(f, GOOD, "constant, %u kHz; the host's clock is %s", clock_tsc_khz(), *source ? source : "unknown");
		break;
	case CLOCK_TSC_STEADY:
		found(f, SLOWER, "steady, %u kHz, but neither CPUID nor the kernel vouch for it; the host's clock is %s", clock_tsc_khz(),
		      *source ? source : "unknown");
		break;
	default:
		found(f, SLOWER, "its rate changes, or processors have different ones");
	}
}

/* Only the tests compare with code that the processor runs in 32-bit mode. A child tries, since it may not survive that. */
static void look_32bit(struct finding *f)
{
	/* mov $1, %eax; mov $42, %ebx; int $0x80: exit(42) as an i386 program says it. */
	static const uint8_t code[] = {0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80};
	int status = 0;
	pid_t child = fork();

	if (!child) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
		uint64_t target;

		if (p == MAP_FAILED)
			_exit(1);
		memcpy(p, code, sizeof(code));
		target = (uint64_t)(uintptr_t)p | 0x23ull << 32;
		__asm__ volatile("ljmpl *%0" : : "m"(target) : "memory");
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 42)
		found(f, SLOWER, "this kernel runs no 32-bit code");
	else
		found(f, GOOD, "32-bit code segments and system calls work");
}

static void look_ptrace(struct finding *f)
{
	char scope[16];

	read_text("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
	if (!*scope || atoi(scope) < 2)
		found(f, GOOD, "a parent may trace its child");
	else
		found(f, SLOWER, "kernel.yama.ptrace_scope is %s", scope);
}

static void look_tun(struct finding *f)
{
	if (!access("/dev/net/tun", R_OK | W_OK))
		found(f, GOOD, "/dev/net/tun can be opened");
	else
		found(f, SLOWER, "/dev/net/tun: %s", strerror(errno));
}

static const struct check checks[] = {
	{"way to guest memory", look_window,
	 "needs an Intel Ivy Bridge, AMD Zen or later, and Linux 5.9 or later booted without nofsgsbase"},
	{"executable memory", look_executable,
	 "a security policy forbids it: allow memfd and execmem for kennel (SELinux), or leave the hardened profile"},
	{"address space", look_address_space, "raise the limit (ulimit -v unlimited), or set vm.overcommit_memory to 0 or 1"},
	{"mapping limit", look_mappings, "sysctl vm.max_map_count=65530, as root on the host; below it guests run, but slower"},
	{"time stamp counter", look_tsc, "guests ask their kernel for the time, or keep it by timer ticks; nothing to be done inside a virtual machine"},
	{"io_uring", look_uring, "disks use threads instead; if you want it: sysctl kernel.io_uring_disabled=0, or the container's seccomp profile"},
	{"seccomp", look_seccomp, "guests run without a sandbox (as with --no-sandbox)"},
	{"tap networking", look_tun, "--net user works without; --net tap=NAME needs read and write access to the device"},
	{"32-bit code", look_32bit, "only `make check` needs it: boot with ia32_emulation=1"},
	{"ptrace", look_ptrace, "only `make check` needs it: sysctl kernel.yama.ptrace_scope=1"},
};

int doctor(void)
{
	static const char *const words[] = {[GOOD] = "ok", [SLOWER] = "note", [BAD] = "FAIL"};
	bool bad = false;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding f = {GOOD, ""};

		checks[i].look(&f);
		printf("%-5s %s: %s\n", words[f.verdict], checks[i].what, f.detail);
		if (f.verdict != GOOD)
			printf("      %s\n", checks[i].advice);
		bad |= f.verdict == BAD;
	}
	printf(bad ? "Guests cannot run here.\n" : "Guests can run here.\n");
	return bad ? STATUS_TROUBLE : STATUS_OK;
}
