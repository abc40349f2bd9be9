/* SPDX-License-Identifier: MIT */
/*
 * compare.c - where decode() and Zydis must agree, and where they need not.
 *
 * Length, prefixes, fields, memory operand and immediates are compared directly. The table's flags are compared with Zydis'
 * operands: one encoded in ModRM.reg or ModRM.rm that is a general register says what INSN_REG_ACCESS, INSN_RM_INT and INSN_BYTE
 * must be, and the action of the memory operand says what INSN_WRITES_RM must be. Our action must be the one of the mnemonic.
 *
 * Zydis runs with MPX, CET, CLDEMOTE and TZCNT off: without these features their opcodes are NOPs and BSF, and so they are for us, without
 * the prefix that makes the difference.
 */
#include <stdio.h>
#include <string.h>
#include <Zydis/Zydis.h>

#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"
#include "compare.h"

struct pair {
	const uint8_t *code;
	bool code16;
	struct insn insn;
	int ret;
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZyanStatus status;
};

static const ZydisDecoder *decoder(bool code16)
{
	static ZydisDecoder decoders[2];
	static bool ready[2];
	ZydisDecoder *d = &decoders[code16];

	if (!ready[code16]) {
		ZydisDecoderInit(d, code16 ? ZYDIS_MACHINE_MODE_LEGACY_16 : ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
		ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
		ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
		ready[code16] = true;
	}
	return d;
}

/*
 * The instruction sets that the guest is offered, as Zydis names them; what is in none of them is undefined for a guest. Those it is not
 * offered have no list, since each version of Zydis knows more of them. Names, because not every version has every constant: in 4.0 FCOMI
 * still belongs to PPRO, and what 4.1 calls ICACHE_PREFETCH is one more NOP.
 */
static const char *const offered[] = {
	"AES", "CLFSH", "CMOV", "FAT_NOP", "FCMOV", "FCOMI", "FXSAVE", "I186", "I286PROTECTED", "I286REAL", "I386", "I486REAL",
	"I86", "ICACHE_PREFETCH", "LAHF", "LZCNT", "MOVBE", "PAUSE", "PCLMULQDQ", "PENTIUMMMX", "PENTIUMREAL", "POPCNT",
	"PPRO", "PREFETCHWT1", "PREFETCH_NOP", "RDPMC", "RDTSCP", "SSE", "SSE2", "SSE2MMX", "SSE3", "SSE3X87", "SSE4", "SSE42",
	"SSEMXCSR", "SSE_PREFETCH", "SSSE3", "SSSE3MMX", "X87",
};

static bool is_offered(ZydisISASet set)
{
	static bool known[ZYDIS_ISA_SET_MAX_VALUE + 1], ready;

	for (unsigned i = 0; !ready && i <= ZYDIS_ISA_SET_MAX_VALUE; i++)
		for (unsigned j = 0; j < sizeof(offered) / sizeof(*offered); j++)
			known[i] |= !strcmp(ZydisISASetGetString(i), offered[j]);
	ready = true;
	return known[set];
}

/* What Zydis knows and the guest is not offered. */
static bool not_offered(const ZydisDecodedInstruction *z)
{
	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !is_offered(z->meta.isa_set))
		return true;	/* that includes VEX, EVEX, MVEX, XOP, 3DNow! */
	switch (z->mnemonic) {
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_RSM:	/* outside system management mode */
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		return true;
	default:
		return false;
	}
}

static enum insn_action expected_action(const struct pair *p)
{
	switch (p->z.mnemonic) {
	case ZYDIS_MNEMONIC_INC:
	case ZYDIS_MNEMONIC_DEC:
		return p->insn.flags & INSN_MODRM ? ACT_COPY : ACT_INCDEC;
	case ZYDIS_MNEMONIC_PUSH:
		if (p->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return ACT_PUSH_IMM;
		if (p->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
			return ACT_PUSH_MEM;
		return p->op[0].encoding == ZYDIS_OPERAND_ENCODING_OPCODE ? ACT_PUSH_REG : ACT_PUSH_SEG;
	case ZYDIS_MNEMONIC_POP:
		if (p->op[0].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
			return ACT_POP_MEM;
		return p->op[0].encoding == ZYDIS_OPERAND_ENCODING_OPCODE ? ACT_POP_REG : ACT_POP_SEG;
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		return ACT_PUSHA;
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		return ACT_POPA;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
		return ACT_PUSHF;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
		return ACT_POPF;
	case ZYDIS_MNEMONIC_ENTER:
		return ACT_ENTER;
	case ZYDIS_MNEMONIC_LEAVE:
		return ACT_LEAVE;
	case ZYDIS_MNEMONIC_MOV:
		if (p->insn.map == MAP_0F)
			return ACT_PRIVILEGED;
		if (p->z.opcode == 0x8c)
			return ACT_MOV_FROM_SEG;
		if (p->z.opcode == 0x8e)
			return ACT_MOV_TO_SEG;
		return p->z.opcode >= 0xa0 && p->z.opcode <= 0xa3 ? ACT_MOFFS : ACT_COPY;
	case ZYDIS_MNEMONIC_LES:
	case ZYDIS_MNEMONIC_LDS:
	case ZYDIS_MNEMONIC_LSS:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
		return ACT_LOAD_FAR_POINTER;
	case ZYDIS_MNEMONIC_LEA:
		return ACT_LEA;
	case ZYDIS_MNEMONIC_XLAT:
		return ACT_XLAT;
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
		return ACT_STRING;
	case ZYDIS_MNEMONIC_MOVSD:	/* these two names are also scalar double SSE */
	case ZYDIS_MNEMONIC_CMPSD:
		return p->insn.map == MAP_PRIMARY ? ACT_STRING : ACT_COPY;
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
		return ACT_INS;
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		return ACT_OUTS;
	case ZYDIS_MNEMONIC_IN:
		return ACT_IN;
	case ZYDIS_MNEMONIC_OUT:
		return ACT_OUT;
	case ZYDIS_MNEMONIC_LOOP:
	case ZYDIS_MNEMONIC_LOOPE:
	case ZYDIS_MNEMONIC_LOOPNE:
	case ZYDIS_MNEMONIC_JCXZ:
	case ZYDIS_MNEMONIC_JECXZ:
		return ACT_LOOP;
	case ZYDIS_MNEMONIC_JMP:
		if (p->z.opcode == 0xea)
			return ACT_JMP_FAR;
		if (p->z.opcode == 0xff)
			return p->insn.reg == 5 ? ACT_JMP_FAR_IND : ACT_JMP_IND;
		return ACT_JMP;
	case ZYDIS_MNEMONIC_CALL:
		if (p->z.opcode == 0x9a)
			return ACT_CALL_FAR;
		if (p->z.opcode == 0xff)
			return p->insn.reg == 3 ? ACT_CALL_FAR_IND : ACT_CALL_IND;
		return ACT_CALL;
	case ZYDIS_MNEMONIC_RET:
		return p->z.opcode & 8 ? ACT_RET_FAR : ACT_RET;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
		return ACT_IRET;
	case ZYDIS_MNEMONIC_INT:
		return ACT_INT;
	case ZYDIS_MNEMONIC_INT3:
		return ACT_INT3;
	case ZYDIS_MNEMONIC_INTO:
		return ACT_INTO;
	case ZYDIS_MNEMONIC_INT1:
		return ACT_ICEBP;
	case ZYDIS_MNEMONIC_DAA:
	case ZYDIS_MNEMONIC_DAS:
	case ZYDIS_MNEMONIC_AAA:
	case ZYDIS_MNEMONIC_AAS:
	case ZYDIS_MNEMONIC_AAM:
	case ZYDIS_MNEMONIC_AAD:
	case ZYDIS_MNEMONIC_SALC:
		return ACT_BCD;
	case ZYDIS_MNEMONIC_BOUND:
		return ACT_BOUND;
	case ZYDIS_MNEMONIC_ARPL:
		return ACT_ARPL;
	case ZYDIS_MNEMONIC_SGDT:
	case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW:
		return ACT_SYSTEM_READ;
	case ZYDIS_MNEMONIC_CPUID:
		return ACT_CPUID;
	case ZYDIS_MNEMONIC_RDTSC:
		return ACT_RDTSC;
	case ZYDIS_MNEMONIC_RDTSCP:
		return ACT_RDTSCP;
	case ZYDIS_MNEMONIC_RDPMC:
		return ACT_RDPMC;
	case ZYDIS_MNEMONIC_CLI:
		return ACT_CLI;
	case ZYDIS_MNEMONIC_STI:
		return ACT_STI;
	case ZYDIS_MNEMONIC_HLT:
		return ACT_HLT;
	case ZYDIS_MNEMONIC_LGDT:
	case ZYDIS_MNEMONIC_LIDT:
	case ZYDIS_MNEMONIC_LLDT:
	case ZYDIS_MNEMONIC_LTR:
	case ZYDIS_MNEMONIC_LMSW:
	case ZYDIS_MNEMONIC_CLTS:
	case ZYDIS_MNEMONIC_INVLPG:
	case ZYDIS_MNEMONIC_RDMSR:
	case ZYDIS_MNEMONIC_WRMSR:
	case ZYDIS_MNEMONIC_WBINVD:
	case ZYDIS_MNEMONIC_INVD:
		return ACT_PRIVILEGED;
	case ZYDIS_MNEMONIC_SYSENTER:
		return ACT_SYSENTER;
	case ZYDIS_MNEMONIC_SYSEXIT:
		return ACT_SYSEXIT;
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FXSAVE:
		return ACT_FPU_ENV;
	default:
		return p->z.meta.category == ZYDIS_CATEGORY_COND_BR ? ACT_JCC : ACT_COPY;
	}
}

static int gpr_number(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
		return reg - ZYDIS_REGISTER_AL;
	case ZYDIS_REGCLASS_GPR16:
		return reg - ZYDIS_REGISTER_AX;
	case ZYDIS_REGCLASS_GPR32:
		return reg - ZYDIS_REGISTER_EAX;
	default:
		return -1;
	}
}

static const ZydisDecodedOperand *operand(const struct pair *p, ZydisOperandEncoding encoding)
{
	for (unsigned i = 0; i < p->z.operand_count; i++)
		if (p->op[i].encoding == encoding)
			return &p->op[i];
	return NULL;
}

static const ZydisDecodedOperand *memory(const struct pair *p)
{
	for (unsigned i = 0; i < p->z.operand_count; i++)
		if (p->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return &p->op[i];
	return NULL;
}

/* Where newer processors would see something else. */
static bool is_news(const struct pair *p)
{
	return p->insn.map == MAP_0F && p->z.opcode >= 0x19 && p->z.opcode <= 0x1f;
}

/* What stands before an instruction of 16-bit code is told as what 32-bit code would need there, unless 66 is part of the encoding. */
static unsigned in_code32(const struct pair *p, unsigned prefixes)
{
	bool encodes = p->insn.map != MAP_PRIMARY && p->insn.flags & (INSN_FPU | INSN_SSE);

	switch (p->z.mnemonic) {
	case ZYDIS_MNEMONIC_MOVNTI: case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_LFENCE: case ZYDIS_MNEMONIC_MFENCE: case ZYDIS_MNEMONIC_SFENCE:
		encodes = true;
		break;
	default:
		break;
	}
	return prefixes ^ (encodes ? PFX_ADSIZE : PFX_ADSIZE | PFX_OPSIZE);
}

static const char *compare_prefixes(const struct pair *p)
{
	unsigned want = 0;

	for (unsigned i = 0; i < p->z.raw.prefix_count; i++) {
		switch (p->z.raw.prefixes[i].value) {
		case 0xf0:
			want |= PFX_LOCK;
			break;
		case 0xf2:
			want = (want & ~PFX_REP) | PFX_REPNE;
			break;
		case 0xf3:
			want = (want & ~PFX_REPNE) | PFX_REP;
			break;
		case 0x66:
			want |= PFX_OPSIZE;
			break;
		case 0x67:
			want |= PFX_ADSIZE;
			break;
		default:
			want |= PFX_SEG;
		}
	}
	if (p->code16)
		want = in_code32(p, want);
	if (is_news(p))
		want &= ~(unsigned)(PFX_REP | PFX_REPNE);
	if (p->z.mnemonic == ZYDIS_MNEMONIC_BSF)
		want &= ~(unsigned)PFX_REP;
	if (p->insn.prefix != want)
		return "prefixes";
	if (p->insn.adsize * 8 != p->z.address_width)
		return "address size";
	if (p->insn.opsize != (want & PFX_OPSIZE ? 2 : 4))
		return "operand size";
	return NULL;
}

static const char *compare_modrm(const struct pair *p)
{
	bool has = p->z.attributes & ZYDIS_ATTRIB_HAS_MODRM;

	if (has != !!(p->insn.flags & INSN_MODRM))
		return "presence of ModRM";
	if (!has)
		return NULL;
	if (p->insn.modrm != p->code[p->insn.modrm_at] || p->insn.modrm_at != p->z.raw.modrm.offset)
		return "place of ModRM";
	if (p->insn.reg != p->z.raw.modrm.reg || p->insn.rm != p->z.raw.modrm.rm)
		return "ModRM fields";
	return NULL;
}

static const char *compare_segment(const struct pair *p, const ZydisDecodedOperand *m)
{
	if (m->mem.segment - ZYDIS_REGISTER_ES != p->insn.seg)
		return "segment";
	return NULL;
}

static const char *compare_address(const struct pair *p)
{
	const ZydisDecodedOperand *m = operand(p, ZYDIS_OPERAND_ENCODING_MODRM_RM);
	int base, index;

	if (!p->insn.mem)
		return m && m->type == ZYDIS_OPERAND_TYPE_MEMORY ? "memory operand" : NULL;
	if (!m || m->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return "memory operand";
	base = gpr_number(m->mem.base);
	index = gpr_number(m->mem.index);
	/* Zydis calls a lone SI or DI of 16-bit addressing the base. */
	if (p->insn.adsize == 2 && index < 0 && (base == R_ESI || base == R_EDI)) {
		index = base;
		base = -1;
	}
	if (base != p->insn.base)
		return "base";
	if (index != p->insn.index)
		return "index";
	if (index >= 0 && p->insn.adsize == 4 && m->mem.scale != 1 << p->insn.scale)
		return "scale";
	if (p->insn.disp_size * 8 != p->z.raw.disp.size)
		return "displacement size";
	if (p->insn.disp != p->z.raw.disp.value)
		return "displacement";
	/* LEA has no segment. */
	return p->insn.action == ACT_LEA ? NULL : compare_segment(p, m);
}

/* Memory operands that ModRM does not name. */
static const char *compare_implicit(const struct pair *p)
{
	const ZydisDecodedOperand *m = memory(p);

	switch (p->insn.action) {
	case ACT_MOFFS:
		if ((uint32_t)p->insn.disp != ((uint32_t)m->mem.disp.value & (p->insn.adsize == 2 ? 0xffff : 0xffffffff)))
			return "moffs";
		return compare_segment(p, m);
	case ACT_XLAT:
	case ACT_OUTS:
	case ACT_INS:
		return compare_segment(p, m);
	case ACT_STRING:
		for (unsigned i = 0; i < p->z.operand_count; i++)
			if (p->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && gpr_number(p->op[i].mem.base) == R_ESI)
				return compare_segment(p, &p->op[i]);
		return NULL;
	default:
		break;
	}
	if (m && m->encoding == ZYDIS_OPERAND_ENCODING_NONE && gpr_number(m->mem.base) == R_EDI)
		return p->insn.flags & INSN_IMPLICIT_DI ? compare_segment(p, m) : "no INSN_IMPLICIT_DI";
	return p->insn.flags & INSN_IMPLICIT_DI ? "INSN_IMPLICIT_DI" : NULL;
}

/* Branches, and the three opcodes that exist for the sake of a short immediate. */
static bool extends_sign(const struct pair *p)
{
	if (p->z.raw.imm[0].is_relative)
		return true;
	return p->insn.map == MAP_PRIMARY && (p->z.opcode == 0x83 || p->z.opcode == 0x6a || p->z.opcode == 0x6b);
}

static uint32_t sign_extend(uint32_t value, unsigned bits)
{
	return (uint32_t)((int32_t)(value << (32 - bits)) >> (32 - bits));
}

static const char *compare_immediate(const struct pair *p)
{
	const struct insn *insn = &p->insn;
	uint32_t value = (uint32_t)p->z.raw.imm[0].value.u;
	unsigned bits = insn->imm_size * 8;

	if (insn->action == ACT_JMP_FAR || insn->action == ACT_CALL_FAR) {
		if (insn->imm_size != insn->opsize || insn->imm2_size != 2)
			return "far pointer size";
		return insn->imm == p->op[0].ptr.offset && insn->imm2 == p->op[0].ptr.segment ? NULL : "far pointer";
	}
	if (insn->action == ACT_MOFFS)
		return insn->imm_size ? "immediate size" : NULL;
	if (bits != p->z.raw.imm[0].size || insn->imm2_size * 8 != p->z.raw.imm[1].size)
		return "immediate size";
	if (!bits)
		return NULL;
	value = extends_sign(p) ? sign_extend(value, bits) : value & (bits == 32 ? ~0u : (1u << bits) - 1);
	if (insn->imm != value)
		return "immediate";
	if (insn->imm2_size && insn->imm2 != (uint16_t)p->z.raw.imm[1].value.u)
		return "second immediate";
	return NULL;
}

/* What the table says about integer operands against the operands themselves. */
static const char *compare_registers(const struct pair *p)
{
	const ZydisDecodedOperand *reg = operand(p, ZYDIS_OPERAND_ENCODING_MODRM_REG);
	const ZydisDecodedOperand *rm = operand(p, ZYDIS_OPERAND_ENCODING_MODRM_RM);
	bool byte = p->insn.flags & INSN_BYTE, rm8 = byte || p->insn.flags & INSN_RM8;
	bool reg_int = reg && reg->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(reg->reg.value) >= 0;
	bool rm_int = rm && rm->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(rm->reg.value) >= 0;

	if (byte && p->insn.flags & INSN_RM8)
		return "INSN_BYTE and INSN_RM8";
	if (!(p->insn.flags & INSN_MODRM))
		return byte == (p->z.operand_width == 8) ? NULL : "INSN_BYTE of an implicit operand";
	if (p->z.meta.category == ZYDIS_CATEGORY_WIDENOP || p->z.meta.category == ZYDIS_CATEGORY_PREFETCH ||
	    p->z.mnemonic == ZYDIS_MNEMONIC_PREFETCHWT1 || p->z.mnemonic == ZYDIS_MNEMONIC_NOP)
		return NULL;	/* the registers a NOP names are of no interest */
	if (reg_int != !!(p->insn.flags & INSN_REG_ACCESS))
		return "INSN_REG_ACCESS";
	if (reg_int && gpr_number(reg->reg.value) != p->insn.reg)
		return "register number";
	if (reg_int && (reg->size == 8) != byte)
		return "INSN_BYTE of reg";
	if (!p->insn.mem) {
		if (rm_int != !!(p->insn.flags & INSN_RM_INT))
			return "INSN_RM_INT";
		if (rm_int && gpr_number(rm->reg.value) != p->insn.rm)
			return "register number of rm";
		if (rm_int && (rm->size == 8) != rm8)
			return "INSN_BYTE of rm";
	} else if (p->z.mnemonic == ZYDIS_MNEMONIC_PEXTRB || p->z.mnemonic == ZYDIS_MNEMONIC_PINSRB) {
		return NULL;	/* a byte in memory, but a 32-bit register */
	} else if (p->insn.flags & INSN_RM_INT && (rm->size == 8) != rm8) {
		return "INSN_BYTE of memory";
	}
	return NULL;
}

/* The segment register that an instruction names. */
static const char *compare_segment_register(const struct pair *p)
{
	int named = -1;

	for (unsigned i = 0; i < p->z.operand_count && named < 0; i++)
		if (p->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(p->op[i].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			named = p->op[i].reg.value - ZYDIS_REGISTER_ES;
	switch (p->insn.action) {
	case ACT_PUSH_SEG:
	case ACT_POP_SEG:
	case ACT_MOV_FROM_SEG:
	case ACT_MOV_TO_SEG:
		return p->insn.reg == named ? NULL : "segment register";
	case ACT_LOAD_FAR_POINTER:
		return p->insn.segreg == named ? NULL : "segment register of a far pointer";
	default:
		return NULL;
	}
}

static const char *compare_writes(const struct pair *p)
{
	const ZydisDecodedOperand *rm = operand(p, ZYDIS_OPERAND_ENCODING_MODRM_RM);
	bool writes;

	if (!p->insn.mem)
		return NULL;
	writes = rm->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	return writes == !!(p->insn.flags & INSN_WRITES_RM) ? NULL : "INSN_WRITES_RM";
}

/* What must not be followed by another instruction in one block, and what needs ModRM to mean anything. */
static const char *compare_other_flags(const struct pair *p)
{
	bool ends = p->insn.action == ACT_PRIVILEGED || p->insn.action == ACT_HLT || p->insn.action == ACT_SYSENTER ||
		    p->insn.action == ACT_SYSEXIT;

	switch (p->z.meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_UNCOND_BR:
		ends = true;
		break;
	case ZYDIS_CATEGORY_INTERRUPT:
		ends = p->insn.action != ACT_BOUND;	/* which is a test that hardly ever fails */
		break;
	default:
		break;
	}
	if (ends != !!(p->insn.flags & INSN_ENDS))
		return "INSN_ENDS";
	if (!(p->insn.flags & INSN_MODRM) && p->insn.flags & ~(INSN_BYTE | INSN_ENDS | INSN_FPU))
		return "flags of a form without ModRM";
	return NULL;
}

static const char *compare_units(const struct pair *p)
{
	bool fpu = false, sse = false, convert;

	for (unsigned i = 0; i < p->z.operand_count; i++) {
		if (p->op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (ZydisRegisterGetClass(p->op[i].reg.value)) {
		case ZYDIS_REGCLASS_X87:
		case ZYDIS_REGCLASS_MMX:
			fpu = true;
			break;
		case ZYDIS_REGCLASS_XMM:
			sse = true;
			break;
		default:
			break;
		}
	}
	if (p->z.meta.isa_set == ZYDIS_ISA_SET_X87 || p->z.meta.isa_set == ZYDIS_ISA_SET_FXSAVE || p->z.mnemonic == ZYDIS_MNEMONIC_EMMS)
		fpu = true;
	if (p->z.meta.isa_set == ZYDIS_ISA_SET_SSEMXCSR)
		sse = true;
	/* A conversion between a unit's register and memory shows only that register; ours are marked with both units. */
	convert = p->z.meta.category == ZYDIS_CATEGORY_CONVERT;
	if (fpu != !!(p->insn.flags & INSN_FPU) && !(convert && sse))
		return "INSN_FPU";
	if (sse != !!(p->insn.flags & INSN_SSE) && !(convert && p->insn.flags & INSN_SSE))
		return "INSN_SSE";
	if (!!(p->z.attributes & ZYDIS_ATTRIB_ACCEPTS_LOCK) != (p->insn.flags & INSN_LOCKABLE && p->insn.mem))
		return "INSN_LOCKABLE";
	return NULL;
}

static uint8_t expected_opcode(const struct pair *p)
{
	if (p->insn.map == MAP_PRIMARY && p->z.opcode == 0x82)
		return 0x80;
	return is_news(p) ? 0x1f : p->z.opcode;
}

static const char *compare_fields(const struct pair *p)
{
	static const char *(*const checks[])(const struct pair *) = {
		compare_prefixes, compare_modrm, compare_address, compare_implicit, compare_immediate,
		compare_registers, compare_segment_register, compare_writes, compare_units, compare_other_flags,
	};

	if (p->insn.len != p->z.length)
		return "length";
	if (p->insn.op != expected_opcode(p) || p->code[p->insn.opcode_at] != p->z.opcode)
		return "opcode";
	if (p->insn.action != expected_action(p))
		return "action";
	for (unsigned i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		const char *what = checks[i](p);

		if (what)
			return what;
	}
	return NULL;
}

static void decode_both(struct pair *p, const uint8_t *code, bool code16)
{
	p->code = code;
	p->code16 = code16;
	p->ret = decode_code(code, COMPARE_BYTES, code16, &p->insn);
	p->status = ZydisDecoderDecodeFull(decoder(code16), code, COMPARE_BYTES, &p->z, p->op);
}

static const char *compare_mode(const uint8_t *code, bool code16)
{
	struct pair p;
	bool ours;

	decode_both(&p, code, code16);
	if (p.ret == DECODE_MORE)
		return "15 bytes were not enough";
	ours = p.ret == DECODE_OK && p.insn.action != ACT_UD;
	if (!ZYAN_SUCCESS(p.status))
		return ours ? "Zydis rejects it" : NULL;
	if (!ours)
		return not_offered(&p.z) ? NULL : "only Zydis accepts it";
	return not_offered(&p.z) ? "not offered, but accepted" : compare_fields(&p);
}

const char *compare(const uint8_t *code, bool *code16)
{
	const char *what = compare_mode(code, false);

	*code16 = !what;
	return what ? what : compare_mode(code, true);
}

const char *compare_truncated(const uint8_t *code, uint8_t *end)
{
	struct insn whole, part;
	int ret = decode(code, COMPARE_BYTES, &whole);

	for (unsigned avail = 0; avail < COMPARE_BYTES; avail++) {
		uint8_t *copy = end - avail;
		int got;

		memcpy(copy, code, avail);
		got = decode(copy, avail, &part);
		if (ret == DECODE_TOO_LONG || avail < whole.len) {
			if (got != DECODE_MORE)
				return "a part is taken for the whole";
		} else if (got != ret || memcmp(&part, &whole, sizeof(part))) {	/* NOLINT: padding and all */
			return "bytes after the instruction change it";
		}
	}
	return NULL;
}

void compare_describe(const uint8_t *code, bool code16, const char *what)
{
	struct pair p;
	ZydisFormatter formatter;
	char text[96] = "rejected";

	decode_both(&p, code, code16);
	if (ZYAN_SUCCESS(p.status)) {
		ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
		ZydisFormatterFormatInstruction(&formatter, &p.z, p.op, p.z.operand_count_visible, text, sizeof(text), 0, NULL);
	}
	for (unsigned i = 0; i < COMPARE_BYTES; i++)
		fprintf(stderr, "%02x ", code[i]);
	fputs(code16 ? "(16 bits) " : "", stderr);
	fprintf(stderr, "| %s | ret %d len %u map %u op %02x action %u flags %03x | Zydis: %s", what, p.ret, p.insn.len, p.insn.map,
		p.insn.op, p.insn.action, p.insn.flags, text);
	if (ZYAN_SUCCESS(p.status))
		fprintf(stderr, " [%s]", ZydisISASetGetString(p.z.meta.isa_set));
	fputc('\n', stderr);
}
