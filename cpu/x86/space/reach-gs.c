/* SPDX-License-Identifier: MIT */
/* reach-gs.c - the window is at gs:0, and the kernel saves and restores the GS base with the thread (Linux 5.9 and later). */
#include "cpu/x86/space/reach.h"

#include "cpu/x86/space/probe.h"

static bool works(const struct probe *probe)
{
	return probe->fsgsbase;
}

static int create(struct cpu *cpu, const char **error)
{
	return 0;
}

static void destroy(struct cpu *cpu)
{
}

static void enter(struct cpu *cpu)
{
	if (cpu->gs != cpu->window)
		__asm__ volatile("wrgsbase %0" : : "r"(cpu->window));
	cpu->gs = cpu->window;
}

static bool repair(struct cpu *cpu, uint64_t host)
{
	return false;
}

const struct reach reach_gs = {
	.name = "gs",
	.what = "the GS base, which the kernel keeps for each thread",
	.works = works,
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.repair = repair,
};
