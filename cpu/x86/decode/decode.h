/* SPDX-License-Identifier: MIT */
/*
 * decode.h - from bytes to one decoded i386 instruction.
 *
 * Only what the translator and the emulator need: lengths, fields, and from the opcode table what kind of instruction it is.
 * Freestanding; no allocation; never reads past @avail bytes.
 */
#ifndef KENNEL_CPU_X86_DECODE_DECODE_H
#define KENNEL_CPU_X86_DECODE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum { MAP_PRIMARY, MAP_0F, MAP_0F38, MAP_0F3A };

/* insn.prefix */
enum { PFX_LOCK = 1, PFX_REP = 2 /* F3 */, PFX_REPNE = 4 /* F2 */, PFX_OPSIZE = 8 /* 66 */, PFX_ADSIZE = 16 /* 67 */, PFX_SEG = 32 };

/*
 * insn.action: what the translator must do. Exactly one for each opcode form (groups are resolved by ModRM.reg, and where it
 * matters by mod, during decoding).
 */
enum insn_action {
	ACT_UD,		/* undefined in 32-bit mode (or not offered: VEX, 3DNow!, SYSCALL, VMX, ...): #UD */
	ACT_COPY,	/* the same bytes mean the same in 64-bit mode, once the memory operand is rewritten */
	ACT_INCDEC,	/* 40-4F */
	ACT_PUSH_REG, ACT_POP_REG, ACT_PUSH_IMM, ACT_PUSH_MEM /* FF /6, register form too */, ACT_POP_MEM /* 8F /0 */,
	ACT_PUSHA, ACT_POPA, ACT_PUSHF, ACT_POPF, ACT_ENTER, ACT_LEAVE,
	ACT_PUSH_SEG, ACT_POP_SEG,	/* insn.reg = segment number */
	ACT_MOV_FROM_SEG /* 8C */, ACT_MOV_TO_SEG /* 8E */, ACT_LOAD_FAR_POINTER /* LES LDS LSS LFS LGS; insn.reg = register, insn.segreg = segment */,
	ACT_LEA,
	ACT_MOFFS,	/* A0-A3: disp holds the offset */
	ACT_XLAT,
	ACT_STRING,	/* MOVS CMPS STOS LODS SCAS */
	ACT_INS, ACT_OUTS, ACT_IN, ACT_OUT,
	ACT_JCC, ACT_JMP, ACT_CALL /* relative, imm = displacement */, ACT_LOOP /* E0-E3 */,
	ACT_JMP_IND /* FF /4 */, ACT_CALL_IND /* FF /2 */, ACT_RET /* C3, C2 imm */,
	ACT_JMP_FAR /* EA */, ACT_CALL_FAR /* 9A */, ACT_JMP_FAR_IND, ACT_CALL_FAR_IND, ACT_RET_FAR, ACT_IRET,
	ACT_INT /* CD imm */, ACT_INT3, ACT_INTO, ACT_ICEBP,
	ACT_BCD,	/* DAA DAS AAA AAS AAM AAD SALC */
	ACT_BOUND, ACT_ARPL,
	ACT_SYSTEM_READ,/* SGDT SIDT SLDT STR SMSW, LAR LSL VERR VERW: allowed in user mode */
	ACT_CPUID, ACT_RDTSC, ACT_RDTSCP, ACT_RDPMC,
	ACT_CLI, ACT_STI, ACT_HLT,
	ACT_PRIVILEGED,	/* LGDT LIDT LLDT LTR LMSW CLTS INVLPG MOV CR/DR RDMSR WRMSR WBINVD INVD */
	ACT_SYSENTER, ACT_SYSEXIT,
	ACT_FPU_ENV,	/* FNSTENV FNSAVE FXSAVE: store an instruction pointer that must be made the guest's */
	ACT_COUNT,
};

/* insn.flags, from the table */
enum {
	INSN_MODRM = 1 << 0,
	INSN_BYTE = 1 << 1,		/* operands named by ModRM are 8-bit (r/m, or with INSN_RM8 only r/m) */
	INSN_RM8 = 1 << 2,		/* r/m is 8-bit, reg is wider (MOVZX, MOVSX from byte) */
	INSN_WRITES_RM = 1 << 3,	/* writes its r/m operand when that is memory */
	INSN_LOCKABLE = 1 << 4,		/* LOCK allowed when r/m is memory */
	INSN_FPU = 1 << 5,		/* x87, MMX: #NM when TS */
	INSN_SSE = 1 << 6,		/* SSE and later: #NM when TS */
	INSN_ENDS = 1 << 7,		/* a basic block cannot go on after it */
	INSN_REG_ACCESS = 1 << 8,	/* ModRM.reg names an integer register (not opcode extension, x87, MMX, XMM, segment, CR, DR) */
	INSN_RM_INT = 1 << 9,		/* mod = 3 r/m names an integer register */
	INSN_IMPLICIT_DI = 1 << 10,	/* MASKMOVQ, MASKMOVDQU: memory at DS:EDI though mod = 3 */
	INSN_MEM_ONLY = 1 << 11,	/* mod = 3 was rejected */
};

enum { LONGEST_INSN = 15 };	/* bytes */

struct insn {
	uint8_t len;		/* bytes, 1-15 */
	uint8_t map, op;	/* MAP_*, opcode byte */
	uint8_t action;		/* enum insn_action */
	uint16_t flags;		/* INSN_* */
	uint8_t prefix;		/* PFX_* */
	uint8_t opsize;		/* 2 or 4: operand size after prefixes (of word-size forms) */
	uint8_t adsize;		/* 2 or 4 */
	uint8_t seg;		/* segment of the memory operand after override and default: S_DS, S_SS, ... (strings: source; INS: ES) */
	uint8_t segreg;		/* LES & co. */
	uint8_t modrm, mod, reg, rm;	/* without ModRM: reg = rm = low opcode bits; MOV CR, MOV DR: mod = 3 whatever is encoded */
	bool mem;		/* there is a ModRM memory operand */
	int8_t base, index;	/* register numbers, or -1 (16-bit forms: BX/BP and SI/DI) */
	uint8_t scale;		/* 0-3: index is shifted by it */
	uint8_t disp_size;	/* encoded: 0, 1, 2, 4 */
	int32_t disp;		/* sign-extended (ACT_MOFFS with 16-bit addresses: zero-extended) */
	uint8_t imm_size, imm2_size;
	uint32_t imm;		/* sign-extended to 32 bits where the instruction does; relative branches: displacement */
	uint16_t imm2;		/* far pointers: selector; ENTER: nesting level (imm = size) */
	uint8_t opcode_at;	/* offset of the opcode byte proper (after prefixes and escape bytes) */
	uint8_t modrm_at;	/* offset of ModRM */
};

enum { DECODE_OK = 0, DECODE_MORE = -1 /* needs bytes beyond avail */, DECODE_TOO_LONG = -2 /* over 15 bytes: #GP(0) */ };

/**
 * decode_code - decode one instruction
 * @code: bytes; @avail: how many may be read (15 is always enough). @code16: from a segment of 16-bit code. Then PFX_OPSIZE and
 * PFX_ADSIZE say what 32-bit code would need in front of the same instruction, not what stands there.
 * Returns DECODE_OK and fills *@insn (an undefined opcode is OK with ACT_UD, its length as far as decoded), or another DECODE_*.
 * DECODE_MORE is only returned when a processor would fetch the missing bytes: nothing follows an opcode that does not exist.
 */
int decode_code(const uint8_t *code, unsigned avail, bool code16, struct insn *insn);

/** decode - decode one instruction of 32-bit code */
static inline int decode(const uint8_t *code, unsigned avail, struct insn *insn)
{
	return decode_code(code, avail, false, insn);
}

#endif
