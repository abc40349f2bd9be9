/* SPDX-License-Identifier: MIT */
/*
 * address.h - how a guest address becomes a host operand. Decided here and nowhere else.
 */
#ifndef KENNEL_CPU_X86_TRANSLATE_ADDRESS_H
#define KENNEL_CPU_X86_TRANSLATE_ADDRESS_H

#include "cpu/x86/translate/emit.h"

/** address_is_flat - may an access through segment @s use the bare window? (FS and GS never: their bases are not known.) */
bool address_is_flat(const struct cpu *cpu, unsigned s);

/** emit_address - r8d = linear address of the memory operand of @insn; uses r9. @linear: false leaves the segment base out. */
void emit_address(struct emit *e, const struct cpu *cpu, const struct insn *insn, bool linear);

/** emit_copy - @insn itself, with its memory operand, if any, moved into the window. */
void emit_copy(struct emit *e, const struct cpu *cpu, const struct insn *insn, const uint8_t *bytes);

/** emit_on_host - @insn on the host address in @base (r8 to r11), which is inside guest RAM: see soft.h. @swap: its register is AH to BH. */
void emit_on_host(struct emit *e, const struct insn *insn, const uint8_t *bytes, unsigned base, bool swap);

/**
 * emit_operand - an instruction of ours on the memory operand of @insn: [prefix] opcode reg, operand
 * @prefix: 0 or 0x66; @opcode: one byte, or 0x0f00 | second byte; @reg: any host register, 32 or 16 bits
 * @adjust: added to the displacement (POP to an ESP-relative operand).
 */
void emit_operand(struct emit *e, const struct cpu *cpu, const struct insn *insn, uint8_t prefix, unsigned opcode, unsigned reg,
		  int32_t adjust);

/** address_is_direct - in register mode: is the sum that the operand makes one that stays within the window and its guards? (If it leaves the window, the guard tells.) */
bool address_is_direct(const struct insn *insn);

/** address_swaps - does emit_copy() exchange the halves of this register around the access? Returns it (0-3), or -1. */
int address_swaps(const struct cpu *cpu, const struct insn *insn);

/** address_moves_edi - does emit_copy() keep EDI in r10 during the access, and the linear address in EDI? */
bool address_moves_edi(const struct cpu *cpu, const struct insn *insn);

#endif
