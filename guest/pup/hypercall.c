/* SPDX-License-Identifier: MIT */
/* hypercall.c - the structure shared with the host, and the ring of lazy calls in it. */
#include "pup.h"

extern const char noirq_start[], noirq_end[];

volatile struct lguest_data lguest_data = {
	.blocked_interrupts = 0xffffffff,
	.hcall_status = { [0 ... HYPERCALL_RING_SIZE - 1] = 0xff },
	.noirq_start = (uint32_t)noirq_start,
	.noirq_end = (uint32_t)noirq_end,
	.kernel_address = PAGE_OFFSET,
	.syscall_vec = SYSCALL_VECTOR,
};

/* The slot we fill next. The host keeps a cursor of its own and takes slots in the same order. */
static unsigned int next_slot;

void hypercall_lazy(uint32_t number, uint32_t arg1, uint32_t arg2, uint32_t arg3, uint32_t arg4)
{
	uint32_t flags = irq_save();

	if (lguest_data.hcall_status[next_slot] != 0xff) {
		/* Full: a synchronous call runs the older ones first, so the order is kept. */
		hypercall(number, arg1, arg2, arg3, arg4);
	} else {
		volatile struct hypercall_slot *slot = &lguest_data.hcalls[next_slot];

		slot->number = number;
		slot->arg1 = arg1;
		slot->arg2 = arg2;
		slot->arg3 = arg3;
		slot->arg4 = arg4;
		barrier(); /* the status hands the slot over: it is stored last */
		lguest_data.hcall_status[next_slot] = 0;
		next_slot = (next_slot + 1) % HYPERCALL_RING_SIZE;
	}
	irq_restore(flags);
}
