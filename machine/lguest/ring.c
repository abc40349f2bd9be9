/* SPDX-License-Identifier: MIT */
/*
 * ring.c - calls the guest queued instead of making them.
 *
 * 64 slots, each with a status byte: 0 = queued, 0xff = done. The guest fills them in order and asks for nothing; whatever is
 * there runs before the next call it does make (lguest-core, 5). A slot's status is written back after its call has run: when
 * the ring is full the guest makes a direct call and counts on the older ones being done first (lguest-pitfalls, G3).
 */
#include "machine/lguest/lguest.h"

static void run_slot(struct lguest *m, uint32_t slot)
{
	const struct lguest_abi *abi = m->abi;
	const uint8_t *at = (const uint8_t *)m->shared.slots + (size_t)slot * abi->slot_bytes;
	uint32_t number, a[4];

	__builtin_memcpy(&number, at, 4);
	for (unsigned int i = 0; i < 4; i++)
		__builtin_memcpy(&a[i], at + abi->slot_arg[i], 4);
	m->stats.queued++;
	lguest_run_call(m, number, a, true);
}

void lguest_ring_drain(struct lguest *m)
{
	uint8_t *status = m->shared.status;

	/* At most once around: a call that writes to the ring (there is none) could not keep us here. */
	for (unsigned int i = 0; i < RING_SLOTS && !m->ended; i++) {
		uint32_t slot = m->ring_next;

		if (status[slot] == SLOT_FREE)
			return;
		m->ring_next = (slot + 1) % RING_SLOTS;
		run_slot(m, slot);
		status[slot] = SLOT_FREE;
	}
}
