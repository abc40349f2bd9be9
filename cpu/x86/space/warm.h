/* SPDX-License-Identifier: MIT */
/*
 * warm.h - guest memory mapped by the host in pieces, where it would be dear page by page.
 *
 * The host's kernel maps a page of a file when it is first touched, at the price of an exception: half a microsecond on bare metal,
 * ten and more where its own page tables are shadowed. A whole piece of them in one call takes a fifth of a microsecond for each. So where
 * it matters (cost.h) C asks for the piece before it touches the first page of it. Windows ask by MAP_POPULATE (fill.c).
 */
#ifndef KENNEL_CPU_X86_SPACE_WARM_H
#define KENNEL_CPU_X86_SPACE_WARM_H

#include "cpu/x86/space/cost.h"
#include "cpu/x86/state.h"

int warm_create(struct cpu *cpu);
void warm_destroy(struct cpu *cpu);

/** warm_piece - map the piece that a frame lies in. From any thread. */
void warm_piece(struct cpu *cpu, uint32_t frame);

/** warm_frame - a frame is about to be touched through the linear mapping. From any thread. */
static inline void warm_frame(struct cpu *cpu, uint32_t frame)
{
	uint32_t piece = frame / WARM_PIECE;

	if (cpu->warm && !(atomic_load_explicit(&cpu->warm[piece / 64], memory_order_relaxed) >> piece % 64 & 1))
		warm_piece(cpu, frame);
}

#endif
