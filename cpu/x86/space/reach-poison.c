/* SPDX-License-Identifier: MIT */
/*
 * reach-poison.c - the window is at gs:0, but the kernel does not know that a program may write its GS base.
 *
 * Such a kernel lets the instruction run, because whatever it runs on has turned it on, and when it switches threads it restores
 * the base that it knows: that of the last arch_prctl(ARCH_SET_GS). Linux reads nothing back from the processor while the selector is
 * zero (save_fsgs() and load_seg_legacy() in arch/x86/kernel/process_64.c), and a base that is not zero is always loaded again. So what can
 * a guest's access find in GS? What we wrote last, or what the kernel knows, and nothing else. Therefore the kernel is told of the *poison
 * window*: addresses reserved like a window with its guards, in which nothing is ever mapped. An access after the kernel has forgotten
 * us faults there, the handler writes the base once more, and the access tries again. It costs a signal for each involuntary switch.
 *
 * The kernel would also forget in the middle of C, so the base is written on every entry, which costs a tenth of anything else there.
 */
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/x86/space/reach.h"

#include "cpu/x86/space/probe.h"
#include "cpu/x86/space/slot.h"

static bool works(const struct probe *probe)
{
	return probe->wrgsbase && probe->linux_frames;
}

static int create(struct cpu *cpu, const char **error)
{
	uint64_t base = 0;

	cpu->poison = slot_reserve_view(cpu);
	if (!cpu->poison) {
		*error = SLOT_NO_ROOM;
		return -1;
	}
	if (!syscall(SYS_arch_prctl, ARCH_SET_GS, cpu->poison))
		__asm__ volatile("rdgsbase %0" : "=r"(base));
	if (base != (uintptr_t)cpu->poison) {
		*error = "the kernel does not set the GS base as it is told to";
		return -1;
	}
	return 0;
}

static void destroy(struct cpu *cpu)
{
	if (!cpu->poison)
		return;
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	slot_release_view(cpu, cpu->poison);
}

static void enter(struct cpu *cpu)
{
	__asm__ volatile("wrgsbase %0" : : "r"(cpu->window));
}

static bool repair(struct cpu *cpu, uint64_t host)
{
	if (!slot_in_view(cpu, cpu->poison, host))
		return false;
	cpu->stats.repairs++;
	enter(cpu);
	return true;
}

const struct reach reach_poison = {
	.name = "gs-poison",
	.what = "the GS base, of which the kernel does not know",
	.works = works,
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.repair = repair,
};
