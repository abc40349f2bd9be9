/* SPDX-License-Identifier: MIT */
/*
 * frame.h - a page of guest memory: who has code made from it, who may write it, and whom to tell.
 *
 * Two rooms share each frame and do not know each other. cache/ keeps code made from its bytes; space/ shows it to the guest. What one
 * does concerns the other twice: a frame that code is made from must be writable in no view, and code goes before the bytes do that it
 * was made from. Both pieces of news pass here, through pointers that frames_create() was given: frame_takes_code() from whoever keeps
 * code, frame_written() and the rest of struct frame_owner from whoever knows what the guest does with its memory.
 */
#ifndef KENNEL_CPU_X86_FRAME_H
#define KENNEL_CPU_X86_FRAME_H

#include "cpu/x86/state.h"

/* What the processor knows about a page of guest RAM. */
struct frame {
	/* The owner's: */
	uint32_t blocks;		/* list of blocks with bytes in it (cache/block.h) */
	uint32_t last_drop;		/* when a write last cost us its blocks, in blocks translated... */
	uint16_t drops;			/* ... and how often that happened in quick succession */
	uint16_t checks;		/* mixed: entries left until it gets another chance */
	uint8_t mixed;			/* dropped too often: its blocks are BLOCK_CHECKED, and it may be writable */
	uint8_t soft;			/* it has had instructions to check (space/soft.h) */
	uint8_t exact;			/* an address in its code has wrapped: its blocks are BLOCK_EXACT */

	/* Known to both: */
	uint8_t code;			/* it has code, so nobody may have it writable */

	/* Theirs who show it (space/codepage.h): */
	int8_t writer_slot;		/* -1: none; -2: several */
	uint32_t writer;		/* a page (linear number) that maps it writable in writer_slot, not counting the linear map */
};

/* Whoever keeps code that was made from frames. */
struct frame_owner {
	/** written - the bytes of a frame with code are about to change. It has none when this returns. */
	void (*written)(struct cpu *cpu, uint32_t number);
	/** drop_frame - the page of the kernel half where code of this frame was found shows it no more. Likewise. */
	void (*drop_frame)(struct cpu *cpu, uint32_t number);
	/** drop_at - the instruction at this guest-physical address is to be translated another way from now on. */
	void (*drop_at)(struct cpu *cpu, uint32_t physical);
	/** drop_all - addresses mean something else from now on. */
	void (*drop_all)(struct cpu *cpu);

	/*
	 * Code is also known by its linear address: the kernel's in all address spaces, user code in one of them. These are forgotten where
	 * the tables have changed, which leaves the code itself alone: it is right for whoever finds its bytes.
	 */
	/** forget_kernel_page - what the kernel knows of code in a page, or running into it from the one before. */
	void (*forget_kernel_page)(struct cpu *cpu, uint32_t page);
	/** forget_kernel - all that the kernel knows. */
	void (*forget_kernel)(struct cpu *cpu);
	/** forget_user - all that user code knows in the address space that has this slot. */
	void (*forget_user)(struct cpu *cpu, unsigned slot);
};

/** frame_protect - take write access to a frame away from the guest, wherever it has it. */
typedef void frame_protect(struct cpu *cpu, uint32_t number);

/** frames_create - one for each page of cpu->ram; nobody has code, nobody may write. @owner, @protect: whom to tell. */
int frames_create(struct cpu *cpu, const struct frame_owner *owner, frame_protect *protect, const char **error);
void frames_destroy(struct cpu *cpu);

/** frame_void - the number that stands for frames which are not memory. Not next to RAM's last, so that it joins no run. */
static inline uint32_t frame_void(const struct cpu *cpu)
{
	return cpu->ram.pages + 1;
}

/** frame_takes_code - code has been made from a frame that had none. */
static inline void frame_takes_code(struct cpu *cpu, uint32_t number)
{
	cpu->frames[number].code = 1;
	cpu->frame_protect(cpu, number);
}

/** frame_written - someone is about to write to a frame: code made from it is dropped before the bytes change. */
static inline void frame_written(struct cpu *cpu, uint32_t number)
{
	if (cpu->frames[number].code && number != frame_void(cpu))
		cpu->frame_owner->written(cpu, number);
}

#endif
