/* SPDX-License-Identifier: MIT */
/*
 * window.h - address spaces as host mappings.
 */
#ifndef KENNEL_CPU_X86_WINDOW_H
#define KENNEL_CPU_X86_WINDOW_H

#include "cpu/x86/state.h"

enum view { VIEW_KERNEL, VIEW_USER, VIEWS };

/* What a view does with a page: shadow entries keep two bits for each view. */
enum page_state { PAGE_NONE, PAGE_HIDDEN /* its frame is mapped, but inaccessible */, PAGE_READ, PAGE_WRITE };

/* Shadow entry: frame | states | SHADOW_CODE. Zero: we know nothing of the page and have nothing mapped. */
enum { SHADOW_CODE = 1, SHADOW_STATE = 1 /* shift: 1 kernel, 3 user */ };

struct shadow {
	uint32_t entry[1024];
	uint64_t used[16];	/* which entries are not zero */
};

/* One address space, or room for one. */
struct slot {
	uint32_t pgd;			/* MMU_LINEAR, or its physical address; SLOT_FREE */
	uint8_t *view[VIEWS];		/* 4 GiB each, aligned to 4 GiB, guards on both sides */
	struct shadow *shadow[1024];	/* by top-level index */
	struct jump_table *table;	/* user code */
	uint64_t last_used;
	unsigned map_count;
	bool kernel_stale;		/* compare the kernel half before it is used again */
	bool user_stale;		/* compare the user half's user view before user code runs again */
	bool jumps_stale;		/* empty the jump table before user code runs again */
	bool distrusted;		/* the host refused to take access away: empty it before the guest runs */
};

#define SLOT_FREE 1u

/*
 * Nobody maps anything this near a window. A page would do for accesses that wrap at 4 GiB, but BT with a register reaches
 * 256 MiB beyond its operand, and whether that sum is cut to 32 bits is not written down anywhere.
 */
#define WINDOW_GUARD (1ull << 29)

int window_create(struct cpu *cpu, unsigned slots, const char **error);
void window_destroy(struct cpu *cpu);

uint32_t window_pgd(const struct cpu *cpu);

/**
 * window_settle - what the guest has announced of its tables takes effect, as far as the present CPL can see it. Before anything is
 * looked up in a jump table: entries for code that is mapped no more go here.
 */
void window_settle(struct cpu *cpu);

/** window_enter - put the view for the present CPL in force. Before translated code runs. */
void window_enter(struct cpu *cpu);

enum window_result { WINDOW_MAPPED, WINDOW_FAULT, WINDOW_CODE };

/**
 * window_fault - translated code at the present CPL missed a page
 * Returns WINDOW_MAPPED: try again. WINDOW_FAULT: the guest's own fault, in *@fault. WINDOW_CODE: the guest may write there,
 * but frame *@frame has translated code: drop it, then call again.
 */
enum window_result window_fault(struct cpu *cpu, uint32_t linear, bool write, uint32_t *frame, struct cpu_fault *fault);

/** window_protect_frame - a frame has become code: no view may have it writable. */
void window_protect_frame(struct cpu *cpu, uint32_t frame);

/** window_note_code - code at @linear, mapped by @pte, is about to be known to jump tables or chains. Returns whether it was noted before. */
bool window_note_code(struct cpu *cpu, uint32_t linear, uint32_t pte);

#endif
