/* SPDX-License-Identifier: MIT */
/*
 * emulate.c - the interpreter's front: which handler runs an instruction, and the ways an instruction can end.
 *
 * Three rules hold for every handler.
 *
 * Nothing happens twice and nothing happens by halves. A handler checks everything and touches all the memory it needs before it
 * changes a register, so whoever gets a fault may fix its cause and run the instruction again. Only memory may have changed by
 * then: the words that PUSHA, ENTER or a far CALL pushed before the one that faulted, which are below the stack still.
 *
 * The guest's x87 and SSE registers are live in the host's. These files are compiled with -mgeneral-regs-only and call no library
 * function, and not by accident of a struct copy either.
 *
 * The only way to the processor is its public face, cpu.h. So a table of plain variables can stand in for it in a test.
 */
#include "cpu/x86/emulate/emulate-internal.h"

bool emulate_exit(struct emulation *e, enum cpu_exit_kind kind)
{
	e->exit->kind = kind;
	e->exit->vector = 0;
	e->exit->error = 0;
	e->exit->address = 0;
	e->exit->eip = e->eip;
	e->exit->insn = e->insn;
	return false;
}

bool emulate_fault(struct emulation *e, uint32_t vector, uint32_t error)
{
	emulate_exit(e, EXIT_FAULT);
	e->exit->vector = vector;
	e->exit->error = error;
	return false;
}

bool emulate_raise(struct emulation *e, const struct cpu_fault *fault)
{
	emulate_fault(e, fault->vector, fault->error);
	e->exit->address = fault->address;
	return false;
}

bool emulate_done(struct emulation *e)
{
	cpu_set_eip(e->cpu, e->next);
	return true;
}

void emulate_change_flags(struct emulation *e, uint32_t value, uint32_t mask)
{
	cpu_set_eflags(e->cpu, (e->eflags & ~mask) | (value & mask));
}

bool emulate_io_allowed(const struct emulation *e)
{
	return e->cpl <= (e->eflags & FLAG_IOPL) >> 12;
}

static bool undefined(struct emulation *e)
{
	return emulate_fault(e, TRAP_UD, 0);
}

/* ACT_COPY and ACT_FPU_ENV are the translator's alone; RDTSCP is not offered to guests. */
static emulate_handler *const handlers[] = {
	[ACT_UD] = undefined,
	[ACT_COPY] = undefined,
	[ACT_INCDEC] = emulate_incdec,
	[ACT_PUSH_REG] = emulate_push_reg,
	[ACT_POP_REG] = emulate_pop_reg,
	[ACT_PUSH_IMM] = emulate_push_imm,
	[ACT_PUSH_MEM] = emulate_push_mem,
	[ACT_POP_MEM] = emulate_pop_mem,
	[ACT_PUSHA] = emulate_pusha,
	[ACT_POPA] = emulate_popa,
	[ACT_PUSHF] = emulate_pushf,
	[ACT_POPF] = emulate_popf,
	[ACT_ENTER] = emulate_enter,
	[ACT_LEAVE] = emulate_leave,
	[ACT_PUSH_SEG] = emulate_push_seg,
	[ACT_POP_SEG] = emulate_pop_seg,
	[ACT_MOV_FROM_SEG] = emulate_mov_from_seg,
	[ACT_MOV_TO_SEG] = emulate_mov_to_seg,
	[ACT_LOAD_FAR_POINTER] = emulate_load_far_pointer,
	[ACT_LEA] = emulate_lea,
	[ACT_MOFFS] = emulate_moffs,
	[ACT_XLAT] = emulate_xlat,
	[ACT_STRING] = emulate_string,
	[ACT_INS] = emulate_port_string,
	[ACT_OUTS] = emulate_port_string,
	[ACT_IN] = emulate_port,
	[ACT_OUT] = emulate_port,
	[ACT_JCC] = emulate_jcc,
	[ACT_JMP] = emulate_jmp,
	[ACT_CALL] = emulate_call,
	[ACT_LOOP] = emulate_loop,
	[ACT_JMP_IND] = emulate_jmp_ind,
	[ACT_CALL_IND] = emulate_call_ind,
	[ACT_RET] = emulate_ret,
	[ACT_JMP_FAR] = emulate_jmp_far,
	[ACT_CALL_FAR] = emulate_call_far,
	[ACT_JMP_FAR_IND] = emulate_jmp_far_ind,
	[ACT_CALL_FAR_IND] = emulate_call_far_ind,
	[ACT_RET_FAR] = emulate_ret_far,
	[ACT_IRET] = emulate_iret,
	[ACT_INT] = emulate_int,
	[ACT_INT3] = emulate_int3,
	[ACT_INTO] = emulate_into,
	[ACT_ICEBP] = emulate_icebp,
	[ACT_BCD] = emulate_bcd,
	[ACT_BOUND] = emulate_bound,
	[ACT_ARPL] = emulate_arpl,
	[ACT_SYSTEM_READ] = emulate_system_read,
	[ACT_CPUID] = emulate_cpuid,
	[ACT_RDTSC] = emulate_rdtsc,
	[ACT_RDTSCP] = undefined,
	[ACT_RDPMC] = emulate_privileged,
	[ACT_CLI] = emulate_cli,
	[ACT_STI] = emulate_sti,
	[ACT_HLT] = emulate_hlt,
	[ACT_PRIVILEGED] = emulate_privileged,
	[ACT_SYSENTER] = emulate_sysenter,
	[ACT_SYSEXIT] = emulate_sysexit,
	[ACT_FPU_ENV] = undefined,
};

bool emulate(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit)
{
	struct emulation e;

	e.cpu = cpu;
	e.insn = insn;
	e.exit = exit;
	e.gpr = cpu_gpr(cpu);
	e.eip = cpu_eip(cpu);
	e.next = e.eip + insn->len;
	e.eflags = cpu_eflags(cpu);
	e.cpl = cpu_cpl(cpu);
	return handlers[insn->action](&e);
}

bool insn_write(struct cpu *cpu, const struct insn *insn, const void *bytes, uint32_t len, struct cpu_exit *exit)
{
	struct emulation e;

	e.cpu = cpu;
	e.insn = insn;
	e.exit = exit;
	e.gpr = cpu_gpr(cpu);
	e.eip = cpu_eip(cpu);
	e.cpl = cpu_cpl(cpu);
	return emulate_write(&e, insn->seg, emulate_offset(&e, e.gpr[R_ESP]), bytes, len);
}

uint32_t insn_address(struct cpu *cpu, const struct insn *insn)
{
	struct emulation e;

	e.cpu = cpu;
	e.insn = insn;
	e.gpr = cpu_gpr(cpu);
	return cpu_segment(cpu, insn->seg)->base + emulate_offset(&e, e.gpr[R_ESP]);
}
