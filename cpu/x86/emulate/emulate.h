/* SPDX-License-Identifier: MIT */
/*
 * emulate.h - one instruction at a time in C, for those too rare or too intricate to be worth translating.
 */
#ifndef KENNEL_CPU_X86_EMULATE_EMULATE_H
#define KENNEL_CPU_X86_EMULATE_EMULATE_H

#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"

/**
 * emulate - run @insn, which stands at cpu_eip(), on the processor's saved registers
 *
 * Covers every action of decode.h except ACT_COPY and ACT_FPU_ENV, in both operand and address sizes, with any segment
 * override, at any CPL. Never touches x87 or SSE state. Either everything the instruction does has happened and EIP is at the
 * next instruction, or no register has changed and *@exit says why. (Repeated string instructions: each call does a bounded
 * number of iterations, one when TF is set; EIP is unmoved until the last, also when a fault ends the call in the middle. PUSHA,
 * ENTER and far CALL leave on the stack what they wrote before they faulted. HLT, INT n and ICEBP leave EIP behind them.)
 * Returns false when *@exit was filled: a fault, INT n, a privileged instruction, I/O.
 */
bool emulate(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit);

/** insn_write - write @len bytes to the memory operand. false: they are not written, and *@exit says why. */
bool insn_write(struct cpu *cpu, const struct insn *insn, const void *bytes, uint32_t len, struct cpu_exit *exit);

/** insn_address - linear address of the memory operand (ModRM or moffs form), segment base added, modulo 2^32. */
uint32_t insn_address(struct cpu *cpu, const struct insn *insn);

#endif
