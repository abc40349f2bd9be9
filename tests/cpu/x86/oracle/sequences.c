/* SPDX-License-Identifier: MIT */
/*
 * sequences.c - random short programs.
 *
 * If every register could be overwritten, the first memory operand after that would fault and the rest would never run. So EBX
 * and EBP hold addresses, EDI a small index, ESP the stack, and only instructions that leave these alone are drawn. Everything
 * that branches is built by hand, so that each program ends: forward branches, counted loops, calls that return.
 */
#include "tests/cpu/x86/oracle/sequences.h"

#include <string.h>
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"
#include "tests/cpu/x86/oracle/qemu.h"
#include "tests/cpu/x86/oracle/undefined.h"

enum { KEEP = 1 << R_EBX | 1 << R_EBP | 1 << R_EDI | 1 << R_ESP, POINTER_SLACK = 0x180 };

struct writer {
	struct program *p;
	const struct forms *forms;
	struct rng *rng;
	uint32_t keep; /* registers not to be written */
	unsigned without; /* SEQUENCE_* */
};

/*
 * Which instructions.
 */

static bool isa_wanted(ZydisISASet isa)
{
	static const ZydisISASet wanted[] = {
		ZYDIS_ISA_SET_I86, ZYDIS_ISA_SET_I186, ZYDIS_ISA_SET_I386, ZYDIS_ISA_SET_I486REAL, ZYDIS_ISA_SET_PENTIUMREAL,
		ZYDIS_ISA_SET_PPRO, ZYDIS_ISA_SET_CMOV, ZYDIS_ISA_SET_FCMOV, ZYDIS_ISA_SET_X87, ZYDIS_ISA_SET_PENTIUMMMX,
		ZYDIS_ISA_SET_SSE, ZYDIS_ISA_SET_SSE2, ZYDIS_ISA_SET_SSE2MMX, ZYDIS_ISA_SET_SSE3, ZYDIS_ISA_SET_SSE3X87,
		ZYDIS_ISA_SET_SSSE3, ZYDIS_ISA_SET_SSSE3MMX, ZYDIS_ISA_SET_FAT_NOP, ZYDIS_ISA_SET_LAHF,
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (wanted[i] == isa)
			return true;
	return false;
}

static bool category_wanted(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_IO:
	case ZYDIS_CATEGORY_IOSTRINGOP:
	case ZYDIS_CATEGORY_STRINGOP:
	case ZYDIS_CATEGORY_SEGOP:
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_POP:
		return false;
	default:
		return true;
	}
}

static bool mnemonic_wanted(ZydisMnemonic mnemonic)
{
	static const ZydisMnemonic unwanted[] = {
		/* they load anything at all into control words, or need an alignment */
		ZYDIS_MNEMONIC_FLDCW, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR, ZYDIS_MNEMONIC_LDMXCSR,
		ZYDIS_MNEMONIC_FXRSTOR, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE,
		/* they fault more often than not */
		ZYDIS_MNEMONIC_BOUND, ZYDIS_MNEMONIC_DIV, ZYDIS_MNEMONIC_IDIV, ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU,
		/* flags that are undefined and differ (see undefined.c) could be looked at later */
		ZYDIS_MNEMONIC_DAA, ZYDIS_MNEMONIC_DAS, ZYDIS_MNEMONIC_AAA, ZYDIS_MNEMONIC_AAS, ZYDIS_MNEMONIC_AAD,
		ZYDIS_MNEMONIC_AAM, ZYDIS_MNEMONIC_LEAVE, ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_UD0,
		ZYDIS_MNEMONIC_UD1, ZYDIS_MNEMONIC_UD2,
	};

	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		if (unwanted[i] == mnemonic)
			return false;
	return true;
}

static int gpr_of(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
		return reg - ZYDIS_REGISTER_AL;
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return reg - ZYDIS_REGISTER_AH;
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_DI)
		return reg - ZYDIS_REGISTER_AX;
	if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_EDI)
		return reg - ZYDIS_REGISTER_EAX;
	return -1;
}

static bool instruction_wanted(const struct writer *w, const struct instance *i)
{
	bool bit_string = i->form->mem && i->insn.meta.category == ZYDIS_CATEGORY_BITBYTE &&
			  i->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER;

	if (!isa_wanted(i->insn.meta.isa_set) || !category_wanted(i->insn.meta.category) || !mnemonic_wanted(i->insn.mnemonic) ||
	    differs_by_nature(i) || stores_host_state(i) || bit_string ||
	    ((w->without & SEQUENCE_FOR_QEMU) && !qemu_steady(i)))
		return false;
	for (int k = 0; k < i->insn.operand_count; k++) {
		int reg = i->op[k].type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_of(i->op[k].reg.value) : -1;

		if (reg >= 0 && (i->op[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && (w->keep >> reg & 1))
			return false;
		if (i->op[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(i->op[k].reg.value) == ZYDIS_REGCLASS_SEGMENT)
			return false;
	}
	return true;
}

/*
 * Writing.
 */

static uint32_t here(const struct writer *w)
{
	return w->p->eip + w->p->len;
}

static void put(struct writer *w, const void *bytes, uint32_t len)
{
	if (w->p->len + len <= PROGRAM_BYTES) {
		memcpy(w->p->bytes + w->p->len, bytes, len);
		w->p->len += len;
	}
}

static void put8(struct writer *w, unsigned byte)
{
	uint8_t b = (uint8_t)byte;

	put(w, &b, 1);
}

static void put32(struct writer *w, uint32_t value)
{
	put(w, &value, 4);
}

static void mov_imm(struct writer *w, unsigned reg, uint32_t value)
{
	put8(w, 0xb8 + reg);
	put32(w, value);
}

/* A displacement to be filled in by land_here(); returns where. */
static uint32_t put_forward(struct writer *w, unsigned opcode, bool near)
{
	if (near && opcode >= 0x70 && opcode < 0x80) {
		put8(w, 0x0f);
		put8(w, opcode + 0x10);
	} else {
		put8(w, near ? (opcode == 0xeb ? 0xe9 : opcode) : opcode);
	}
	if (near)
		put32(w, 0);
	else
		put8(w, 0);
	return w->p->len - (near ? 4 : 1);
}

static void land_here(struct writer *w, uint32_t at, bool near)
{
	uint32_t disp = w->p->len - at - (near ? 4 : 1);

	if (!near && disp > 127)
		disp = 0; /* too far: fall through either way */
	memcpy(w->p->bytes + at, &disp, near ? 4 : 1);
}

static uint32_t put_operand(struct writer *w, uint8_t *p, uint8_t reg, uint32_t size)
{
	uint32_t dice = rng_below(w->rng, 100), n = 1, mask = size >= 16 ? ~15u : ~0u;
	uint32_t absolute = DATA_BASE + (rng_below(w->rng, 0x1800) & mask);
	int8_t disp = (int8_t)(rng_below(w->rng, 256) & mask);

	if (dice < 15) {
		p[0] = (uint8_t)(reg << 3 | 5);
		memcpy(p + 1, &absolute, 4);
		return 5;
	}
	if (dice < 30) { /* [esp + disp8] */
		p[0] = (uint8_t)(0x44 | reg << 3);
		p[1] = 0x24;
		n = 2;
	} else if (dice < 45 && size < 16) { /* [ebx + edi * n + disp8] */
		p[0] = (uint8_t)(0x44 | reg << 3);
		p[1] = (uint8_t)(0x3b | rng_below(w->rng, 4) << 6);
		n = 2;
	} else {
		p[0] = (uint8_t)(0x40 | reg << 3 | (rng_percent(w->rng, 50) ? R_EBX : R_EBP));
	}
	p[n] = (uint8_t)disp;
	return n + 1;
}

/* Any wanted instruction that does not branch. */
static void put_plain(struct writer *w)
{
	struct instance i;

	for (;;) {
		const struct form *form = &w->forms->form[rng_below(w->rng, (uint32_t)w->forms->count)];
		ZydisDecoder decoder;
		uint32_t n;
		uint8_t reg;

		if (!form->valid || form->redundant)
			continue;
		instance_make(&i, form, w->rng);
		if (!i.decoded || (i.insn.attributes & ZYDIS_ATTRIB_HAS_SEGMENT) || i.insn.address_width == 16 ||
		    !instruction_wanted(w, &i))
			continue;
		if (form->mem) { /* again, with an operand that stays valid */
			n = i.insn.raw.modrm.offset;
			reg = i.insn.raw.modrm.reg;
			n += put_operand(w, i.bytes + n, reg,
					 i.op[i.op[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1].size / 8);
			memset(i.bytes + n, (int)rng_below(w->rng, 256), sizeof(i.bytes) - n);
			ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
			if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, i.bytes, 15, &i.insn, i.op)))
				continue;
		} else if (i.insn.raw.disp.size) {
			uint32_t absolute = DATA_BASE + rng_below(w->rng, 0x1800);

			memcpy(i.bytes + i.insn.raw.disp.offset, &absolute, 4); /* moffs */
		}
		break;
	}
	put(w, i.bytes, i.insn.length);
}

/*
 * Things of several instructions.
 */

static void put_item(struct writer *w, int depth);

static void put_branch(struct writer *w, int depth)
{
	bool near = rng_percent(w->rng, 40);
	uint32_t at = put_forward(w, 0x70 + rng_below(w->rng, 16), near);

	for (uint32_t n = rng_below(w->rng, 3); n > 0; n--)
		put_item(w, depth + 1);
	land_here(w, at, near);
}

static void put_loop(struct writer *w)
{
	static const uint8_t opcodes[] = { 0xe2, 0xe2, 0xe1, 0xe0 };
	uint32_t keep = w->keep, start;

	mov_imm(w, R_ECX, 1 + rng_below(w->rng, 6));
	start = w->p->len;
	w->keep |= 1 << R_ECX;
	for (uint32_t n = 1 + rng_below(w->rng, 3); n > 0; n--)
		put_plain(w);
	w->keep = keep;
	if (rng_percent(w->rng, 50)) {
		put8(w, opcodes[rng_below(w->rng, 4)]);
	} else {
		put8(w, 0x49); /* dec ecx; jnz */
		put8(w, 0x75);
	}
	put8(w, start - w->p->len - 1);
}

static void put_call(struct writer *w, int depth)
{
	uint32_t kind = rng_below(w->rng, 4), at, skip;

	if (kind == 0) { /* call to the next instruction, and pop the address */
		put8(w, 0xe8);
		put32(w, 0);
		put8(w, 0x58 + R_EAX);
		return;
	}
	if (kind == 1) {
		at = put_forward(w, 0xe8, true);
	} else { /* through a register or memory */
		mov_imm(w, R_ESI, 0);
		at = w->p->len - 4;
		if (kind == 2) {
			put(w, "\xff\xd6", 2); /* call esi */
		} else {
			put(w, "\x89\x73\x08", 3); /* mov [ebx + 8], esi */
			put(w, "\xff\x53\x08", 3); /* call [ebx + 8] */
		}
	}
	put_item(w, depth + 1);
	skip = put_forward(w, 0xeb, true);
	if (kind == 1) {
		land_here(w, at, true);
	} else {
		uint32_t target = here(w);

		memcpy(w->p->bytes + at, &target, 4);
	}
	put_item(w, depth + 1);
	if (rng_percent(w->rng, 70)) {
		put8(w, 0xc3);
	} else { /* an argument to be removed is not there: take the address and go */
		put8(w, 0x58 + R_EDX);
		put(w, "\xff\xe2", 2); /* jmp edx */
	}
	land_here(w, skip, true);
}

static void put_jump(struct writer *w)
{
	uint32_t kind = rng_below(w->rng, 3), target;

	switch (kind) {
	case 0: /* push; ret */
		target = here(w) + 6;
		put8(w, 0x68);
		put32(w, target);
		put8(w, 0xc3);
		break;
	case 1:
		target = here(w) + 7 + 1;
		mov_imm(w, R_EDX, target);
		put(w, "\xff\xe2\xcc", 3);
		break;
	default: /* mov dword [ebx + 4], target; jmp [ebx + 4] */
		target = here(w) + 7 + 3;
		put(w, "\xc7\x43\x04", 3);
		put32(w, target);
		put(w, "\xff\x63\x04", 3);
		break;
	}
}

static void put_stack(struct writer *w, int depth)
{
	static const uint8_t popped[] = { R_EAX, R_ECX, R_EDX, R_ESI };
	uint32_t kind = rng_below(w->rng, 6);

	switch (kind) {
	case 0: /* push anything, pop something */
		put8(w, 0x50 + rng_below(w->rng, 8));
		put_item(w, depth + 1);
		put8(w, 0x58 + popped[rng_below(w->rng, w->keep & 1 << R_ECX ? 1 : 4)]);
		break;
	case 1:
		if (w->without & SEQUENCE_NO_FLAGS)
			break;
		put8(w, 0x9c); /* pushf, popf */
		put_plain(w);
		put8(w, 0x9d);
		break;
	case 2:
		put8(w, 0x60); /* pusha, popa */
		put_plain(w);
		put8(w, 0x61);
		break;
	case 3:
		put(w, "\xc8\x20\x00", 3); /* enter 32, 0-2; leave */
		put8(w, rng_below(w->rng, 3));
		put_plain(w);
		put8(w, 0xc9);
		break;
	case 4:
		put(w, "\xff\x73\x0c\x8f\x43\x10", 6); /* push [ebx + 12]; pop [ebx + 16] */
		break;
	default:
		if (w->without & SEQUENCE_NO_SEGMENTS)
			break;
		put(w, "\x1e\x07", 2); /* push ds; pop es */
		break;
	}
}

static void put_string(struct writer *w)
{
	static const uint8_t opcodes[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };
	static const uint8_t prefixes[] = { 0xf3, 0xf3, 0xf2, 0x90, 0x66 };

	if (w->keep & 1 << R_ECX)
		return;
	mov_imm(w, R_ESI, DATA_BASE + 0x200 + rng_below(w->rng, 0x1000));
	mov_imm(w, R_EDI, DATA_BASE + 0x200 + rng_below(w->rng, 0x1000));
	mov_imm(w, R_ECX, rng_below(w->rng, 100));
	put8(w, rng_percent(w->rng, 80) ? 0xfc : 0xfd);
	put8(w, prefixes[rng_below(w->rng, 5)]);
	put8(w, opcodes[rng_below(w->rng, 10)]);
	mov_imm(w, R_EDI, rng_below(w->rng, 16));
}

/*
 * Store the environment, then wipe the selectors and the opcode, which are undefined, and the last instruction's address: AMD's
 * processors forget it when the host's kernel switches threads or handles a fault in between. The special tests look at it.
 */
static void put_environment(struct writer *w)
{
	/* fadd, fld, fld1, fistp */
	static const char *const last[] = { "\xd8\x43\x20", "\xdd\x45\x08", "\xd9\xe8\x90", "\xdb\x5b\x10" };

	put(w, last[rng_below(w->rng, 4)], 3);
	if (rng_percent(w->rng, 50)) {
		put(w, "\xd9\x73\x40", 3);			/* fnstenv [ebx + 0x40] */
	} else {
		put(w, "\xdd\x73\x40", 3);			/* fnsave [ebx + 0x40] */
	}
	put(w, "\xc7\x43\x4c\x00\x00\x00\x00", 7);	/* mov dword [ebx + 0x4c], 0 */
	put(w, "\xc7\x43\x50\x00\x00\x00\x00", 7);	/* mov dword [ebx + 0x50], 0 */
	put(w, "\xc7\x43\x54\x00\x00\x00\x00", 7);	/* mov dword [ebx + 0x54], 0 */
	put(w, "\xc7\x43\x58\x00\x00\x00\x00", 7);	/* mov dword [ebx + 0x58], 0 */
}

static void put_item(struct writer *w, int depth)
{
	uint32_t dice = depth > 2 ? 0 : rng_below(w->rng, 100);

	if (dice < 60)
		put_plain(w);
	else if (dice < 72)
		put_branch(w, depth);
	else if (dice < 78)
		put_loop(w);
	else if (dice < 84)
		put_call(w, depth);
	else if (dice < 88)
		put_jump(w);
	else if (dice < 95)
		put_stack(w, depth);
	else if (dice < 98)
		put_string(w);
	else if (!(w->without & SEQUENCE_FOR_QEMU))
		put_environment(w);
}

void sequence_make(struct program *program, const struct forms *forms, unsigned without, struct rng *rng)
{
	struct writer w = { program, forms, rng, KEEP, without };

	memset(program, 0, sizeof(*program));
	program->eip = rng_percent(rng, 50) ? CODE_BASE + 4096 - rng_below(rng, 200) : CODE_BASE + rng_below(rng, 4096);
	for (uint32_t n = 4 + rng_below(rng, 10); n > 0 && program->len < PROGRAM_BYTES - 160; n--)
		put_item(&w, 0);
}

void sequence_state(struct test_case *test, const struct program *program, const struct state_options *options, struct rng *rng)
{
	const uint32_t arithmetic = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;
	struct state *in = &test->in;
	bool edgy = rng_percent(rng, 15);

	memset(in, 0, sizeof(*in));
	test->patches = 0;
	add_patch(test, program->eip, program->bytes, program->len);
	fpu_make(in->fx, edgy, rng);
	if (!edgy)
		in->fx[0] |= 0x3f; /* everything masked, so nothing stops it early */
	for (int i = 0; i < 8; i++)
		in->gpr[i] = pick_value(rng);
	in->gpr[R_EBX] = (DATA_BASE + POINTER_SLACK + rng_below(rng, 0x2000 - 2 * POINTER_SLACK)) & ~15u;
	in->gpr[R_EBP] = (STACK_BASE + POINTER_SLACK + rng_below(rng, 0x2000 - 2 * POINTER_SLACK)) & ~15u;
	in->gpr[R_EDI] = rng_below(rng, 16);
	in->gpr[R_ESP] = (STACK_BASE + 0x800 + rng_below(rng, 0x1000)) & ~15u;
	if (edgy) /* an edge within reach: read-only above, absent below */
		in->gpr[R_EBX] = rng_percent(rng, 50) ? RO_PAGE - 32 : DATA_BASE + 16;
	if (rng_percent(rng, 4))
		in->gpr[R_ESP] = STACK_BASE + 4 * rng_below(rng, 12);
	in->eip = program->eip;
	in->eflags = (rng32(rng) & arithmetic) | FLAG_IF | 2;
	in->seg[S_CS] = SEL_CODE;
	in->seg[S_ES] = in->seg[S_SS] = in->seg[S_DS] = SEL_DATA;
	in->seg[S_FS] = tls_selector(options, 0);
	in->seg[S_GS] = tls_selector(options, options->segments);
}
