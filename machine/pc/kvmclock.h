/* SPDX-License-Identifier: MIT */
/*
 * kvmclock.h - the part of KVM's interface to its guests that a PC without an APIC has a use for (Linux,
 * Documentation/virt/kvm/x86/{cpuid,msr}.rst): a clock based on the time-stamp counter.
 *
 * A stock kernel that finds it takes the counter's rate from it, so that it calibrates nothing against the 8254, and trusts the
 * counter as its clock; it also drops the writes to port 0x80 with which it slows down port accesses. Everything is written once,
 * when the guest asks, and never again, as the counter runs at one rate; except for a flag that says that the host has let the guest
 * stand still, so that its watchdogs do not take that for a fault of its own.
 *
 * The structures are in guest memory. Processor's thread. Cold: memory is found by calls.
 */
#ifndef KENNEL_MACHINE_PC_KVMCLOCK_H
#define KENNEL_MACHINE_PC_KVMCLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <virtio/virtio.h>

#define KVMCLOCK_LEAF_FIRST	0x40000000u
#define KVMCLOCK_LEAF_LAST	0x40000010u

#define KVMCLOCK_MSR_WALL	0x4b564d00u
#define KVMCLOCK_MSR_SYSTEM	0x4b564d01u

struct kvmclock {
	const struct virtio_mem *mem;
	uint32_t khz;			/* of the counter; 0 = it is no clock, and none is offered */
	uint64_t (*tsc)(void *opaque);		/* the counter as the guest reads it */
	uint64_t (*monotonic)(void *opaque);	/* ns */
	uint64_t (*realtime)(void *opaque);	/* ns since 1970 */
	void *opaque;
	uint64_t start;			/* monotonic ns at which the guest's system time was 0 */
	uint64_t system, wall;		/* the registers */
	uint32_t version;
};

/**
 * kvmclock_init - offer the clock
 * @mem: guest memory, borrowed; its dirty() is told what is written
 * @khz: rate of the counter, if it is good enough (clock_tsc_is_stable(), clock_tsc_khz()), or 0
 */
void kvmclock_init(struct kvmclock *clock, const struct virtio_mem *mem, uint32_t khz, uint64_t (*tsc)(void *opaque),
		   uint64_t (*monotonic)(void *opaque), uint64_t (*realtime)(void *opaque), void *opaque);

/** kvmclock_reset - for a restart of the guest: its time begins anew, and its memory is not written any more */
void kvmclock_reset(struct kvmclock *clock);

/** kvmclock_paused - the guest was not run for seconds: its watchdogs, which look at the flag and take it away, start anew */
void kvmclock_paused(struct kvmclock *clock);

/** kvmclock_cpuid - leaves KVMCLOCK_LEAF_FIRST to _LAST: EAX, EBX, ECX, EDX. False: not one of ours. */
bool kvmclock_cpuid(const struct kvmclock *clock, uint32_t leaf, uint32_t regs[4]);

/** kvmclock_read - RDMSR. False: not one of ours, or not offered: #GP. */
bool kvmclock_read(const struct kvmclock *clock, uint32_t msr, uint64_t *value);

/** kvmclock_write - WRMSR. False: as above, or it names no guest memory: #GP. */
bool kvmclock_write(struct kvmclock *clock, uint32_t msr, uint64_t value);

#endif
