/* SPDX-License-Identifier: MIT */
/*
 * kvmclock.h - the part of KVM's interface to its guests that a PC without an APIC has a use for (Linux,
 * Documentation/virt/kvm/x86/{cpuid,msr}.rst): a clock based on the time-stamp counter.
 *
 * A stock kernel that finds it takes the counter's rate from it, so that it calibrates nothing against the 8254, and trusts it as its
 * clock; it also drops the writes to port 0x80 with which it slows down port accesses. The guest computes its time from the counter, all
 * other clocks of the board from the host's; kvmclock.c tells how the two are kept together. A flag says that the host has let the guest
 * stand still, so that its watchdogs do not take that for a fault of its own.
 *
 * The structures are in guest memory. Processor's thread. Cold: memory is found by calls.
 */
#ifndef KENNEL_MACHINE_PC_KVMCLOCK_H
#define KENNEL_MACHINE_PC_KVMCLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <virtio/virtio.h>

#include "host/clock.h"

#define KVMCLOCK_LEAF_FIRST	0x40000000u
#define KVMCLOCK_LEAF_LAST	0x40000010u

#define KVMCLOCK_MSR_WALL	0x4b564d00u
#define KVMCLOCK_MSR_SYSTEM	0x4b564d01u

enum {
	KVMCLOCK_ENABLE = 1,			/* in the system-time register, which is an address otherwise */
	KVMCLOCK_SYNC_NS = 1000000000,
	KVMCLOCK_STRAY_NS = 20000,
};

struct kvmclock {
	const struct virtio_mem *mem;
	uint32_t khz;			/* of the counter; 0 = it is no clock, and none is offered */
	uint64_t (*tsc)(void *opaque);		/* the counter as the guest reads it */
	uint64_t (*monotonic)(void *opaque);	/* ns, at a rate that nobody bends */
	uint64_t (*realtime)(void *opaque);	/* ns since 1970 */
	void *opaque;
	uint64_t start;			/* monotonic ns at which the guest's system time was 0 */
	uint64_t system, wall;		/* the registers */
	uint32_t version;

	/* What the guest goes by: at this count it was that time, and since then it passes at this rate. */
	uint64_t base_tsc, base_ns;
	uint32_t mul;
	int8_t shift;
	bool went_back;			/* the counter has, or has stood still: the guest has to see to it that its time does not */

	/* What we go by. */
	uint64_t seen;			/* monotonic ns at base_tsc */
	struct clock_pair learnt;	/* counter and monotonic ns when this was measured: */
	uint64_t hz;			/* the counter's rate, lately */
	uint64_t residue;		/* ns by which the guest's time was off then, and is on its way to be right */
};

/**
 * kvmclock_init - offer the clock
 * @mem: guest memory, borrowed; its dirty() is told what is written
 * @khz: rate of the counter, if it is good enough (clock_tsc_trust(), clock_tsc_khz()), or 0
 */
void kvmclock_init(struct kvmclock *clock, const struct virtio_mem *mem, uint32_t khz, uint64_t (*tsc)(void *opaque),
		   uint64_t (*monotonic)(void *opaque), uint64_t (*realtime)(void *opaque), void *opaque);

/** kvmclock_reset - for a restart of the guest: its time begins anew, and its memory is not written any more */
void kvmclock_reset(struct kvmclock *clock);

/** kvmclock_sync - bring the guest's time together with the host's. Before the guest runs, or when it is interrupted. */
void kvmclock_sync(struct kvmclock *clock);

/* System time as the guest computes it: ns = ((ticks << shift) * mul) >> 32. A counter that has gone back counts as standing still. */
static inline uint64_t kvmclock_guest_ns(const struct kvmclock *clock, uint64_t tsc)
{
	uint64_t ticks = (int64_t)(tsc - clock->base_tsc) < 0 ? 0 : tsc - clock->base_tsc;

	ticks = clock->shift < 0 ? ticks >> -clock->shift : ticks << clock->shift;
	return clock->base_ns + (uint64_t)((unsigned __int128)ticks * clock->mul >> 32);
}

/**
 * kvmclock_strays - is it time for kvmclock_sync()? Every second, and when counter and host are further apart than they were.
 * @tsc, @monotonic: both now, or nearly: an answer too many does no harm. Plain integer code: may run between entries to the guest.
 */
static inline bool kvmclock_strays(const struct kvmclock *clock, uint64_t tsc, uint64_t monotonic)
{
	int64_t off = (int64_t)(monotonic - clock->start - kvmclock_guest_ns(clock, tsc));

	if (!(clock->system & KVMCLOCK_ENABLE))
		return false;
	return monotonic - clock->seen >= KVMCLOCK_SYNC_NS || (uint64_t)(off < 0 ? -off : off) > clock->residue + KVMCLOCK_STRAY_NS;
}

/** kvmclock_paused - the guest was not run for seconds: its watchdogs, which look at the flag and take it away, start anew */
void kvmclock_paused(struct kvmclock *clock);

/** kvmclock_cpuid - leaves KVMCLOCK_LEAF_FIRST to _LAST: EAX, EBX, ECX, EDX. False: not one of ours. */
bool kvmclock_cpuid(const struct kvmclock *clock, uint32_t leaf, uint32_t regs[4]);

/** kvmclock_read - RDMSR. False: not one of ours, or not offered: #GP. */
bool kvmclock_read(const struct kvmclock *clock, uint32_t msr, uint64_t *value);

/** kvmclock_write - WRMSR. False: as above, or it names no guest memory: #GP. */
bool kvmclock_write(struct kvmclock *clock, uint32_t msr, uint64_t value);

#endif
