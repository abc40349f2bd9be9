/* SPDX-License-Identifier: MIT */
/* The paravirtual clock, read as a Linux guest reads it (arch/x86/include/asm/pvclock.h, arch/x86/kernel/kvmclock.c). */
#include <string.h>

#include "machine/pc/kvmclock.h"
#include "tests/pc/test.h"

#define SECOND	UINT64_C(1000000000)

static uint8_t memory[8192];
static const uint64_t base = 0x100000;
static struct virtio_mem mem;
static struct kvmclock clock_under_test;
static uint64_t tsc_now, mono_ns, real_ns;
static uint64_t dirty_at, dirty_len;
static unsigned int stalls;		/* so many readings of a clock to come are followed by a while in which we are not run */

static void pass(uint64_t ns, uint32_t khz)
{
	mono_ns += ns;
	real_ns += ns;
	tsc_now += ns / 1000 * khz / 1000;
}

static uint64_t stall(uint64_t value)
{
	if (stalls) {
		stalls--;
		pass(10000000, 2400000);
	}
	return value;
}

static uint64_t tsc(void *opaque)
{
	return stall(tsc_now);
}

static uint64_t monotonic(void *opaque)
{
	return stall(mono_ns);
}

static uint64_t realtime(void *opaque)
{
	return stall(real_ns);
}

static void dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	dirty_at = gpa;
	dirty_len = len;
}

static void init(uint32_t khz)
{
	memset(memory, 0xaa, sizeof(memory));
	mem = (struct virtio_mem){ .base = memory, .start = base, .size = sizeof(memory), .dirty = dirty };
	tsc_now = 777777777777;
	mono_ns = 99 * SECOND;
	real_ns = UINT64_C(1795261827) * SECOND + 5;
	kvmclock_init(&clock_under_test, &mem, khz, tsc, monotonic, realtime, NULL);
}

/* What the guest computes; mul_u64_u32_shr by way of 128 bits. */
static uint64_t guest_ns(uint64_t address)
{
	const uint8_t *page = memory + (address - base);
	uint64_t stamp, time, delta;
	uint32_t version, mul;

	memcpy(&version, page, 4);
	memcpy(&stamp, page + 8, 8);
	memcpy(&time, page + 16, 8);
	memcpy(&mul, page + 24, 4);
	assert_int_equal(version & 1, 0);
	delta = tsc_now - stamp;
	delta = (int8_t)page[28] < 0 ? delta >> -(int8_t)page[28] : delta << page[28];
	return time + (uint64_t)((unsigned __int128)delta * mul >> 32);
}

/* pvclock_tsc_khz() */
static uint32_t guest_khz(uint64_t address)
{
	const uint8_t *page = memory + (address - base);
	uint64_t khz = UINT64_C(1000000) << 32;
	uint32_t mul;

	memcpy(&mul, page + 24, 4);
	khz /= mul;
	return (uint32_t)((int8_t)page[28] < 0 ? khz << -(int8_t)page[28] : khz >> page[28]);
}

static void it_is_found(void **state)
{
	uint32_t regs[4];
	char name[13] = "";

	init(2400000);
	assert_true(kvmclock_cpuid(&clock_under_test, 0x40000000, regs));
	memcpy(name, regs + 1, 12);
	assert_string_equal(name, "KVMKVMKVM");
	assert_int_equal(regs[0], 0x40000010);
	assert_true(kvmclock_cpuid(&clock_under_test, 0x40000001, regs));
	assert_int_equal(regs[0], 1 << 1 | 1 << 3 | 1 << 24);
	assert_true(kvmclock_cpuid(&clock_under_test, 0x40000010, regs));
	assert_int_equal(regs[0], 2400000);
	assert_true(kvmclock_cpuid(&clock_under_test, 0x40000005, regs));
	assert_int_equal(regs[0] | regs[1] | regs[2] | regs[3], 0);
	assert_false(kvmclock_cpuid(&clock_under_test, 0x40000011, regs));
	assert_false(kvmclock_cpuid(&clock_under_test, 1, regs));
}

static void it_keeps_time_at_any_rate(void **state)
{
	static const uint32_t rates[] = { 1000, 999999, 1000000, 1000001, 1999999, 2000000, 2000001, 2893202, 5100000 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t begin;

		init(rates[i]);
		pass(3 * SECOND, rates[i]);
		assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, (base + 64) | 1));
		assert_in_range(guest_khz(base + 64), rates[i] - rates[i] / 1000000 - 1, rates[i] + rates[i] / 1000000 + 1);
		begin = guest_ns(base + 64);
		assert_int_equal(begin, 3 * SECOND);
		assert_int_equal(memory[64 + 29], 1);
		pass(1000 * SECOND, rates[i]);
		assert_in_range(guest_ns(base + 64) - begin, 1000 * SECOND - 2000, 1000 * SECOND + 2000);
	}
}

static void registers(void **state)
{
	uint64_t value = 1;

	init(2400000);
	assert_true(kvmclock_read(&clock_under_test, KVMCLOCK_MSR_SYSTEM, &value));
	assert_int_equal(value, 0);
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base | 1));
	assert_int_equal(dirty_at, base);
	assert_int_equal(dirty_len, 32);
	assert_true(kvmclock_read(&clock_under_test, KVMCLOCK_MSR_SYSTEM, &value));
	assert_int_equal(value, base | 1);
	/* Switched off: nothing is written. */
	memset(memory, 0x55, sizeof(memory));
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base));
	assert_int_equal(memory[0], 0x55);
	/* Where there is no memory, and registers that are not ours. */
	assert_false(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, (base + sizeof(memory) - 30) | 1));
	assert_false(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, UINT64_MAX));
	assert_false(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_WALL, base - 4));
	assert_false(kvmclock_write(&clock_under_test, 0x10, 0));
	assert_false(kvmclock_read(&clock_under_test, 0x4b564d02, &value));
	kvmclock_reset(&clock_under_test);
	assert_true(kvmclock_read(&clock_under_test, KVMCLOCK_MSR_SYSTEM, &value));
	assert_int_equal(value, 0);
}

static void the_wall_clock(void **state)
{
	uint32_t wall[3];

	init(2400000);
	pass(7 * SECOND, 2400000);
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_WALL, base));
	memcpy(wall, memory, sizeof(wall));
	assert_int_equal(wall[0] & 1, 0);
	assert_int_equal(wall[1], 1795261827);	/* when system time was 0 */
	assert_int_equal(wall[2], 5);
}

/* Linux looks at PVCLOCK_GUEST_STOPPED in its watchdogs, and takes it away (kvm_check_and_clear_guest_paused()). */
static void a_pause_is_told(void **state)
{
	uint64_t then;

	init(2400000);
	kvmclock_paused(&clock_under_test);
	assert_int_equal(memory[29], 0xaa);
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base | 1));
	then = guest_ns(base);
	assert_int_equal(memory[29], 1);
	kvmclock_paused(&clock_under_test);
	assert_int_equal(memory[29], 1 | 2);
	assert_int_equal(dirty_at, base + 29);
	assert_int_equal(dirty_len, 1);
	memory[29] = 1;
	assert_int_equal(guest_ns(base), then);
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base));
	kvmclock_paused(&clock_under_test);
	assert_int_equal(memory[29], 1);
}

/* --- together with the host -------------------------------------------------------------------------------------------------- */

static uint64_t late(void)
{
	return mono_ns - 99 * SECOND - guest_ns(base);
}

/* The guest runs for so long, and is interrupted every 10 ms. Its time may not go back. Returns by how much it was off at most. */
static uint64_t live(uint64_t seconds, int64_t bent_ppm)
{
	uint64_t worst = 0, last = guest_ns(base);

	for (uint64_t i = 0; i < seconds * 100; i++) {
		int64_t off;

		pass(10000000, 2400000);
		mono_ns += (uint64_t)(10000000 * bent_ppm / 1000000);
		assert_true(guest_ns(base) >= last);
		last = guest_ns(base);
		if (kvmclock_strays(&clock_under_test, tsc_now, mono_ns))
			kvmclock_sync(&clock_under_test);
		assert_true(guest_ns(base) >= last);
		last = guest_ns(base);
		off = (int64_t)late();
		if ((uint64_t)(off < 0 ? -off : off) > worst)
			worst = (uint64_t)(off < 0 ? -off : off);
	}
	return worst;
}

static uint32_t version(void)
{
	uint32_t value;

	memcpy(&value, memory, sizeof(value));
	return value;
}

static void enable(void)
{
	init(2400000);
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base | 1));
}

/* A clock that a time server bends, or a counter whose rate was not measured well. */
static void it_follows_the_host(void **state)
{
	static const int64_t rates[] = { 0, 20, -20, 150, -150, 450, -450 };

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		enable();
		assert_in_range(live(20, rates[i]), 0, 500000);
		assert_in_range(live(10, rates[i]), 0, 1000);
		assert_int_equal(memory[29], 1);
	}
}

/* Once a second is enough for clocks that agree. */
static void it_is_left_alone(void **state)
{
	uint32_t before;

	enable();
	before = version();
	live(20, 0);
	assert_in_range(version() - before, 2, 40);
	before = version();
	assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base));
	live(3, 0);
	assert_int_equal(version(), before);
}

/* A thread that is not run between two readings does not take its clocks for being apart. */
static void a_stall_is_no_difference(void **state)
{
	uint32_t wall[3], before;

	for (unsigned int most = 1; most <= 12; most++) {
		init(2400000);
		stalls = most;
		assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base | 1));
		assert_int_equal(late(), 0);
		pass(SECOND, 2400000);
		stalls = most;
		kvmclock_sync(&clock_under_test);
		assert_in_range(late() + 2, 0, 4);
		assert_int_equal(memory[29], 1);
		stalls = most;
		assert_true(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_WALL, base + 64));
		memcpy(wall, memory + 64, sizeof(wall));
		assert_int_equal(wall[2], 5);
	}
	/* If it never gets two readings together, it leaves things as they are. */
	before = version();
	stalls = 15;
	kvmclock_sync(&clock_under_test);
	assert_int_equal(version(), before);
	stalls = 0;
}

/* In deep sleep; or the host was moved, or has gone to another processor. */
static void a_counter_that_stands_still_or_goes_back(void **state)
{
	enable();
	live(3, 0);
	mono_ns += 5 * SECOND;
	assert_in_range(live(1, 0), 0, 10);
	assert_int_equal(memory[29], 0);	/* the guest has to look after its order itself */
	kvmclock_paused(&clock_under_test);
	assert_int_equal(memory[29], 2);
	tsc_now -= 1000000000000;
	assert_true(kvmclock_strays(&clock_under_test, tsc_now, mono_ns));
	kvmclock_sync(&clock_under_test);
	assert_int_equal(memory[29], 2);
	assert_in_range(live(3, 0), 0, 10);
}

static void a_guest_that_is_early_is_slowed_down(void **state)
{
	enable();
	live(3, 0);
	tsc_now += 2400000 * 100;
	assert_in_range(live(3, 0), 50000000, 100000000);
	assert_int_equal(memory[29], 1);
	assert_in_range(live(3, 0), 0, 1000000);
	assert_in_range(live(3, 0), 0, 1000);
}

/* CLOCK_MONOTONIC has slept with the host, the counter has not. */
static void a_host_that_has_slept(void **state)
{
	uint64_t begin;
	uint32_t before;

	enable();
	live(3, 0);
	tsc_now += UINT64_C(2400000000) * 3600;
	begin = guest_ns(base);
	before = version();
	live(10, 0);
	assert_in_range(guest_ns(base) - begin, 10 * SECOND - 1000, 10 * SECOND + 1000);
	assert_in_range(version() - before, 2, 24);	/* and it is at peace with that */
}

static void what_the_guest_was_told_stays(void **state)
{
	enable();
	kvmclock_paused(&clock_under_test);
	live(3, 0);
	assert_int_equal(memory[29], 1 | 2);
	memory[29] = 1;
	live(3, 0);
	assert_int_equal(memory[29], 1);
}

static void a_bad_counter_is_not_offered(void **state)
{
	uint32_t regs[4];
	uint64_t value;

	init(0);
	assert_true(kvmclock_cpuid(&clock_under_test, 0x40000001, regs));
	assert_int_equal(regs[0], 1 << 1);
	assert_false(kvmclock_write(&clock_under_test, KVMCLOCK_MSR_SYSTEM, base | 1));
	assert_false(kvmclock_read(&clock_under_test, KVMCLOCK_MSR_SYSTEM, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_found),
		cmocka_unit_test(it_keeps_time_at_any_rate),
		cmocka_unit_test(registers),
		cmocka_unit_test(the_wall_clock),
		cmocka_unit_test(a_pause_is_told),
		cmocka_unit_test(a_bad_counter_is_not_offered),
		cmocka_unit_test(it_follows_the_host),
		cmocka_unit_test(it_is_left_alone),
		cmocka_unit_test(a_stall_is_no_difference),
		cmocka_unit_test(a_counter_that_stands_still_or_goes_back),
		cmocka_unit_test(a_guest_that_is_early_is_slowed_down),
		cmocka_unit_test(a_host_that_has_slept),
		cmocka_unit_test(what_the_guest_was_told_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
