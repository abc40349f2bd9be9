/* SPDX-License-Identifier: MIT */
/*
 * system.c - what a kernel in ring 0 does all the time: CLI, STI, PUSHF, POPF, and a look at a control register.
 *
 * IF is a word of struct cpu, and irq_pending says whether somebody waits for it to be set; both change in C only while translated
 * code does not run, so STI looks once. Behind STI one more instruction comes before any interrupt. That holds by itself while
 * the next instruction is in the same block; where it would not be, and when an interrupt waits, C runs the STI.
 *
 * PUSHF and POPF use a stack of one word in struct cpu for the flags that the host has, because rsp is the guest's. The host
 * delivers signals on a stack of their own, so nobody else uses it meanwhile. The others come from system_flags. POPF leaves to C what
 * changes one of those, or lets an interrupt in; by then it has changed the host's flags, but C sets them all anew.
 */
#include "cpu/x86/system/system.h"
#include "cpu/x86/translate/translate.h"

static void sti(struct translation *t)
{
	struct emit *e = &t->e;
	uint8_t *alone;

	if (t->last) {
		translate_emulate(t);
		return;
	}
	emit_mov64(e, H_R9, H_ECX);
	emit_load_field(e, H_ECX, CPU_IRQ_PENDING);
	alone = emit_short(e, OP_JRCXZ);
	emit_mov64(e, H_ECX, H_R9);
	translate_emulate(t);
	t->done = false;
	emit_here(e, alone);
	emit_mov64(e, H_ECX, H_R9);
	emit_store_field_imm(e, CPU_IF, FLAG_IF);
}

/* lea rsp, [r15 + scratch + above] */
static void emit_scratch_stack(struct emit *e, unsigned above)
{
	emit8(e, 0x49), emit8(e, 0x8d), emit8(e, 0xa7), emit32(e, CPU_SCRATCH + above);
}

/* The host's image has IF set and none of the guest's system flags. */
static void pushf(struct translation *t)
{
	struct emit *e = &t->e;

	emit_mov32(e, H_R8, R_ESP);
	emit_scratch_stack(e, 8);
	emit8(e, 0x9c);
	emit_mov32(e, R_ESP, H_R8);
	emit_load_field(e, H_R9, CPU_SCRATCH);
	emit_load_field(e, H_R10, CPU_SYSTEM_FLAGS);
	emit_lea_index(e, H_R9, H_R9, H_R10, 0, -FLAG_IF);
	emit_load_field(e, H_R10, CPU_IF);
	emit_lea_index(e, H_R9, H_R9, H_R10, 0, 0);
	translate_push_value(t, 4, H_R9);
}

static void popf(struct translation *t)
{
	struct emit *e = &t->e;
	uint8_t *system, *waiting, *done;

	emit_load(e, 4, H_R8, R_ESP, 0);
	emit_mov32(e, H_R9, H_R8);
	emit_alu_imm(e, ALU_AND, H_R9, FLAGS_SYSTEM & ~(uint32_t)(FLAG_RF | FLAG_VM));
	emit_field(e, 0, OP_CMP, H_R9, CPU_SYSTEM_FLAGS);
	system = emit_short(e, OP_JNE_SHORT);
	emit_mov32(e, H_R9, H_R8);
	emit_alu_imm(e, ALU_AND, H_R9, FLAG_IF);
	emit_field(e, 0, OP_TEST, H_R9, CPU_IRQ_PENDING);
	waiting = emit_short(e, OP_JNE_SHORT);
	emit_store_field(e, CPU_IF, H_R9);
	emit_alu_imm(e, ALU_AND, H_R8, FLAGS_ARITHMETIC);
	emit_alu_imm(e, ALU_OR, H_R8, FLAG_IF | 2);
	emit_store_field64(e, CPU_SCRATCH, H_R8);
	emit_lea(e, H_R9, R_ESP, 4);
	emit_scratch_stack(e, 0);
	emit8(e, 0x9d);
	emit_mov32(e, R_ESP, H_R9);
	done = emit_short(e, OP_JMP_SHORT);
	emit_here(e, system);
	emit_here(e, waiting);
	translate_emulate(t);
	t->done = false;
	emit_here(e, done);
}

/* CR0, CR2, CR3 and CR4 are the first words of struct cpu_system; CR2 is nothing but a word. */
static bool control_register(struct translation *t)
{
	const struct insn *in = &t->insn;
	unsigned field = CPU_SYSTEM + (in->reg ? 4 * (in->reg - 1u) : 0);

	if (in->op == 0x20)
		emit_load_field(&t->e, in->rm, field);
	else if (in->op == 0x22 && in->reg == 2)
		emit_store_field(&t->e, field, in->rm);
	else
		return false;
	return true;
}

void translate_system(struct translation *t)
{
	const struct cpu *cpu = t->cpu;
	const struct insn *in = &t->insn;

	if (!cpu->system_mode || cpu->cpl || cpu->segmented || t->apart)
		translate_emulate(t);
	else if (in->action == ACT_CLI)
		emit_store_field_imm(&t->e, CPU_IF, 0);
	else if (in->action == ACT_STI)
		sti(t);
	else if (in->action == ACT_PUSHF && in->opsize == 4)
		pushf(t);
	else if (in->action == ACT_POPF && in->opsize == 4)
		popf(t);
	else if (in->action != ACT_PRIVILEGED || !control_register(t))
		translate_emulate(t);
}
