/* SPDX-License-Identifier: MIT */
/*
 * main.c - the program that pup runs at ring 3. It has no library: it starts at its first byte with a number in EBX, which says
 * what to do.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../bench/kernels.h"

enum { MODE_TEST, MODE_BENCH, MODE_NOTHING };

enum {
	SYS_EXIT = 1, SYS_FORK = 2, SYS_WRITE = 4, SYS_WAITPID = 7, SYS_EXECVE = 11, SYS_GETPID = 20, SYS_GETPPID = 64,
	SYS_MUNMAP = 91, SYS_SCHED_YIELD = 158, SYS_NANOSLEEP = 162, SYS_MMAP2 = 192, SYS_SET_THREAD_AREA = 243,
	SYS_CLOCK_GETTIME = 265,
};

#define EFAULT 14
#define ENOSYS 38

__asm__(".section .head, \"ax\"\n"
	".globl _start\n"
	"_start:\n\t"
	"xorl %ebp, %ebp\n\t"
	"pushl %ebx\n\t"
	"call run\n\t"
	"movl %eax, %ebx\n\t"
	"movl $1, %eax\n\t"
	"int $0x80\n\t"
	"ud2\n\t"
	".text");

static int32_t call(uint32_t number, uint32_t a, uint32_t b, uint32_t c)
{
	int32_t result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

static uint32_t length_of(const char *text)
{
	uint32_t length = 0;

	while (text[length])
		length++;
	return length;
}

static void say(const char *text)
{
	call(SYS_WRITE, 1, (uint32_t)text, length_of(text));
}

static int failed;

static void report(bool ok, const char *name)
{
	say(ok ? "ok " : "FAIL ");
	say(name);
	say("\n");
	failed += !ok;
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

/* A child that does something; what became of it as waitpid() says: exit code << 8, or 1 + the vector that killed it. */
static uint32_t child(void (*function)(void))
{
	uint32_t status = 0xffffffff;
	int32_t id = call(SYS_FORK, 0, 0, 0);

	if (!id) {
		function();
		call(SYS_EXIT, 0, 0, 0);
	}
	return call(SYS_WAITPID, -1, (uint32_t)&status, 0) == id ? status : 0xfffffffe;
}

#define KILLED_BY(vector) ((vector) + 1)

static uint32_t mmap(uint32_t size)
{
	return call(SYS_MMAP2, 0, size, 3);
}

static volatile uint32_t shared_word = 7;

static void change_word(void)
{
	if (shared_word != 7)
		call(SYS_EXIT, 1, 0, 0);
	shared_word = 8;
	call(SYS_EXIT, shared_word == 8 ? 42 : 2, 0, 0);
}

static void read_kernel(void)
{
	(void)*(volatile uint32_t *)0xc0100000;
}

static void write_kernel(void)
{
	*(volatile uint32_t *)0xc0100000 = 0;
}

static void read_null(void)
{
	uint32_t address = 16;

	__asm__ volatile("" : "+r"(address));
	(void)*(volatile uint32_t *)address;
}

static void jump_kernel(void)
{
	((void (*)(void))0xc0100000)();
}

static void disable_interrupts(void)
{
	__asm__ volatile("cli");
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void hypercall(void)
{
	__asm__ volatile("int $0x1f" : : "a"(10));
}

static void kernel_vector(void)
{
	__asm__ volatile("int $0x20");
}

static void read_port(void)
{
	__asm__ volatile("inb $0x60, %%al" : : : "eax");
}

static void kernel_segment(void)
{
	__asm__ volatile("movl %0, %%gs" : : "r"(0x69));
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void step(void)
{
	__asm__ volatile("pushfl\n\torl $0x100, (%esp)\n\tpopfl\n\tnop\n\tnop");
}

static void divide(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx\n\tdivl %%ecx" : : : "eax", "ecx", "edx");
}

static void exec_nothing(void)
{
	call(SYS_EXECVE, MODE_NOTHING, 0, 0);
}

static void test_protection(void)
{
	static const struct {
		void (*function)(void);
		uint32_t vector;
		const char *name;
	} tests[] = {
		{ read_kernel, 14, "user-reads-kernel" },
		{ write_kernel, 14, "user-writes-kernel" },
		{ read_null, 14, "user-reads-null" },
		{ jump_kernel, 14, "user-jumps-to-kernel" },
		{ disable_interrupts, 13, "user-cli" },
		{ halt, 13, "user-hlt" },
		{ hypercall, 13, "user-hypercall" },
		{ kernel_vector, 13, "user-int-20" },
		{ read_port, 13, "user-in" },
		{ kernel_segment, 13, "user-kernel-segment" },
		{ undefined, 6, "user-undefined" },
		{ breakpoint, 3, "user-breakpoint" },
		{ step, 1, "user-single-step" },
		{ divide, 0, "user-divide" },
	};

	for (uint32_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		report(child(tests[i].function) == KILLED_BY(tests[i].vector), tests[i].name);
}

static void test_calls(void)
{
	uint32_t selector, flags;

	__asm__ volatile("movl %%cs, %0" : "=r"(selector));
	report((selector & 0xffff) == 0x73, "user-ring-3");
	report(call(SYS_GETPID, 0, 0, 0) > 0, "user-getpid");
	report(call(9999, 0, 0, 0) == -ENOSYS, "user-no-such-call");
	report(call(SYS_WRITE, 1, 0xc0000000, 4) == -EFAULT, "user-write-from-kernel");
	report(call(SYS_WRITE, 1, 0x1000, 4) == -EFAULT, "user-write-from-nowhere");
	__asm__ volatile("stc\n\tint $0x80\n\tpushfl\n\tpopl %0" : "=r"(flags) : "a"(SYS_GETPID) : "memory");
	report((flags & 0x201) == 0x201, "user-flags-kept");
}

static void test_memory(void)
{
	uint8_t *at = (uint8_t *)mmap(16 * 4096);
	bool zero = true, good = true;
	uint32_t destination = (uint32_t)at + 4096 - 6, count = 2 * 4096;

	for (uint32_t i = 0; i < 16; i++)
		zero = zero && !at[i * 4096 + i];
	report(zero, "user-demand-zero");
	/* A string instruction that runs into two missing pages. */
	call(SYS_MUNMAP, (uint32_t)at, 16 * 4096, 0);
	at = (uint8_t *)mmap(16 * 4096);
	__asm__ volatile("rep stosb" : "+D"(destination), "+c"(count) : "a"(0x5a) : "memory");
	for (uint32_t i = 0; i < 2 * 4096; i++)
		good = good && at[4096 - 6 + i] == 0x5a;
	report(good && !count && destination == (uint32_t)at + 3 * 4096 - 6 && !at[4096 - 7] && !at[3 * 4096 - 6], "user-string-faults");
	/* A word that lies in two missing pages. */
	*(volatile uint32_t *)(at + 6 * 4096 - 2) = 0x11223344;
	report(at[6 * 4096 - 1] == 0x33 && at[6 * 4096] == 0x22, "user-straddling-write");
	call(SYS_MUNMAP, (uint32_t)at, 16 * 4096, 0);
}

static void test_processes(void)
{
	report(child(change_word) == 42 << 8 && shared_word == 7, "user-copy-on-write");
	report(child(exec_nothing) == 0, "user-exec");
}

/* Thread-local storage: GS with a base of our own, kept while others run with theirs. */
static bool set_tls(uint32_t *at)
{
	uint32_t description[4] = { 0xffffffff, (uint32_t)at, 0xfffff, 0x51 };

	if (call(SYS_SET_THREAD_AREA, (uint32_t)description, 0, 0))
		return false;
	__asm__ volatile("movl %0, %%gs" : : "r"(description[0] << 3 | 3));
	return true;
}

static uint32_t read_tls(void)
{
	uint32_t value;

	__asm__ volatile("movl %%gs:0, %0" : "=r"(value));
	return value;
}

static uint32_t tls_words[2] = { 0x1111, 0x2222 };

static void other_tls(void)
{
	bool good = read_tls() == 0x1111 && set_tls(&tls_words[1]);

	for (uint32_t i = 0; i < 5; i++) {
		good = good && read_tls() == 0x2222;
		call(SYS_SCHED_YIELD, 0, 0, 0);
	}
	call(SYS_EXIT, good ? 0 : 1, 0, 0);
}

static void test_tls(void)
{
	uint32_t status = 1;
	bool good = set_tls(&tls_words[0]);
	int32_t id = call(SYS_FORK, 0, 0, 0);

	if (!id)
		other_tls();
	for (uint32_t i = 0; i < 5; i++) {
		good = good && read_tls() == 0x1111;
		call(SYS_SCHED_YIELD, 0, 0, 0);
	}
	call(SYS_WAITPID, -1, (uint32_t)&status, 0);
	report(good && !status, "user-tls");
	__asm__ volatile("movl %0, %%gs" : : "r"(0));
}

/* Two programs that both keep the FPU busy, each with its own numbers, while a timer takes turns between them. */
static bool fpu_loop(double x, uint32_t turns)
{
	double sum = 0;

	for (uint32_t i = 0; i < turns; i++) {
		sum += x;
		if (i % 1000 == 0)
			call(SYS_SCHED_YIELD, 0, 0, 0);
	}
	return sum == x * turns;
}

static void other_fpu(void)
{
	__asm__ volatile("movl $0x22222222, %%eax\n\tmovd %%eax, %%mm0\n\temms" : : : "eax");
	call(SYS_EXIT, fpu_loop(3.0, 2000000) ? 0 : 1, 0, 0);
}

static void test_fpu(void)
{
	uint32_t status = 1;
	int32_t id = call(SYS_FORK, 0, 0, 0);
	bool good;

	if (!id)
		other_fpu();
	good = fpu_loop(1.5, 2000000);
	call(SYS_WAITPID, -1, (uint32_t)&status, 0);
	report(good && !status, "user-fpu");
}

/* A child computes without ever calling: only the timer can give us the processor back. */
static void compute(void)
{
	for (uint32_t i = 0; i < 100; i++) {
		if (kernel_hash(1000000 + i) == 1)
			call(SYS_EXIT, 1, 0, 0);
	}
	call(SYS_EXIT, 5, 0, 0);
}

static void test_preemption(void)
{
	static uint32_t time[2] = { 0, 5000000 };
	uint32_t status = 0;
	int32_t id = call(SYS_FORK, 0, 0, 0), second;

	if (!id)
		compute();
	second = call(SYS_FORK, 0, 0, 0);
	if (!second) {
		call(SYS_NANOSLEEP, (uint32_t)time, 0, 0);
		call(SYS_EXIT, 6, 0, 0);
	}
	/* The sleeper ends first, though the other one never gives way. */
	report(call(SYS_WAITPID, -1, (uint32_t)&status, 0) == second && status == 6 << 8, "user-preemption");
	report(call(SYS_WAITPID, -1, (uint32_t)&status, 0) == id && status == 5 << 8, "user-wait");
}

static int test(void)
{
	test_calls();
	test_memory();
	test_processes();
	test_tls();
	test_fpu();
	test_preemption();
	test_protection();
	return failed;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------- */

static double now(void)
{
	uint32_t time[2];

	call(SYS_CLOCK_GETTIME, 1, (uint32_t)time, 0);
	return time[0] + time[1] / 1e9;
}

static void say_number(double value)
{
	char text[24];
	uint32_t at = sizeof(text);
	uint64_t hundredths = value * 100 + 0.5;
	uint32_t high = hundredths / 1000000000u, low = hundredths % 1000000000u;

	text[--at] = 0;
	for (uint32_t i = 0; i < 9 || low; i++, low /= 10) {
		text[--at] = '0' + low % 10;
		if (i == 1)
			text[--at] = '.';
	}
	for (; high; high /= 10)
		text[--at] = '0' + high % 10;
	while (text[at] == '0' && text[at + 1] != '.')
		at++;
	say(text + at);
}

/* Run @work(@amount) until half a second has passed; units per second, divided by @unit. */
static void measure(const char *name, const char *unit_name, double unit, void (*work)(uint32_t), uint32_t amount)
{
	double start, end, total = 0;

	work(amount / 16 + 1); /* once, for what happens only once */
	say("bench-begin ");
	say(name);
	say("\n");
	start = now();
	do {
		work(amount);
		total += amount;
		end = now();
	} while (end - start < 0.5);
	say("bench ");
	say(name);
	say(" ");
	say_number(total / (end - start) / unit);
	say(" ");
	say(unit_name);
	say(" ");
	say_number(end - start);
	say("\n");
}

static volatile uint32_t sink;
static volatile double float_sink;
static uint8_t *area, *second_area;

static void work_hash(uint32_t amount)
{
	sink = kernel_hash(amount);
}

static void work_bytes(uint32_t amount)
{
	sink = kernel_bytes(area, amount);
}

static void work_indirect(uint32_t amount)
{
	sink = kernel_indirect(amount);
}

static void work_float(uint32_t amount)
{
	float_sink = kernel_float(amount);
}

static void work_chase(uint32_t amount)
{
	sink = kernel_chase((uint32_t *)area, amount);
}

static void work_copy(uint32_t amount)
{
	void *to = second_area;
	const void *from = area;
	uint32_t words = amount / 4;

	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static void work_getppid(uint32_t amount)
{
	while (amount--)
		call(SYS_GETPPID, 0, 0, 0);
}

static void work_fork(uint32_t amount)
{
	while (amount--) {
		if (!call(SYS_FORK, 0, 0, 0))
			call(SYS_EXIT, 0, 0, 0);
		call(SYS_WAITPID, -1, 0, 0);
	}
}

static void work_exec(uint32_t amount)
{
	while (amount--) {
		if (!call(SYS_FORK, 0, 0, 0))
			call(SYS_EXECVE, MODE_NOTHING, 0, 0);
		call(SYS_WAITPID, -1, 0, 0);
	}
}

static void work_touch(uint32_t amount)
{
	volatile uint8_t *at = (uint8_t *)mmap(amount * 4096);

	for (uint32_t i = 0; i < amount; i++)
		at[i * 4096] = 1;
	call(SYS_MUNMAP, (uint32_t)at, amount * 4096, 0);
}

static void work_mmap(uint32_t amount)
{
	while (amount--)
		work_touch(4);
}

static int bench(void)
{
	area = (uint8_t *)mmap(8 << 20);
	second_area = (uint8_t *)mmap(8 << 20);
	for (uint32_t i = 0; i < 8 << 20; i += 4096)
		area[i] = second_area[i] = i;
	measure("hash", "Mround/s", 1e6, work_hash, 1000000);
	measure("bytes", "MB/s", 1e6, work_bytes, 8 << 20);
	measure("indirect", "Mcall/s", 1e6, work_indirect, 1000000);
	measure("float", "Miter/s", 1e6, work_float, 1000000);
	kernel_chase_make((uint32_t *)area, 1 << 20);
	measure("chase", "Mload/s", 1e6, work_chase, 1000000);
	measure("memcpy", "MB/s", 1e6, work_copy, 8 << 20);
	call(SYS_MUNMAP, (uint32_t)area, 8 << 20, 0);
	call(SYS_MUNMAP, (uint32_t)second_area, 8 << 20, 0);
	measure("getppid", "K/s", 1e3, work_getppid, 100000);
	measure("fork", "/s", 1, work_fork, 100);
	measure("exec", "/s", 1, work_exec, 100);
	measure("touch", "K/s", 1e3, work_touch, 1024);
	measure("mmap", "K/s", 1e3, work_mmap, 256);
	say("bench-end\n");
	return 0;
}

int run(uint32_t mode);

int run(uint32_t mode)
{
	switch (mode) {
	case MODE_TEST:
		return test();
	case MODE_BENCH:
		return bench();
	default:
		return 0;
	}
}
