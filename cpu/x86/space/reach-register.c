/* SPDX-License-Identifier: MIT */
/*
 * reach-register.c - the window is in r13, which glue.S loads: for hosts where nothing may be had of GS.
 *
 * Those are kernels before 5.9, on which WRGSBASE is undefined; and systems that run Linux programs without being Linux, which keep
 * pointers of their own behind GS. How operands look is in emit.h and address.c.
 */
#include "cpu/x86/space/reach.h"

static bool works(const struct probe *probe)
{
	return true;
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
}

static bool repair(struct cpu *cpu, uint64_t host)
{
	return false;
}

const struct reach reach_register = {
	.name = "register",
	.what = "a register, which asks nothing of the host",
	.by_register = true,
	.works = works,
	.create = create,
	.destroy = destroy,
	.enter = enter,
	.repair = repair,
};
