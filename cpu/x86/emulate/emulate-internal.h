/* SPDX-License-Identifier: MIT */
/*
 * emulate-internal.h - what the files of the emulator share.
 *
 * Every function that returns bool says "go on": true is success, false means that e->exit has been filled. A handler ends with
 * emulate_done() or emulate_jump(), or with false. It must reach its last fault before it writes its first register.
 */
#ifndef KENNEL_CPU_X86_EMULATE_EMULATE_INTERNAL_H
#define KENNEL_CPU_X86_EMULATE_EMULATE_INTERNAL_H

#include "cpu/x86/emulate/emulate.h"

/* One instruction under way. */
struct emulation {
	struct cpu *cpu;
	const struct insn *insn;
	struct cpu_exit *exit;
	uint32_t *gpr;
	uint32_t eip, next;	/* of this instruction; of the one after it */
	uint32_t eflags;	/* as it was when the instruction started */
	unsigned cpl;
};

typedef bool emulate_handler(struct emulation *e);

#define FLAGS_SZP (FLAG_SF | FLAG_ZF | FLAG_PF)
#define FLAGS_STATUS (FLAGS_SZP | FLAG_OF | FLAG_AF | FLAG_CF)

/* Bits of a descriptor's high dword, and so of struct segment's attr. */
enum {
	ATTR_ACCESSED = 1 << 8,
	ATTR_RW = 1 << 9,		/* data: may be written; code: may be read */
	ATTR_DOWN = 1 << 10,		/* data: grows down */
	ATTR_CONFORMING = 1 << 10,	/* code */
	ATTR_CODE = 1 << 11,
	ATTR_S = 1 << 12,		/* code or data, not a system descriptor */
	ATTR_DPL_SHIFT = 13,
	ATTR_P = 1 << 15,
	ATTR_BIG = 1 << 22,
	ATTR_G = 1 << 23,
	ATTR_MASK = 0x00f0ff00,
};

static inline unsigned attr_dpl(uint32_t attr)
{
	return attr >> ATTR_DPL_SHIFT & 3;
}

static inline bool selector_null(uint32_t selector)
{
	return !(selector & 0xfffc);
}

/* --- how an instruction ends: emulate.c ------------------------------------------------------------------------------ */

/** emulate_exit - fill e->exit with @kind, EIP unmoved; always false */
bool emulate_exit(struct emulation *e, enum cpu_exit_kind kind);
/** emulate_fault - raise exception @vector with @error (0 where there is none); always false */
bool emulate_fault(struct emulation *e, uint32_t vector, uint32_t error);
/** emulate_raise - raise what @fault describes; always false */
bool emulate_raise(struct emulation *e, const struct cpu_fault *fault);
/** emulate_done - EIP to the next instruction; always true */
bool emulate_done(struct emulation *e);
/** emulate_change_flags - copy the bits of @mask from @value into EFLAGS */
void emulate_change_flags(struct emulation *e, uint32_t value, uint32_t mask);
/** emulate_io_allowed - CPL <= IOPL */
bool emulate_io_allowed(const struct emulation *e);

/* --- memory and operands: operand.c ---------------------------------------------------------------------------------- */

bool emulate_read(struct emulation *e, unsigned seg, uint32_t offset, void *buf, uint32_t len);
bool emulate_write(struct emulation *e, unsigned seg, uint32_t offset, const void *buf, uint32_t len);
/** emulate_load / emulate_store - one little-endian value of @size (1, 2, 4) bytes; loads are zero-extended */
bool emulate_load(struct emulation *e, unsigned seg, uint32_t offset, unsigned size, uint32_t *value);
bool emulate_store(struct emulation *e, unsigned seg, uint32_t offset, unsigned size, uint32_t value);
/** emulate_offset - offset within its segment of the memory operand, with @esp standing for ESP */
uint32_t emulate_offset(const struct emulation *e, uint32_t esp);
/** emulate_load_pair - two values that lie one after the other in memory, the first of @size bytes, the second of @size2 */
bool emulate_load_pair(struct emulation *e, unsigned size, uint32_t *first, unsigned size2, uint32_t *second);
/** emulate_load_rm / emulate_store_rm - the operand that mod and r/m name, 2 or 4 bytes */
bool emulate_load_rm(struct emulation *e, unsigned size, uint32_t *value);
bool emulate_store_rm(struct emulation *e, unsigned size, uint32_t value);

static inline uint32_t size_mask(unsigned size)
{
	return size == 4 ? ~0u : (1u << 8 * size) - 1;
}

/* Registers of 2 and 4 bytes; the accumulator also of 1. Writing a part leaves the rest. */
static inline uint32_t emulate_reg(const struct emulation *e, unsigned reg, unsigned size)
{
	return e->gpr[reg] & size_mask(size);
}

static inline void emulate_set_reg(struct emulation *e, unsigned reg, unsigned size, uint32_t value)
{
	uint32_t mask = size_mask(size);

	e->gpr[reg] = (e->gpr[reg] & ~mask) | (value & mask);
}

/** flags_of_result - SF, ZF and PF as @value of @size bytes sets them */
uint32_t flags_of_result(uint32_t value, unsigned size);
/** flags_of_add / flags_of_sub - all six status flags of @a + @b, @a - @b */
uint32_t flags_of_add(uint32_t a, uint32_t b, unsigned size);
uint32_t flags_of_sub(uint32_t a, uint32_t b, unsigned size);

/* --- the stack: stack.c ---------------------------------------------------------------------------------------------- */

enum { PEEK_WORDS = 3 };	/* the longest frame emulate_peek() reads: IRET's */

/** emulate_stack_mask - which bits of ESP the stack segment uses: 32, or 16 */
uint32_t emulate_stack_mask(const struct emulation *e);
/** emulate_esp_plus - ESP moved by @delta within the bits the stack segment uses */
uint32_t emulate_esp_plus(const struct emulation *e, uint32_t delta);
/** emulate_push - @values in the order they are pushed, @size bytes each; on success *@esp is what ESP must become. A fault in
 * the middle leaves those before it written, as on hardware. */
bool emulate_push(struct emulation *e, const uint32_t *values, unsigned count, unsigned size, uint32_t *esp);
/** emulate_peek - up to PEEK_WORDS values of @size bytes from @skip bytes above the top of the stack; the first is the one popped
 * first, but the last is read first: hardware reads return frames so, which shows in the address of a page fault */
bool emulate_peek(struct emulation *e, uint32_t skip, uint32_t *values, unsigned count, unsigned size);

/* --- control flow: flow.c, far.c ------------------------------------------------------------------------------------- */

/** emulate_target_ok - may EIP become @eip in the present code segment? #GP(0) if not */
bool emulate_target_ok(struct emulation *e, uint32_t eip);
/** emulate_jump - check the target and go there */
bool emulate_jump(struct emulation *e, uint32_t eip);
/** emulate_descriptor - fetch the descriptor of @selector. *@found: it is inside its table. false: reading it has faulted. */
bool emulate_descriptor(struct emulation *e, uint32_t selector, uint32_t *low, uint32_t *high, bool *found);
/** emulate_segment - the segment that a code or data descriptor describes */
struct segment emulate_segment(uint32_t selector, uint32_t low, uint32_t high);

/* --- handlers, by file ----------------------------------------------------------------------------------------------- */

emulate_handler emulate_push_reg, emulate_pop_reg, emulate_push_imm, emulate_push_mem, emulate_pop_mem, emulate_pusha,
	emulate_popa, emulate_pushf, emulate_popf, emulate_enter, emulate_leave, emulate_push_seg, emulate_pop_seg;
emulate_handler emulate_mov_from_seg, emulate_mov_to_seg, emulate_load_far_pointer, emulate_lea, emulate_moffs, emulate_xlat,
	emulate_incdec, emulate_bound, emulate_arpl;
emulate_handler emulate_jcc, emulate_jmp, emulate_call, emulate_loop, emulate_jmp_ind, emulate_call_ind, emulate_ret, emulate_int,
	emulate_int3, emulate_into, emulate_icebp;
emulate_handler emulate_jmp_far, emulate_call_far, emulate_jmp_far_ind, emulate_call_far_ind, emulate_ret_far, emulate_iret;
emulate_handler emulate_string;
emulate_handler emulate_bcd;
emulate_handler emulate_cpuid, emulate_rdtsc, emulate_cli, emulate_sti, emulate_hlt, emulate_privileged, emulate_system_read;
emulate_handler emulate_port, emulate_port_string;
emulate_handler emulate_sysenter, emulate_sysexit;

/** emulate_system - ACT_PRIVILEGED and RDPMC at CPL 0, and SGDT, SIDT, SLDT, STR, SMSW at any, where the processor has what they ask for */
emulate_handler emulate_system;
/** emulate_probe_write - could @len bytes be written? Nothing changes. */
bool emulate_probe_write(struct emulation *e, unsigned seg, uint32_t offset, uint32_t len);

#endif
