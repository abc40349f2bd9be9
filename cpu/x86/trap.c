/* SPDX-License-Identifier: MIT */
/*
 * trap.c - which exception a signal stands for. See trap.h.
 *
 * Linux says so in the frame: the vector, and for a page fault its error code. Others that run Linux programs leave both at 0. There the
 * signal and its code tell exceptions apart, as far as it matters here: SIGSEGV with an address is a page fault, without one a
 * protection fault. What they never tell is whether an access was a write, and which of its two units raised SIGFPE; but that is
 * written in the instruction. It is one of the translator's, so its encoding in 64-bit mode is the guest's once GS, 67 and REX are left out,
 * and the decoder's tables say what it does to its operand.
 *
 * An instruction that reads and writes its operand faults as a write, as on the processor. MOVS reads one place and writes another.
 */
#include "cpu/x86/trap.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/space/probe.h"

static bool is_rex(uint8_t byte)
{
	return (byte & 0xf0) == 0x40;
}

/* The instruction at a host PC as the decoder knows it. */
static bool decode_host(struct cpu *cpu, uint32_t host, struct insn *insn)
{
	const uint8_t *code = cache_write_at(cpu->cache, host);
	uint8_t bytes[16];
	unsigned length = 0;
	bool prefix = true;

	for (unsigned i = 0; length < sizeof(bytes); i++) {
		uint8_t byte = code[i];

		if (prefix && (byte == 0x65 || byte == 0x67))
			continue;
		if (prefix && is_rex(byte)) {	/* the last one */
			prefix = false;
			continue;
		}
		prefix = prefix && (byte == 0x66 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3);
		bytes[length++] = byte;
	}
	return decode(bytes, LONGEST_INSN, insn) == DECODE_OK;
}

enum { STRING_MOVS = 0xa4, STRING_STOS = 0xaa };

static bool string_writes(const struct insn *insn, const greg_t *regs, uint64_t address)
{
	unsigned op = insn->op & 0xfe;

	return op == STRING_STOS || (op == STRING_MOVS && address - (uint64_t)regs[REG_RDI] < sizeof(uint32_t));
}

static bool writes(struct cpu *cpu, const greg_t *regs, uint64_t address)
{
	struct insn insn;

	if (!decode_host(cpu, (uint32_t)regs[REG_RIP], &insn))
		return false;
	if (insn.action == ACT_STRING)
		return string_writes(&insn, regs, address);
	return insn.action == ACT_MOFFS ? insn.op & 2 : insn.flags & (INSN_WRITES_RM | INSN_IMPLICIT_DI);
}

/* An instruction of x87 waits for the exception of one before it; one of SSE has its own. */
static uint8_t floating_point_vector(struct cpu *cpu, const greg_t *regs)
{
	struct insn insn;

	return decode_host(cpu, (uint32_t)regs[REG_RIP], &insn) && insn.flags & INSN_SSE ? TRAP_XM : TRAP_MF;
}

static struct trap read_blind(struct cpu *cpu, int signal, const siginfo_t *info, const greg_t *regs)
{
	uint64_t address = (uint64_t)(uintptr_t)info->si_addr;

	switch (signal) {
	case SIGSEGV:
		if (!address || info->si_code == SI_KERNEL)
			return (struct trap){ .vector = TRAP_GP };
		return (struct trap){ .vector = TRAP_PF, .write = writes(cpu, regs, address) };
	case SIGFPE:
		return (struct trap){ .vector = info->si_code == FPE_INTDIV || info->si_code == FPE_INTOVF ? TRAP_DE :
					      floating_point_vector(cpu, regs) };
	case SIGILL:
		return (struct trap){ .vector = TRAP_UD };
	default:
		return (struct trap){ .vector = TRAP_OTHER };
	}
}

struct trap trap_read(struct cpu *cpu, int signal, const siginfo_t *info, const greg_t *regs)
{
	if (probe_host()->blind_frames)
		return read_blind(cpu, signal, info, regs);
	if (signal == SIGSEGV && regs[REG_TRAPNO] != TRAP_PF)
		return (struct trap){ .vector = TRAP_GP };
	if (signal == SIGBUS && regs[REG_TRAPNO] == TRAP_PF)	/* a file behind a mapping has become too short */
		return (struct trap){ .vector = TRAP_OTHER };
	return (struct trap){ .vector = (uint8_t)regs[REG_TRAPNO], .write = regs[REG_ERR] & PF_WRITE };
}
