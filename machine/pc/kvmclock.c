/* SPDX-License-Identifier: MIT */
/*
 * The guest reads the counter itself, so its time runs at the counter's rate, as that was measured. And the counter is not ours: one
 * that is not announced as invariant may stop in deep sleep, change its rate, or be another one after the host, itself a virtual machine,
 * was moved. So the host's clock is the judge: CLOCK_MONOTONIC_RAW, as time servers bend the others and guests have watchdogs that
 * compare clocks. About once a second, and whenever the two are found apart, the guest is given another line to go by:
 *
 * - It begins where the old one has led to, and meets the host's time a second later, if it need not bend by more than BEND_NS for that.
 * - A guest that is late by more than JUMP_NS is put right at once: the counter has stood still, or gone back.
 * - A guest that is early is never put back. It is slowed down; where that would take longer than some seconds, the host has slept
 *   (its clocks have, the counter not), and the guest's system time is right from now on, whatever it is.
 *
 * A guest that uses the counter as its clock, without asking us, will compare it with this one, and come to us when they differ.
 *
 * Clocks are always read together (clock_read_both()): a thread that is not run for a while between two readings would otherwise
 * believe them apart.
 */
#include "machine/pc/kvmclock.h"

#include <stddef.h>
#include <string.h>

#define NSEC		NSEC_PER_SEC
#define BEND_NS		INT64_C(200000)
#define SLOW_NS		(INT64_C(1000000000) / 16)	/* BEND_NS of a guest that is far ahead */
#define JUMP_NS		INT64_C(1000000)
#define UNSURE_NS	UINT64_C(100000)	/* a reading that took longer says nothing */

enum { EAX, EBX, ECX, EDX };

/* Feature bits, EAX of leaf 0x40000001 (Linux, cpuid.rst). */
enum {
	FEATURE_NOP_IO_DELAY = 1u << 1,
	FEATURE_CLOCKSOURCE2 = 1u << 3,
	FEATURE_CLOCKSOURCE_STABLE = 1u << 24,
};

/* Linux, msr.rst: struct pvclock_vcpu_time_info, struct pvclock_wall_clock. An odd version would say "being written". */
struct system_time {
	uint32_t version, pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};

struct wall_clock {
	uint32_t version, sec, nsec;
};

enum { FLAG_TSC_STABLE = 1, FLAG_GUEST_STOPPED = 2 };

_Static_assert(sizeof(struct system_time) == 32, "an interface");
_Static_assert(sizeof(struct wall_clock) == 12, "an interface");

/*
 * For kvmclock_guest_ns(). The shift (to the right if it is negative) brings the rate to between one and two ticks a nanosecond, which
 * leaves mul all its 32 bits.
 */
static void find_scale(uint64_t hz, uint32_t *mul, int8_t *shift)
{
	*shift = 0;
	for (; hz > 2 * NSEC; hz >>= 1)
		--*shift;
	for (; hz <= NSEC; hz <<= 1)
		++*shift;
	*mul = (uint32_t)((NSEC << 32) / hz);
}

/* Write a structure of the guest's. False: it lies outside its memory. */
static bool store(struct kvmclock *clock, uint64_t address, const void *data, size_t size)
{
	void *to = virtio_mem_at(clock->mem, address, size);

	if (!to)
		return false;
	if (clock->mem->dirty)
		clock->mem->dirty(clock->mem->opaque, address, size);
	memcpy(to, data, size);
	return true;
}

/* --- the guest's line ------------------------------------------------------------------------------------------------ */

static uint64_t page(const struct kvmclock *clock)
{
	return clock->system & ~(uint64_t)KVMCLOCK_ENABLE;
}

/* What the guest has not taken away yet. */
static uint8_t flag_left(const struct kvmclock *clock)
{
	const struct system_time *time = virtio_mem_at(clock->mem, page(clock), sizeof(*time));

	return time ? time->flags & FLAG_GUEST_STOPPED : 0;
}

/* The version is never odd, as the guest does not run meanwhile. */
static void show(struct kvmclock *clock, uint8_t flags)
{
	struct system_time time = {
		.version = clock->version + 2,
		.tsc_timestamp = clock->base_tsc,
		.system_time = clock->base_ns,
		.tsc_to_system_mul = clock->mul,
		.tsc_shift = clock->shift,
		.flags = (uint8_t)(flags | (clock->went_back ? 0 : FLAG_TSC_STABLE)),
	};

	if (store(clock, page(clock), &time, sizeof(time)))
		clock->version = time.version;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* A line from @at, where it is @ns, that gains @gain ns on the host within a second. */
static void draw(struct kvmclock *clock, const struct clock_pair *at, uint64_t ns, int64_t gain)
{
	clock->base_tsc = at->first;
	clock->base_ns = ns;
	clock->seen = at->second;
	find_scale((uint64_t)((unsigned __int128)clock->hz * NSEC / (uint64_t)((int64_t)NSEC + gain)), &clock->mul, &clock->shift);
}

/* The counter's rate from here on: as it was since the last time, if that is long enough ago to tell, and if it is possible at all. */
static void learn_rate(struct kvmclock *clock, const struct clock_pair *at)
{
	uint64_t nominal = clock->khz * UINT64_C(1000), passed = at->second - clock->learnt.second, hz;

	if (passed < NSEC / 2)
		return;
	hz = (uint64_t)((unsigned __int128)(at->first - clock->learnt.first) * NSEC / passed);
	if (hz > nominal - nominal / 500 && hz < nominal + nominal / 500)
		clock->hz = hz;
	clock->learnt = *at;
}

void kvmclock_sync(struct kvmclock *clock)
{
	struct clock_pair at = clock_read_both(clock->tsc, clock->monotonic, clock->opaque);
	uint64_t ns = kvmclock_guest_ns(clock, at.first);
	int64_t late = (int64_t)(at.second - clock->start - ns);

	if (!(clock->system & KVMCLOCK_ENABLE) || at.width * 1000000 / clock->khz > UNSURE_NS)
		return;
	if (late > JUMP_NS || at.first < clock->base_tsc) {
		clock->went_back = true;
		ns += late > 0 ? (uint64_t)late : 0;
		late = 0;
		clock->learnt = at;
	} else if (late < -(int64_t)NSEC) {
		clock->start = at.second - ns;
		late = 0;
		clock->learnt = at;
	} else {
		learn_rate(clock, &at);
	}
	draw(clock, &at, ns, clamp(late, late < -JUMP_NS ? -SLOW_NS : -BEND_NS, BEND_NS));
	clock->residue = (uint64_t)(late < 0 ? -late : late);
	show(clock, flag_left(clock));
}

static bool write_system(struct kvmclock *clock, uint64_t value)
{
	struct clock_pair at = clock_read_both(clock->tsc, clock->monotonic, clock->opaque);

	if ((value & KVMCLOCK_ENABLE) && !virtio_mem_at(clock->mem, value & ~(uint64_t)KVMCLOCK_ENABLE, sizeof(struct system_time)))
		return false;
	clock->system = value;
	if (value & KVMCLOCK_ENABLE) {
		clock->hz = clock->khz * UINT64_C(1000);
		clock->residue = 0;
		clock->learnt = at;
		draw(clock, &at, at.second - clock->start, 0);
		show(clock, 0);
	}
	return true;
}

void kvmclock_paused(struct kvmclock *clock)
{
	const uint8_t flags = FLAG_GUEST_STOPPED | (clock->went_back ? 0 : FLAG_TSC_STABLE);

	if (clock->system & KVMCLOCK_ENABLE)
		store(clock, page(clock) + offsetof(struct system_time, flags), &flags, sizeof(flags));
}

/* --- registers ------------------------------------------------------------------------------------------------------- */

/* The time of day at which system time was 0. */
static bool write_wall(struct kvmclock *clock, uint64_t value)
{
	struct clock_pair at = clock_read_both(clock->monotonic, clock->realtime, clock->opaque);
	uint64_t then = at.second - (at.first - clock->start);
	struct wall_clock wall = { .version = 2, .sec = (uint32_t)(then / NSEC), .nsec = (uint32_t)(then % NSEC) };

	if (!store(clock, value, &wall, sizeof(wall)))
		return false;
	clock->wall = value;
	return true;
}

bool kvmclock_write(struct kvmclock *clock, uint32_t msr, uint64_t value)
{
	if (!clock->khz)
		return false;
	if (msr == KVMCLOCK_MSR_SYSTEM)
		return write_system(clock, value);
	return msr == KVMCLOCK_MSR_WALL && write_wall(clock, value);
}

bool kvmclock_read(const struct kvmclock *clock, uint32_t msr, uint64_t *value)
{
	if (!clock->khz || (msr != KVMCLOCK_MSR_SYSTEM && msr != KVMCLOCK_MSR_WALL))
		return false;
	*value = msr == KVMCLOCK_MSR_SYSTEM ? clock->system : clock->wall;
	return true;
}

bool kvmclock_cpuid(const struct kvmclock *clock, uint32_t leaf, uint32_t regs[4])
{
	if (leaf < KVMCLOCK_LEAF_FIRST || leaf > KVMCLOCK_LEAF_LAST)
		return false;
	regs[EAX] = regs[EBX] = regs[ECX] = regs[EDX] = 0;
	if (leaf == KVMCLOCK_LEAF_FIRST) {
		regs[EAX] = KVMCLOCK_LEAF_LAST;
		regs[EBX] = 0x4b4d564b;		/* "KVMKVMKVM\0\0\0" */
		regs[ECX] = 0x564b4d56;
		regs[EDX] = 0x4d;
	} else if (leaf == KVMCLOCK_LEAF_FIRST + 1) {
		regs[EAX] = FEATURE_NOP_IO_DELAY;
		if (clock->khz)
			regs[EAX] |= FEATURE_CLOCKSOURCE2 | FEATURE_CLOCKSOURCE_STABLE;
	} else if (leaf == KVMCLOCK_LEAF_LAST) {
		regs[EAX] = clock->khz;		/* the rate once more, in the place VMware chose for it */
	}
	return true;
}

void kvmclock_reset(struct kvmclock *clock)
{
	clock->start = clock->monotonic(clock->opaque);
	clock->system = clock->wall = 0;
	clock->version = 0;
	clock->went_back = false;
}

void kvmclock_init(struct kvmclock *clock, const struct virtio_mem *mem, uint32_t khz, uint64_t (*tsc)(void *opaque),
		   uint64_t (*monotonic)(void *opaque), uint64_t (*realtime)(void *opaque), void *opaque)
{
	*clock = (struct kvmclock){ .mem = mem, .khz = khz, .tsc = tsc, .monotonic = monotonic, .realtime = realtime, .opaque = opaque };
	kvmclock_reset(clock);
}
