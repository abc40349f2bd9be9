/* SPDX-License-Identifier: MIT */
/*
 * optable.c - the instruction set as tables.
 *
 * Written after the opcode maps of the Intel manual (SDM volume 2, appendix A), with the aliases that processors execute though
 * the manual is silent on them (82, C0 /6, F6 /1, the x87 twins). A hole is undefined: ACT_UD is zero. Left as holes on purpose:
 * what the guest is not told about or must not do by itself (VEX, EVEX, XOP, 3DNow!, SYSCALL, VMX, SVM, SMM, XSAVE,
 * MONITOR, FSGSBASE, RDRAND, TSX, shadow stacks, PKU, INVPCID, CLZERO, MOVDIR64B, SHA, GFNI, ADX, CLFLUSHOPT, CLWB, ...). What is
 * hidden by all machines' CPUID is what a processor without it makes of the same bytes: #UD, or an older instruction. So the opcodes of
 * MPX and CET in the wide-NOP range 0F 18-1F are NOPs, and F3 0F BC is BSF, not TZCNT (decode.c). What is here and not in every host
 * (LZCNT, POPCNT, MOVBE, AES, ...) is in CPUID if the host has it; PREFETCHW needs nobody's permission.
 *
 * INSN_ENDS stands on every branch, return and interrupt (BOUND is none), on HLT, and on everything that only the machine can
 * carry out. INSN_BYTE also stands on byte forms without ModRM (string, moffs, IN, OUT, immediate to AL).
 *
 * Rows first (ModRM.reg groups, mandatory prefixes), then the four maps.
 */
/* clang-format off: the tables have their own shape */
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/optable.h"

/* An instruction form; a form that is copied; a signpost to a row. */
#define OP(act, operand, flags)	{ ACT_##act, operand, flags }
#define CP(operand, flags)	{ ACT_COPY, operand, flags }
#define STEP(by, row)		{ STEP_##by, 0, row }

/* Operand notation of the manual: E = r/m, G = reg as integer registers; b = byte, v = word or dword. */
#define RM	INSN_MODRM
#define Eb	(INSN_MODRM | INSN_RM_INT | INSN_BYTE)
#define Ev	(INSN_MODRM | INSN_RM_INT)
#define EbGb	(Eb | INSN_REG_ACCESS)
#define EvGv	(Ev | INSN_REG_ACCESS)
#define GvEb	(EvGv | INSN_RM8)
#define Mv	(INSN_MODRM | INSN_MEM_ONLY)
#define GvM	(Mv | INSN_REG_ACCESS)
#define WR	INSN_WRITES_RM
#define LK	(INSN_WRITES_RM | INSN_LOCKABLE)
#define END	INSN_ENDS
#define BYTE	INSN_BYTE
#define CRDR	(Ev | END | FORM_NO_MOD)

/* x87, SSE, and the opcodes that exist for MMX and, with 66, for SSE. */
#define FP	(INSN_MODRM | INSN_FPU)
#define XM	(INSN_MODRM | INSN_SSE)
#define PQ	(INSN_MODRM | INSN_FPU | INSN_SSE | FORM_PAIR)
#define GREG	INSN_REG_ACCESS
#define EREG	INSN_RM_INT
#define MEM	INSN_MEM_ONLY
#define REG	FORM_REG_ONLY

#define NP	ONLY_NONE
#define P66	ONLY_66
#define PF3	ONLY_F3
#define PF2	ONLY_F2
#define NP_66	(ONLY_NONE | ONLY_66)
#define ANY4	(ONLY_NONE | ONLY_66 | ONLY_F3 | ONLY_F2)

#define PAIR	CP(NP_66, PQ)
#define SSE(p)	CP(p, XM)
#define SSE8(p)	CP((p) | IMM_U8, XM)

#define TWICE(x)	x, x
#define FOUR(x)		x, x, x, x
#define EIGHT(x)	x, x, x, x, x, x, x, x

enum row {
	ROW_ALU_B, ROW_ALU_V, ROW_ALU_VB, ROW_BOUND, ROW_LES, ROW_8C, ROW_8E, ROW_POP, ROW_MOV_B, ROW_MOV_V,
	ROW_SHIFT_B8, ROW_SHIFT_V8, ROW_SHIFT_B, ROW_SHIFT_V, ROW_UNARY_B, ROW_UNARY_V, ROW_FE, ROW_FF,
	ROW_D9, ROW_DA, ROW_DB, ROW_DD, ROW_DE, ROW_DF, ROW_FP_MEM,
	ROW_D9_MEM, ROW_D9_REG, ROW_D9_NOP, ROW_D9_SIGN, ROW_D9_CONST, ROW_DA_REG, ROW_FUCOMPP, ROW_DB_MEM, ROW_DB_REG, ROW_FNINIT,
	ROW_DD_MEM, ROW_DD_REG, ROW_DE_REG, ROW_FCOMPP, ROW_DF_MEM, ROW_DF_REG, ROW_FNSTSW,
	ROW_0F00, ROW_0F01, ROW_0F01_MEM, ROW_0F01_REG, ROW_0F01_7, ROW_CR, ROW_0F12, ROW_0F16, ROW_0F2A, ROW_0F2C,
	ROW_0F6F, ROW_0F70, ROW_0F7E, ROW_0F71, ROW_0F72, ROW_0F73, ROW_0FAE, ROW_0FAE_MEM, ROW_0FAE_REG,
	ROW_0FB8, ROW_0FBA, ROW_0FC7, ROW_0FD6, ROW_0FE7, ROW_38F0, ROW_38F1,
};

const struct opcode opcode_rows[][8] = {
	/* 80, 81, 83: ADD OR ADC SBB AND SUB XOR CMP */
	[ROW_ALU_B] = { FOUR(CP(IMM_U8, Eb | LK)), CP(IMM_U8, Eb | LK), CP(IMM_U8, Eb | LK), CP(IMM_U8, Eb | LK), CP(IMM_U8, Eb) },
	[ROW_ALU_V] = { FOUR(CP(IMM_Z, Ev | LK)), CP(IMM_Z, Ev | LK), CP(IMM_Z, Ev | LK), CP(IMM_Z, Ev | LK), CP(IMM_Z, Ev) },
	[ROW_ALU_VB] = { FOUR(CP(IMM_S8, Ev | LK)), CP(IMM_S8, Ev | LK), CP(IMM_S8, Ev | LK), CP(IMM_S8, Ev | LK), CP(IMM_S8, Ev) },
	/* With mod = 3 these are EVEX and VEX. */
	[ROW_BOUND] = { OP(BOUND, 0, GvM) },
	[ROW_LES] = { OP(LOAD_FAR_POINTER, 0, GvM) },
	/* There are six segment registers, and CS is not for MOV to write. */
	[ROW_8C] = { FOUR(OP(MOV_FROM_SEG, 0, Ev | WR)), TWICE(OP(MOV_FROM_SEG, 0, Ev | WR)) },
	[ROW_8E] = { OP(MOV_TO_SEG, 0, Ev), {0}, FOUR(OP(MOV_TO_SEG, 0, Ev)) },
	[ROW_POP] = { OP(POP_MEM, 0, Ev | WR) },
	[ROW_MOV_B] = { CP(IMM_U8, Eb | WR) },
	[ROW_MOV_V] = { CP(IMM_Z, Ev | WR) },
	[ROW_SHIFT_B8] = { EIGHT(CP(IMM_U8, Eb | WR)) },
	[ROW_SHIFT_V8] = { EIGHT(CP(IMM_U8, Ev | WR)) },
	[ROW_SHIFT_B] = { EIGHT(CP(0, Eb | WR)) },
	[ROW_SHIFT_V] = { EIGHT(CP(0, Ev | WR)) },
	/* F6, F7: TEST TEST NOT NEG MUL IMUL DIV IDIV */
	[ROW_UNARY_B] = { TWICE(CP(IMM_U8, Eb)), TWICE(CP(0, Eb | LK)), FOUR(CP(0, Eb)) },
	[ROW_UNARY_V] = { TWICE(CP(IMM_Z, Ev)), TWICE(CP(0, Ev | LK)), FOUR(CP(0, Ev)) },
	[ROW_FE] = { TWICE(CP(0, Eb | LK)) },
	[ROW_FF] = { TWICE(CP(0, Ev | LK)), OP(CALL_IND, 0, Ev | END), OP(CALL_FAR_IND, 0, Mv | END), OP(JMP_IND, 0, Ev | END),
		     OP(JMP_FAR_IND, 0, Mv | END), OP(PUSH_MEM, 0, Ev) },

	/* x87: memory forms by ModRM.reg; register forms by reg, some by rm. */
	[ROW_FP_MEM] = { EIGHT(CP(0, FP)) },
	[ROW_D9] = { STEP(REG, ROW_D9_MEM), STEP(REG, ROW_D9_REG) },
	[ROW_DA] = { STEP(REG, ROW_FP_MEM), STEP(REG, ROW_DA_REG) },
	[ROW_DB] = { STEP(REG, ROW_DB_MEM), STEP(REG, ROW_DB_REG) },
	[ROW_DD] = { STEP(REG, ROW_DD_MEM), STEP(REG, ROW_DD_REG) },
	[ROW_DE] = { STEP(REG, ROW_FP_MEM), STEP(REG, ROW_DE_REG) },
	[ROW_DF] = { STEP(REG, ROW_DF_MEM), STEP(REG, ROW_DF_REG) },
	/* FLD - FST FSTP FLDENV FLDCW FNSTENV FNSTCW */
	[ROW_D9_MEM] = { CP(0, FP), {0}, TWICE(CP(0, FP | WR)), TWICE(CP(0, FP)), OP(FPU_ENV, 0, FP | WR), CP(0, FP | WR) },
	[ROW_D9_REG] = { TWICE(CP(0, FP)), STEP(RM, ROW_D9_NOP), CP(0, FP), STEP(RM, ROW_D9_SIGN), STEP(RM, ROW_D9_CONST),
			 TWICE(CP(0, FP)) },
	[ROW_D9_NOP] = { CP(0, FP) },
	[ROW_D9_SIGN] = { TWICE(CP(0, FP)), TWICE({0}), TWICE(CP(0, FP)) },		/* FCHS FABS - - FTST FXAM */
	[ROW_D9_CONST] = { FOUR(CP(0, FP)), TWICE(CP(0, FP)), CP(0, FP) },		/* FLD1 ... FLDZ */
	[ROW_DA_REG] = { FOUR(CP(0, FP)), {0}, STEP(RM, ROW_FUCOMPP) },			/* FCMOVcc */
	[ROW_FUCOMPP] = { {0}, CP(0, FP) },
	/* FILD FISTTP FIST FISTP - FLD80 - FSTP80 */
	[ROW_DB_MEM] = { CP(0, FP), CP(0, FP | WR), TWICE(CP(0, FP | WR)), {0}, CP(0, FP), {0}, CP(0, FP | WR) },
	[ROW_DB_REG] = { FOUR(CP(0, FP)), STEP(RM, ROW_FNINIT), TWICE(CP(0, FP)) },
	[ROW_FNINIT] = { FOUR(CP(0, FP)), CP(0, FP) },					/* FENI FDISI FNCLEX FNINIT FSETPM */
	/* FLD FISTTP FST FSTP FRSTOR - FNSAVE FNSTSW */
	[ROW_DD_MEM] = { CP(0, FP), CP(0, FP | WR), TWICE(CP(0, FP | WR)), CP(0, FP), {0}, OP(FPU_ENV, 0, FP | WR), CP(0, FP | WR) },
	[ROW_DD_REG] = { FOUR(CP(0, FP)), TWICE(CP(0, FP)) },
	[ROW_DE_REG] = { TWICE(CP(0, FP)), CP(0, FP), STEP(RM, ROW_FCOMPP), FOUR(CP(0, FP)) },
	[ROW_FCOMPP] = { {0}, CP(0, FP) },
	/* FILD FISTTP FIST FISTP FBLD FILD64 FBSTP FISTP64 */
	[ROW_DF_MEM] = { CP(0, FP), CP(0, FP | WR), TWICE(CP(0, FP | WR)), TWICE(CP(0, FP)), TWICE(CP(0, FP | WR)) },
	[ROW_DF_REG] = { FOUR(CP(0, FP)), STEP(RM, ROW_FNSTSW), TWICE(CP(0, FP)) },
	[ROW_FNSTSW] = { CP(0, FP) },

	/* SLDT STR LLDT LTR VERR VERW */
	[ROW_0F00] = { TWICE(OP(SYSTEM_READ, 0, Ev | WR)), TWICE(OP(PRIVILEGED, 0, Ev | END)), TWICE(OP(SYSTEM_READ, 0, Ev)) },
	[ROW_0F01] = { STEP(REG, ROW_0F01_MEM), STEP(REG, ROW_0F01_REG) },
	/* SGDT SIDT LGDT LIDT SMSW - LMSW INVLPG */
	[ROW_0F01_MEM] = { TWICE(OP(SYSTEM_READ, 0, RM | WR)), TWICE(OP(PRIVILEGED, 0, RM | END)), OP(SYSTEM_READ, 0, Ev | WR), {0},
			   OP(PRIVILEGED, 0, Ev | END), OP(PRIVILEGED, 0, RM | END) },
	[ROW_0F01_REG] = { FOUR({0}), OP(SYSTEM_READ, 0, Ev | WR), {0}, OP(PRIVILEGED, 0, Ev | END), STEP(RM, ROW_0F01_7) },
	[ROW_0F01_7] = { {0}, OP(RDTSCP, 0, RM) },
	/* CR0 - CR2 CR3 CR4 */
	[ROW_CR] = { OP(PRIVILEGED, 0, CRDR), {0}, TWICE(OP(PRIVILEGED, 0, CRDR)), OP(PRIVILEGED, 0, CRDR) },

	/* By mandatory prefix: none, 66, F3, F2. */
	[ROW_0F12] = { CP(0, XM), CP(0, XM | MEM), CP(0, XM), CP(0, XM) },		/* MOVLPS/MOVHLPS MOVLPD MOVSLDUP MOVDDUP */
	[ROW_0F16] = { CP(0, XM), CP(0, XM | MEM), CP(0, XM) },				/* MOVHPS/MOVLHPS MOVHPD MOVSHDUP */
	[ROW_0F2A] = { TWICE(CP(0, XM | INSN_FPU)), TWICE(CP(0, XM | EREG)) },		/* CVTPI2PS CVTPI2PD CVTSI2SS CVTSI2SD */
	[ROW_0F2C] = { TWICE(CP(0, XM | INSN_FPU)), TWICE(CP(0, XM | GREG)) },		/* CVTxPS2PI CVTxPD2PI CVTxSS2SI CVTxSD2SI */
	[ROW_0F6F] = { CP(0, FP), CP(0, XM), CP(0, XM) },
	[ROW_0F70] = { CP(IMM_U8, FP), CP(IMM_U8, XM), CP(IMM_U8, XM), CP(IMM_U8, XM) },	/* PSHUFW PSHUFD PSHUFHW PSHUFLW */
	[ROW_0F7E] = { CP(0, FP | EREG | WR), CP(0, XM | EREG | WR), CP(0, XM) },	/* MOVD MOVD MOVQ */
	[ROW_0FD6] = { {0}, CP(0, XM | WR), TWICE(CP(0, XM | INSN_FPU | REG)) },	/* - MOVQ MOVQ2DQ MOVDQ2Q */
	[ROW_0FE7] = { CP(0, FP | WR | MEM), CP(0, XM | WR | MEM) },			/* MOVNTQ MOVNTDQ */
	[ROW_0FB8] = { {0}, {0}, CP(0, EvGv) },

	/* Shifts of MMX and SSE registers by a constant. */
	[ROW_0F71] = { TWICE({0}), CP(NP_66 | IMM_U8, PQ | REG), {0}, CP(NP_66 | IMM_U8, PQ | REG), {0}, CP(NP_66 | IMM_U8, PQ | REG) },
	[ROW_0F72] = { TWICE({0}), CP(NP_66 | IMM_U8, PQ | REG), {0}, CP(NP_66 | IMM_U8, PQ | REG), {0}, CP(NP_66 | IMM_U8, PQ | REG) },
	[ROW_0F73] = { TWICE({0}), CP(NP_66 | IMM_U8, PQ | REG), CP(P66 | IMM_U8, XM | REG), TWICE({0}),
		       CP(NP_66 | IMM_U8, PQ | REG), CP(P66 | IMM_U8, XM | REG) },

	[ROW_0FAE] = { STEP(REG, ROW_0FAE_MEM), STEP(REG, ROW_0FAE_REG) },
	/* FXSAVE FXRSTOR LDMXCSR STMXCSR (XSAVE XRSTOR XSAVEOPT) CLFLUSH */
	[ROW_0FAE_MEM] = { OP(FPU_ENV, NP, FP | WR), CP(NP, FP), CP(NP, XM), CP(NP, XM | WR), {0}, {0}, {0}, CP(NP, RM) },
	[ROW_0FAE_REG] = { FOUR({0}), {0}, TWICE(CP(NP, RM)), CP(NP, RM) },		/* LFENCE MFENCE SFENCE */
	[ROW_0FBA] = { FOUR({0}), CP(IMM_U8, Ev), TWICE(CP(IMM_U8, Ev | LK)), CP(IMM_U8, Ev | LK) },	/* BT BTS BTR BTC */
	[ROW_0FC7] = { {0}, CP(0, Mv | LK) },						/* CMPXCHG8B */

	[ROW_38F0] = { TWICE(CP(0, GvM)), {0}, CP(0, GvEb) },				/* MOVBE MOVBE - CRC32 */
	[ROW_38F1] = { TWICE(CP(0, GvM | WR)), {0}, CP(0, EvGv) },
};

/* The eight forms of an ALU opcode block: wr is LK, or 0 for CMP. */
#define ALU(op, wr)                                                                                                      \
	[(op) + 0] = CP(0, EbGb | (wr)), [(op) + 1] = CP(0, EvGv | (wr)), [(op) + 2] = CP(0, EbGb), [(op) + 3] = CP(0, EvGv), \
	[(op) + 4] = CP(IMM_U8, BYTE), [(op) + 5] = CP(IMM_Z, 0)

#define PREFIX(pfx)		{ STEP_PREFIX, 0, pfx }
#define SEGMENT(s)		{ STEP_PREFIX, s, PFX_SEG }

const struct opcode opcode_maps[4][256] = {
[MAP_PRIMARY] = {
	ALU(0x00, LK), [0x06] = OP(PUSH_SEG, 0, 0), OP(POP_SEG, 0, 0),
	ALU(0x08, LK), [0x0e] = OP(PUSH_SEG, 0, 0), { STEP_MAP, 0, MAP_0F },
	ALU(0x10, LK), [0x16] = OP(PUSH_SEG, 0, 0), OP(POP_SEG, 0, 0),
	ALU(0x18, LK), [0x1e] = OP(PUSH_SEG, 0, 0), OP(POP_SEG, 0, 0),
	ALU(0x20, LK), [0x26] = SEGMENT(S_ES), OP(BCD, 0, 0),
	ALU(0x28, LK), [0x2e] = SEGMENT(S_CS), OP(BCD, 0, 0),
	ALU(0x30, LK), [0x36] = SEGMENT(S_SS), OP(BCD, 0, 0),
	ALU(0x38, 0), [0x3e] = SEGMENT(S_DS), OP(BCD, 0, 0),
	[0x40] = EIGHT(OP(INCDEC, 0, 0)), EIGHT(OP(INCDEC, 0, 0)),
	[0x50] = EIGHT(OP(PUSH_REG, 0, 0)), EIGHT(OP(POP_REG, 0, 0)),
	[0x60] = OP(PUSHA, 0, 0), OP(POPA, 0, 0), STEP(MOD, ROW_BOUND), OP(ARPL, 0, EvGv | WR),
	[0x64] = SEGMENT(S_FS), SEGMENT(S_GS), PREFIX(PFX_OPSIZE), PREFIX(PFX_ADSIZE),
	[0x68] = OP(PUSH_IMM, IMM_Z, 0), CP(IMM_Z, EvGv), OP(PUSH_IMM, IMM_S8, 0), CP(IMM_S8, EvGv),
	[0x6c] = OP(INS, 0, BYTE), OP(INS, 0, 0), OP(OUTS, 0, BYTE), OP(OUTS, 0, 0),
	[0x70] = EIGHT(OP(JCC, IMM_S8, END)), EIGHT(OP(JCC, IMM_S8, END)),
	[0x80] = STEP(REG, ROW_ALU_B), STEP(REG, ROW_ALU_V), STEP(REG, ROW_ALU_B), STEP(REG, ROW_ALU_VB),
	[0x84] = CP(0, EbGb), CP(0, EvGv), CP(0, EbGb | LK), CP(0, EvGv | LK),			/* TEST XCHG */
	[0x88] = CP(0, EbGb | WR), CP(0, EvGv | WR), CP(0, EbGb), CP(0, EvGv),			/* MOV */
	[0x8c] = STEP(REG, ROW_8C), OP(LEA, 0, GvM), STEP(REG, ROW_8E), STEP(REG, ROW_POP),
	[0x90] = EIGHT(CP(0, 0)),								/* NOP PAUSE XCHG */
	[0x98] = TWICE(CP(0, 0)), OP(CALL_FAR, IMM_FAR, END), CP(0, INSN_FPU),			/* CBW CWD CALL FWAIT */
	[0x9c] = OP(PUSHF, 0, 0), OP(POPF, 0, 0), TWICE(CP(0, 0)),				/* PUSHF POPF SAHF LAHF */
	[0xa0] = OP(MOFFS, IMM_MOFFS, BYTE), OP(MOFFS, IMM_MOFFS, 0), OP(MOFFS, IMM_MOFFS, BYTE), OP(MOFFS, IMM_MOFFS, 0),
	[0xa4] = OP(STRING, 0, BYTE), OP(STRING, 0, 0), OP(STRING, 0, BYTE), OP(STRING, 0, 0),	/* MOVS CMPS */
	[0xa8] = CP(IMM_U8, BYTE), CP(IMM_Z, 0), OP(STRING, 0, BYTE), OP(STRING, 0, 0),		/* TEST STOS */
	[0xac] = OP(STRING, 0, BYTE), OP(STRING, 0, 0), OP(STRING, 0, BYTE), OP(STRING, 0, 0),	/* LODS SCAS */
	[0xb0] = EIGHT(CP(IMM_U8, BYTE)), EIGHT(CP(IMM_Z, 0)),
	[0xc0] = STEP(REG, ROW_SHIFT_B8), STEP(REG, ROW_SHIFT_V8), OP(RET, IMM_U16, END), OP(RET, 0, END),
	[0xc4] = STEP(MOD, ROW_LES), STEP(MOD, ROW_LES), STEP(REG, ROW_MOV_B), STEP(REG, ROW_MOV_V),
	[0xc8] = OP(ENTER, IMM_ENTER, 0), OP(LEAVE, 0, 0), OP(RET_FAR, IMM_U16, END), OP(RET_FAR, 0, END),
	[0xcc] = OP(INT3, 0, END), OP(INT, IMM_U8, END), OP(INTO, 0, END), OP(IRET, 0, END),
	[0xd0] = STEP(REG, ROW_SHIFT_B), STEP(REG, ROW_SHIFT_V), STEP(REG, ROW_SHIFT_B), STEP(REG, ROW_SHIFT_V),
	[0xd4] = OP(BCD, IMM_U8, 0), OP(BCD, IMM_U8, 0), OP(BCD, 0, 0), OP(XLAT, 0, 0),
	[0xd8] = CP(0, FP), STEP(MOD, ROW_D9), STEP(MOD, ROW_DA), STEP(MOD, ROW_DB),
	[0xdc] = CP(0, FP), STEP(MOD, ROW_DD), STEP(MOD, ROW_DE), STEP(MOD, ROW_DF),
	[0xe0] = FOUR(OP(LOOP, IMM_S8, END)),
	[0xe4] = OP(IN, IMM_U8, BYTE), OP(IN, IMM_U8, 0), OP(OUT, IMM_U8, BYTE), OP(OUT, IMM_U8, 0),
	[0xe8] = OP(CALL, IMM_REL, END), OP(JMP, IMM_REL, END), OP(JMP_FAR, IMM_FAR, END), OP(JMP, IMM_S8, END),
	[0xec] = OP(IN, 0, BYTE), OP(IN, 0, 0), OP(OUT, 0, BYTE), OP(OUT, 0, 0),
	[0xf0] = PREFIX(PFX_LOCK), OP(ICEBP, 0, END), PREFIX(PFX_REPNE), PREFIX(PFX_REP),
	[0xf4] = OP(HLT, 0, END), CP(0, 0), STEP(REG, ROW_UNARY_B), STEP(REG, ROW_UNARY_V),
	[0xf8] = TWICE(CP(0, 0)), OP(CLI, 0, 0), OP(STI, 0, 0),					/* CLC STC CLI STI */
	[0xfc] = TWICE(CP(0, 0)), STEP(REG, ROW_FE), STEP(REG, ROW_FF),				/* CLD STD */
},

[MAP_0F] = {
	[0x00] = STEP(REG, ROW_0F00), STEP(MOD, ROW_0F01), OP(SYSTEM_READ, 0, EvGv), OP(SYSTEM_READ, 0, EvGv),	/* LAR LSL */
	[0x06] = OP(PRIVILEGED, 0, END),							/* CLTS */
	[0x08] = OP(PRIVILEGED, 0, END), OP(PRIVILEGED, 0, END),				/* INVD WBINVD */
	[0x0d] = CP(0, Ev),									/* PREFETCHW */
	[0x10] = SSE(ANY4), CP(ANY4, XM | WR),							/* MOVUPS MOVUPD MOVSS MOVSD */
	[0x12] = STEP(MANDATORY, ROW_0F12), CP(NP_66, XM | WR | MEM), SSE(NP_66), SSE(NP_66),		/* MOVLPS UNPCKx */
	[0x16] = STEP(MANDATORY, ROW_0F16), CP(NP_66, XM | WR | MEM),					/* MOVHPS */
	[0x18] = EIGHT(CP(0, Ev)),								/* PREFETCHh, NOP */
	[0x20] = STEP(REG, ROW_CR), OP(PRIVILEGED, 0, CRDR),
	[0x22] = STEP(REG, ROW_CR), OP(PRIVILEGED, 0, CRDR),
	[0x28] = SSE(NP_66), CP(NP_66, XM | WR), STEP(MANDATORY, ROW_0F2A), CP(NP_66, XM | WR | MEM),	/* MOVAPS CVTxxx MOVNTPS */
	[0x2c] = STEP(MANDATORY, ROW_0F2C), STEP(MANDATORY, ROW_0F2C), SSE(NP_66), SSE(NP_66),		/* CVTxxx UCOMISS COMISS */
	[0x30] = OP(PRIVILEGED, 0, END), OP(RDTSC, 0, 0), OP(PRIVILEGED, 0, END), OP(RDPMC, 0, 0),	/* WRMSR RDMSR */
	[0x34] = OP(SYSENTER, 0, END), OP(SYSEXIT, 0, END),
	[0x38] = { STEP_MAP, 0, MAP_0F38 }, [0x3a] = { STEP_MAP, 0, MAP_0F3A },
	[0x40] = EIGHT(CP(0, EvGv)), EIGHT(CP(0, EvGv)),					/* CMOVcc */
	[0x50] = CP(NP_66, XM | GREG | REG), SSE(ANY4), SSE(NP | PF3), SSE(NP | PF3),		/* MOVMSK SQRT RSQRT RCP */
	[0x54] = FOUR(SSE(NP_66)),								/* AND ANDN OR XOR */
	[0x58] = TWICE(SSE(ANY4)), SSE(ANY4), SSE(NP_66 | PF3), FOUR(SSE(ANY4)),		/* ADD MUL CVT CVT SUB MIN DIV MAX */
	[0x60] = EIGHT(PAIR), FOUR(PAIR), TWICE(SSE(P66)), CP(NP_66, PQ | EREG), STEP(MANDATORY, ROW_0F6F),	/* ... MOVD MOVQ */
	[0x70] = STEP(MANDATORY, ROW_0F70), STEP(REG, ROW_0F71), STEP(REG, ROW_0F72), STEP(REG, ROW_0F73),
	[0x74] = PAIR, PAIR, PAIR, CP(NP, INSN_FPU),						/* PCMPEQ EMMS */
	[0x7c] = TWICE(SSE(P66 | PF2)), STEP(MANDATORY, ROW_0F7E), CP(NP_66 | PF3, PQ | WR),		/* HADD HSUB MOVD MOVQ */
	[0x80] = EIGHT(OP(JCC, IMM_REL, END)), EIGHT(OP(JCC, IMM_REL, END)),
	[0x90] = EIGHT(CP(0, Eb | WR)), EIGHT(CP(0, Eb | WR)),					/* SETcc */
	[0xa0] = OP(PUSH_SEG, 0, 0), OP(POP_SEG, 0, 0), OP(CPUID, 0, 0), CP(0, EvGv),		/* PUSH POP CPUID BT */
	[0xa4] = CP(IMM_U8, EvGv | WR), CP(0, EvGv | WR),					/* SHLD */
	[0xa8] = OP(PUSH_SEG, 0, 0), OP(POP_SEG, 0, 0), [0xab] = CP(0, EvGv | LK),		/* BTS */
	[0xac] = CP(IMM_U8, EvGv | WR), CP(0, EvGv | WR), STEP(MOD, ROW_0FAE), CP(0, EvGv),	/* SHRD IMUL */
	[0xb0] = CP(0, EbGb | LK), CP(0, EvGv | LK), OP(LOAD_FAR_POINTER, 0, GvM), CP(0, EvGv | LK),	/* CMPXCHG LSS BTR */
	[0xb4] = OP(LOAD_FAR_POINTER, 0, GvM), OP(LOAD_FAR_POINTER, 0, GvM), CP(0, GvEb), CP(0, EvGv),	/* LFS LGS MOVZX */
	[0xb8] = STEP(MANDATORY, ROW_0FB8), [0xba] = STEP(REG, ROW_0FBA), CP(0, EvGv | LK),		/* BTC */
	[0xbc] = CP(0, EvGv), CP(0, EvGv), CP(0, GvEb), CP(0, EvGv),				/* BSF BSR MOVSX */
	[0xc0] = CP(0, EbGb | LK), CP(0, EvGv | LK), SSE8(ANY4), CP(NP, GvM | WR),		/* XADD CMPPS MOVNTI */
	[0xc4] = CP(NP_66 | IMM_U8, PQ | EREG), CP(NP_66 | IMM_U8, PQ | GREG | REG), SSE8(NP_66), STEP(REG, ROW_0FC7),
	[0xc8] = EIGHT(CP(0, 0)),								/* BSWAP */
	[0xd0] = SSE(P66 | PF2), FOUR(PAIR), PAIR, STEP(MANDATORY, ROW_0FD6), CP(NP_66, PQ | GREG | REG),	/* ADDSUB ... PMOVMSKB */
	[0xd8] = EIGHT(PAIR), FOUR(PAIR), TWICE(PAIR), SSE(P66 | PF3 | PF2), STEP(MANDATORY, ROW_0FE7),	/* ... CVTxxx MOVNTQ */
	[0xe8] = EIGHT(PAIR), CP(PF2, XM | MEM), FOUR(PAIR), TWICE(PAIR),			/* ... LDDQU */
	[0xf7] = CP(NP_66, PQ | REG | INSN_IMPLICIT_DI), FOUR(PAIR), PAIR, PAIR, PAIR,		/* MASKMOVQ */
},

[MAP_0F38] = {
	[0x00] = EIGHT(PAIR), FOUR(PAIR),							/* PSHUFB PHADDx PSIGNx PMULHRSW */
	[0x10] = SSE(P66), [0x14] = SSE(P66), SSE(P66), [0x17] = SSE(P66),			/* PBLENDVB BLENDVx PTEST */
	[0x1c] = PAIR, PAIR, PAIR,								/* PABSx */
	[0x20] = FOUR(SSE(P66)), TWICE(SSE(P66)),						/* PMOVSXxx */
	[0x28] = TWICE(SSE(P66)), CP(P66, XM | MEM), SSE(P66),					/* PMULDQ PCMPEQQ MOVNTDQA PACKUSDW */
	[0x30] = FOUR(SSE(P66)), TWICE(SSE(P66)), [0x37] = SSE(P66),				/* PMOVZXxx PCMPGTQ */
	[0x38] = EIGHT(SSE(P66)), TWICE(SSE(P66)),						/* PMINx PMAXx PMULLD PHMINPOSUW */
	[0xdb] = SSE(P66), FOUR(SSE(P66)),							/* AESx */
	[0xf0] = STEP(MANDATORY, ROW_38F0), STEP(MANDATORY, ROW_38F1),
},

[MAP_0F3A] = {
	[0x08] = FOUR(SSE8(P66)), TWICE(SSE8(P66)), SSE8(P66), CP(NP_66 | IMM_U8, PQ),		/* ROUNDx BLENDx PALIGNR */
	[0x14] = FOUR(CP(P66 | IMM_U8, XM | EREG | WR)),					/* PEXTRB PEXTRW PEXTRD EXTRACTPS */
	[0x20] = CP(P66 | IMM_U8, XM | EREG), SSE8(P66), CP(P66 | IMM_U8, XM | EREG),		/* PINSRB INSERTPS PINSRD */
	[0x40] = SSE8(P66), SSE8(P66), SSE8(P66), [0x44] = SSE8(P66),				/* DPPS DPPD MPSADBW PCLMULQDQ */
	[0x60] = FOUR(SSE8(P66)),								/* PCMPxSTRx */
	[0xdf] = SSE8(P66),									/* AESKEYGENASSIST */
},
};
