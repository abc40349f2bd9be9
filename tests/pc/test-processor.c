/* SPDX-License-Identifier: MIT */
/* CPUID and MSRs: what the guest hears of its processor, whatever the host's is. */
#include <string.h>

#include "machine/pc/pc.h"
#include "tests/features.h"
#include "tests/machine/fake_cpu.h"
#include "tests/pc/test.h"

enum { EAX, EBX, ECX, EDX };

#define BIT(n) (1u << (n))

static struct cpu cpu;
static struct pc m;
static struct virtio_mem mem;
static uint8_t memory[8192];

static uint64_t a_clock(void *opaque)
{
	return 1000;
}

static int set_up(void **state)
{
	memset(&m, 0, sizeof(m));
	m.cpu = &cpu;
	m.tsc_khz = 2000000;
	m.tsc_constant = true;
	mem = (struct virtio_mem){.base = memory, .size = sizeof(memory)};
	kvmclock_init(&m.clock, &mem, m.tsc_khz, a_clock, a_clock, a_clock, NULL);
	return 0;
}

/* --- CPUID ---------------------------------------------------------------------------------------------------------------- */

static void ask(uint32_t leaf, uint32_t subleaf, uint32_t host, uint32_t regs[4])
{
	for (unsigned int i = 0; i < 4; i++)
		regs[i] = host;
	pc_cpuid(&m, leaf, subleaf, regs);
}

static void features_that_work_here(void **state)
{
	uint32_t r[4];

	ask(1, 0, ~0u, r);
	/* FPU PSE TSC MSR PAE CX8 SEP PGE CMOV SSE2, but not VME DE APIC MTRR PAT PSE-36 HTT. */
	assert_int_equal(r[EDX] & (BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(13) | BIT(15) | BIT(26)),
			 BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(13) | BIT(15) | BIT(26));
	assert_int_equal(r[EDX] & (BIT(1) | BIT(2) | BIT(9) | BIT(12) | BIT(16) | BIT(17) | BIT(28)), 0);
	/* MONITOR VMX FMA x2APIC TSC-deadline XSAVE OSXSAVE AVX F16C RDRAND. */
	assert_int_equal(r[ECX] & (BIT(3) | BIT(5) | BIT(12) | BIT(21) | BIT(24) | BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(30)), 0);
	assert_true(r[ECX] & BIT(31));
	assert_int_equal(r[EBX] >> 16, 1);
	assert_int_equal(r[EBX] & 0xff, 0);
	ask(7, 0, ~0u, r);
	assert_int_equal(r[EAX] | r[EBX] | r[ECX], 0);
	ask(7, 1, ~0u, r);
	assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
	ask(0x80000001, 0, ~0u, r);
	/* NX; not SYSCALL, 1 GiB pages, RDTSCP, long mode. */
	assert_int_equal(r[EDX] & (BIT(20) | BIT(11) | BIT(26) | BIT(27) | BIT(29)), BIT(20));
	assert_int_equal(r[ECX] & ~(BIT(0) | BIT(5)), 0);
}

static void what_is_offered_runs(void **state)
{
	uint32_t r[4];

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		ask(features[i].leaf, 0, ~0u, r);
		if ((r[features[i].reg] >> features[i].bit & 1) != feature_runs(&features[i]))
			fail_msg("%s", features[i].name);
	}
}

/* A feature the host lacks is not made up. */
static void nothing_is_invented(void **state)
{
	uint32_t r[4];

	ask(1, 0, 0, r);
	assert_int_equal(r[EDX], BIT(7) | BIT(14));	/* machine checks are ours */
	assert_int_equal(r[ECX], BIT(31));
	ask(0x80000001, 0, 0, r);
	assert_int_equal(r[ECX] | r[EDX], 0);
}

static void unknown_leaves_are_empty(void **state)
{
	static const uint32_t leaves[] = {3, 5, 6, 9, 0xa, 0xb, 0xd, 0xf, 0x12, 0x14, 0x1f, 0x24, 0x3fffffff, 0x40000002, 0x40000100, 0x7fffffff,
					  0x8000000a, 0x8000001e, 0x80000022, 0xc0000000, 0xffffffff};
	uint32_t r[4];

	for (unsigned int i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		ask(leaves[i], 0, ~0u, r);
		assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
	}
	ask(0, 0, ~0u, r);
	assert_int_equal(r[EAX], 7);
	ask(0x80000000, 0, ~0u, r);
	assert_int_equal(r[EAX], 0x80000021);
}

/* What paging checks of an entry, and what is said here, must be the same. */
static void addresses_have_36_bits(void **state)
{
	uint32_t r[4];

	ask(0x80000008, 0, ~0u, r);
	assert_int_equal(r[EAX], 0x2024);
	assert_int_equal(r[ECX] | r[EDX], 0);
}

/* One thread, one core, whatever shares the host's caches. */
static void caches_without_neighbours(void **state)
{
	uint32_t r[4];

	ask(4, 0, ~0u, r);
	assert_int_equal(r[EAX], 0x3fff);
	assert_int_equal(r[EBX], ~0u);
}

static void the_counter_is_a_clock_or_not(void **state)
{
	uint32_t r[4];

	ask(0x80000007, 0, ~0u, r);
	assert_int_equal(r[EDX], BIT(8));
	assert_int_equal(r[EAX], 0);
	/* One that has to be looked after is none by itself; the hypervisor's clock is there all the same. */
	m.tsc_constant = false;
	ask(0x80000007, 0, ~0u, r);
	assert_int_equal(r[EDX], 0);
	ask(0x40000001, 0, ~0u, r);
	assert_true(r[EAX] & BIT(3));
}

static void it_is_a_hypervisor(void **state)
{
	uint32_t r[4];

	ask(0x40000000, 0, 0, r);
	assert_memory_equal(&r[EBX], "KVMKVMKVM\0\0\0", 12);
	assert_true(r[EAX] >= 0x40000001);
	ask(0x40000001, 0, ~0u, r);
	assert_true(r[EAX] & BIT(3));
	assert_false(cpu.fpu_released);
}

/* --- MSRs ------------------------------------------------------------------------------------------------------------------- */

static bool rd(uint32_t index, uint64_t *value)
{
	*value = 0x5555555555555555;
	return pc_msr(&m, index, false, value);
}

static bool wr(uint32_t index, uint64_t value)
{
	return pc_msr(&m, index, true, &value);
}

static void registers_nobody_has(void **state)
{
	/* APIC base, feature control, a counter, MTRRs, PAT, machine checks' control and banks, VMX, EFER's neighbours, Hyper-V's, Xen's. */
	static const uint32_t absent[] = {0x1b, 0x3a, 0xc1, 0xfe, 0x200, 0x277, 0x2ff, 0x17b, 0x400, 0x480, 0x6e0, 0xc0000081, 0xc0000103,
					  0x40000000, 0x4b564d02, 0x4b564d05, 0xffffffff};
	uint64_t value;

	for (unsigned int i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		assert_false(rd(absent[i], &value));
		assert_false(wr(absent[i], 0));
	}
	assert_int_equal(m.stats.msrs, 2 * sizeof(absent) / sizeof(absent[0]));
}

static void speculation_controls(void **state)
{
	uint64_t value;
	uint32_t r[4];

	/* CPUID names both. */
	ask(7, 0, 0, r);
	assert_true(r[EDX] & BIT(26));
	assert_true(r[EDX] & BIT(29));
	assert_true(wr(0x48, 5));
	assert_true(rd(0x48, &value));
	assert_int_equal(value, 5);
	assert_false(wr(0x48, 8));
	assert_false(wr(0x48, UINT64_C(1) << 63));
	assert_true(rd(0x48, &value));
	assert_int_equal(value, 5);
	/* A command, not a register. */
	assert_true(wr(0x49, 1));
	assert_false(rd(0x49, &value));
	assert_true(rd(0x10a, &value));
	assert_true(value & 1);			/* not affected by Meltdown: no kernel page is in a user's view */
	assert_false(wr(0x10a, 0));
}

static void registers_that_every_processor_has(void **state)
{
	uint64_t before = __builtin_ia32_rdtsc(), value;

	assert_true(rd(0x10, &value));
	assert_in_range(value, before, __builtin_ia32_rdtsc());
	assert_true(wr(0x10, 0));
	assert_true(rd(0x1a0, &value));
	assert_int_equal(value, 1 | 1 << 11 | 1 << 12);
	assert_true(rd(0x8b, &value));
	assert_int_equal(value, 0);
	/* Machine checks: no banks, and nothing happened. */
	assert_true(rd(0x179, &value));
	assert_int_equal(value, 0);
	assert_false(wr(0x179, 0));
	assert_true(wr(0x17a, 0));
	assert_false(wr(0x17a, 4));
	assert_true(rd(0x17a, &value));
	assert_int_equal(value, 0);
	/* AMD's: what its kernels read without asking; LFENCE serializes. */
	assert_true(rd(0xc0010015, &value));
	assert_int_equal(value, 1 << 24);
	assert_true(rd(0xc0011029, &value));
	assert_int_equal(value, 2);
	assert_true(rd(0xc001001f, &value));
	assert_int_equal(value, 0);
	assert_true(wr(0xc0011020, ~0ull));
	assert_false(rd(0xc0012000, &value));
}

static void the_hypervisors_clock(void **state)
{
	uint64_t value;

	assert_true(wr(KVMCLOCK_MSR_SYSTEM, 0x1000 | 1));
	assert_true(rd(KVMCLOCK_MSR_SYSTEM, &value));
	assert_int_equal(value, 0x1001);
	assert_false(wr(KVMCLOCK_MSR_SYSTEM, 0x100000 | 1));
	assert_false(cpu.fpu_released);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		T(features_that_work_here), T(what_is_offered_runs), T(nothing_is_invented), T(unknown_leaves_are_empty), T(addresses_have_36_bits),
		T(caches_without_neighbours), T(the_counter_is_a_clock_or_not), T(it_is_a_hypervisor), T(registers_nobody_has),
		T(speculation_controls), T(registers_that_every_processor_has), T(the_hypervisors_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
