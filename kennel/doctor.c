/* SPDX-License-Identifier: MIT */
/*
 * doctor.c - what this host has of what Kennel needs. Each check does the thing rather than ask about it where it can.
 *
 * With --json the same for programs: an object whose "status" is the worst of what its "checks" found. The names in it are promised
 * (kennel.1); the sentences are not.
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
#include "host/memory_file.h"
#include "host/memory_limit.h"
#include "host/message.h"
#include "kennel/commands.h"

/* WITHOUT: something is missing that a guest need not have. */
enum verdict { GOOD, WITHOUT, SLOWER, BAD };

struct finding {
	enum verdict verdict;
	char detail[256];	/* what was seen */
};

struct check {
	const char *key;	/* in JSON, for good */
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
	enum { USUAL = 65530, TOO_FEW = 1000 };
	char text[32];
	long limit;

	read_text("/proc/sys/vm/max_map_count", text, sizeof(text));
	limit = atol(text);
	if (limit >= USUAL)
		found(f, GOOD, "%ld", limit);
	else
		found(f, limit < TOO_FEW ? BAD : SLOWER, "%ld, %d is usual", limit, USUAL);
}

/* What a processor makes do with, in addresses and memory: one is made, for a guest with a page of memory. */
static void try_processor(struct finding *f)
{
	static const struct cpu_ops ops;
	struct cpu_config config = {.ram = {.pages = 1}, .ops = &ops};
	const char *sentence = NULL;
	struct cpu *cpu;

	config.ram.fd = memory_file_create("kennel-doctor", 4096, false, NULL);
	config.ram.base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, config.ram.fd, 0);
	cpu = config.ram.base == MAP_FAILED ? NULL : cpu_create(&config, &sentence);
	if (!cpu) {
		found(f, BAD, "%s", sentence ? sentence : "no memory for a guest");
	} else {
		sentence = cpu_makes_do(cpu);
		found(f, SLOWER, "%s", sentence ? sentence : "it is limited, but suffices");
		cpu_destroy(cpu);
	}
	if (config.ram.base != MAP_FAILED)
		munmap(config.ram.base, 4096);
	if (config.ram.fd >= 0)
		close(config.ram.fd);
}

static void look_address_space(struct finding *f)
{
	size_t want = (size_t)96 << 30;
	void *p = mmap(NULL, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		try_processor(f);
		return;
	}
	munmap(p, want);
	found(f, GOOD, "96 GiB can be reserved");
}

/* A guest's memory is counted too, as far as it is used; what a guest has unless told otherwise is the measure. */
static void look_memory(struct finding *f)
{
	struct memory_limit limit;

	if (!memory_limit_find("", &limit))
		found(f, GOOD, "this process's control group has none");
	else
		found(f, limit.bytes < 256ull << 20 ? SLOWER : GOOD, "%llu MiB (%s)", (unsigned long long)limit.bytes >> 20, limit.file);
}

/* One page that is a file, executable below 4 GiB; NULL: not to be had. The rest is filled by @code. For munmap(). */
static void *map_code(const uint8_t *code, size_t size, const char **where)
{
	int fd = memory_file_create("kennel-doctor", 4096, true, where);
	void *w, *x;

	if (fd < 0)
		return NULL;
	w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_32BIT, fd, 0);
	close(fd);
	if (w != MAP_FAILED) {
		memcpy(w, code, size);
		munmap(w, 4096);
	}
	return w == MAP_FAILED || x == MAP_FAILED ? NULL : x;
}

/* Writable here and executable there, below 4 GiB: how the code cache is made. */
static void look_executable(struct finding *f)
{
	static const uint8_t ret42[] = {0xb8, 42, 0, 0, 0, 0xc3};
	const char *where;
	void *code = map_code(ret42, sizeof(ret42), &where);

	if (!code) {
		found(f, BAD, MEMORY_FILE_NONE);
		return;
	}
	if (((int (*)(void))code)() != 42)
		found(f, BAD, "what was written at one address is not what runs at the other");
	else if (where)
		found(f, SLOWER, "memfd_create() is forbidden; a file in %s can be mapped to write and to execute", where);
	else
		found(f, GOOD, "a memfd can be mapped to write and to execute");
	munmap(code, 4096);
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
		found(f, WITHOUT, "this kernel has no seccomp");
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
	void *p = map_code(code, sizeof(code), NULL);
	int status = 0;
	pid_t child;

	if (!p) {
		found(f, WITHOUT, "could not be tried, for want of executable memory");
		return;
	}
	child = fork();
	if (!child) {
		uint64_t target = (uint64_t)(uintptr_t)p | 0x23ull << 32;

		__asm__ volatile("ljmpl *%0" : : "m"(target) : "memory");
		_exit(1);
	}
	if (child < 0)
		found(f, WITHOUT, "could not be tried: fork: %s", strerror(errno));
	else if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 42)
		found(f, WITHOUT, "this kernel runs no 32-bit code");
	else
		found(f, GOOD, "32-bit code segments and system calls work");
	munmap(p, 4096);
}

static void look_ptrace(struct finding *f)
{
	char scope[16];

	read_text("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof(scope));
	if (!*scope || atoi(scope) < 2)
		found(f, GOOD, "a parent may trace its child");
	else
		found(f, WITHOUT, "kernel.yama.ptrace_scope is %s", scope);
}

static void look_tun(struct finding *f)
{
	if (!access("/dev/net/tun", R_OK | W_OK))
		found(f, GOOD, "/dev/net/tun can be opened");
	else
		found(f, WITHOUT, "/dev/net/tun: %s", strerror(errno));
}

static const struct check checks[] = {
	{"guest_memory", "way to guest memory", look_window,
	 "run it on the machine itself, or in a virtual machine with a kernel of its own"},
	{"executable_memory", "executable memory", look_executable,
	 "a security policy forbids it: allow memfd and execmem for kennel (SELinux), or leave the hardened profile"},
	{"address_space", "address space", look_address_space, "raise the limits (ulimit -v unlimited, ulimit -d unlimited), or set vm.overcommit_memory to 0 or 1"},
	{"memory_limit", "memory limit", look_memory, "give the control group (the container) more, or guests less (--memory)"},
	{"mapping_limit", "mapping limit", look_mappings, "sysctl vm.max_map_count=65530, as root on the host; below it guests run, but slower"},
	{"time_stamp_counter", "time stamp counter", look_tsc, "guests ask their kernel for the time, or keep it by timer ticks; nothing to be done inside a virtual machine"},
	{"io_uring", "io_uring", look_uring, "disks use threads instead; if you want it: sysctl kernel.io_uring_disabled=0, or the container's seccomp profile"},
	{"seccomp", "seccomp", look_seccomp, "guests run without a sandbox (as with --no-sandbox)"},
	{"tap", "tap networking", look_tun, "--net user works without; --net tap=NAME needs read and write access to the device"},
	{"code32", "32-bit code", look_32bit, "only `make check` needs it: boot with ia32_emulation=1"},
	{"ptrace", "ptrace", look_ptrace, "only `make check` needs it: sysctl kernel.yama.ptrace_scope=1"},
};

static const struct check *const end = checks + sizeof(checks) / sizeof(checks[0]);

static void look(const struct check *check, struct finding *f, enum verdict *worst)
{
	*f = (struct finding){GOOD, ""};
	check->look(f);
	if (f->verdict > *worst)
		*worst = f->verdict;
}

static void print_plain(const struct check *check, const struct finding *f)
{
	static const char *const words[] = {[GOOD] = "ok", [WITHOUT] = "note", [SLOWER] = "note", [BAD] = "FAIL"};

	printf("%-5s %s: %s\n", words[f->verdict], check->what, f->detail);
	if (f->verdict != GOOD)
		printf("      %s\n", check->advice);
}

static void print_string(const char *text)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < ' ' || *p >= 0x7f)	/* of a path: somebody's bytes, in no encoding that we know */
			printf("\\u%04x", *p);
		else
			putchar(*p);
	putchar('"');
}

static const char *const json_words[] = {[GOOD] = "ok", [WITHOUT] = "without", [SLOWER] = "slower", [BAD] = "cannot"};

static void print_json(const struct check *check, const struct finding *f)
{
	printf("%s\n    \"%s\": {\"verdict\": \"%s\", \"detail\": ", check == checks ? "" : ",", check->key, json_words[f->verdict]);
	print_string(f->detail);
	if (f->verdict != GOOD) {
		printf(", \"advice\": ");
		print_string(check->advice);
	}
	printf("}");
}

static int doctor_plain(void)
{
	enum verdict worst = GOOD;
	struct finding f;

	for (const struct check *check = checks; check < end; check++) {
		look(check, &f, &worst);
		print_plain(check, &f);
	}
	printf(worst == BAD ? "Guests cannot run here.\n" : "Guests can run here.\n");
	return worst == BAD ? STATUS_TROUBLE : STATUS_OK;
}

static int doctor_json(void)
{
	static const int statuses[] = {[GOOD] = STATUS_OK, [WITHOUT] = STATUS_OK, [SLOWER] = STATUS_SLOWER, [BAD] = STATUS_TROUBLE};
	enum verdict worst = GOOD;
	struct finding f;

	printf("{\n  \"checks\": {");
	for (const struct check *check = checks; check < end; check++) {
		look(check, &f, &worst);
		print_json(check, &f);
	}
	printf("\n  },\n  \"status\": \"%s\"\n}\n", json_words[worst == WITHOUT ? GOOD : worst]);
	return statuses[worst];
}

int doctor(int argc, char **argv)
{
	if (argc == 1)
		return doctor_plain();
	if (argc == 2 && !strcmp(argv[1], "--json"))
		return doctor_json();
	message_error("doctor: unknown argument %s; there is only --json", argv[argc - 1]);
	return STATUS_TROUBLE;
}
