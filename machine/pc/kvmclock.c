/* SPDX-License-Identifier: MIT */
#include "machine/pc/kvmclock.h"

#include <stddef.h>
#include <string.h>

#define NSEC	UINT64_C(1000000000)

enum { EAX, EBX, ECX, EDX };

/* Feature bits, EAX of leaf 0x40000001 (Linux, cpuid.rst). */
enum {
	FEATURE_NOP_IO_DELAY = 1u << 1,
	FEATURE_CLOCKSOURCE2 = 1u << 3,
	FEATURE_CLOCKSOURCE_STABLE = 1u << 24,
};

/* What the system-time register says: an address, and whether it counts. */
enum { ENABLE = 1 };

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
 * ns = ((ticks << shift) * mul) >> 32, with the shift to the right if it is negative. The shift brings the rate to between one and two
 * ticks a nanosecond, which leaves mul all its 32 bits.
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

static bool write_system(struct kvmclock *clock, uint64_t value)
{
	struct system_time time = { .version = clock->version + 2, .flags = FLAG_TSC_STABLE };

	if (value & ENABLE) {
		time.tsc_timestamp = clock->tsc(clock->opaque);
		time.system_time = clock->monotonic(clock->opaque) - clock->start;
		find_scale(clock->khz * UINT64_C(1000), &time.tsc_to_system_mul, &time.tsc_shift);
		if (!store(clock, value & ~(uint64_t)ENABLE, &time, sizeof(time)))
			return false;
		clock->version = time.version;
	}
	clock->system = value;
	return true;
}

void kvmclock_paused(struct kvmclock *clock)
{
	uint64_t at = (clock->system & ~(uint64_t)ENABLE) + offsetof(struct system_time, flags);
	const uint8_t flags = FLAG_TSC_STABLE | FLAG_GUEST_STOPPED;

	if (clock->system & ENABLE)
		store(clock, at, &flags, sizeof(flags));
}

/* The time of day at which system time was 0. */
static bool write_wall(struct kvmclock *clock, uint64_t value)
{
	uint64_t since = clock->monotonic(clock->opaque) - clock->start, then = clock->realtime(clock->opaque) - since;
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
}

void kvmclock_init(struct kvmclock *clock, const struct virtio_mem *mem, uint32_t khz, uint64_t (*tsc)(void *opaque),
		   uint64_t (*monotonic)(void *opaque), uint64_t (*realtime)(void *opaque), void *opaque)
{
	*clock = (struct kvmclock){ .mem = mem, .khz = khz, .tsc = tsc, .monotonic = monotonic, .realtime = realtime, .opaque = opaque };
	kvmclock_reset(clock);
}
