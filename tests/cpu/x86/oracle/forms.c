/* SPDX-License-Identifier: MIT */
/*
 * forms.c - enumerate instruction forms and draw instances of them.
 *
 * There is no table of opcodes here to forget something in. Every opcode of every map is tried with every ModRM byte and each of
 * eight prefix sets; Zydis says what it would be in 32-bit mode, and encodings of which it says the same (mnemonic, operand kinds
 * and sizes, effective prefixes) are one form. Encodings unknown to Zydis are forms too: the bare processor says what they do.
 *
 * Left out is what cannot be compared: instructions that enter the host's kernel or monitor, change state that a signal frame
 * does not show, or wait; and those encodings (VEX and its kin) that the processor under test does not offer.
 */
#include "tests/cpu/x86/oracle/forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/x86/decode/decode.h"
#include "tests/cpu/x86/oracle/case.h"

static const uint8_t prefix_sets[] = {
	0, FORM_66, FORM_F3, FORM_F2, FORM_66 | FORM_F3, FORM_66 | FORM_F2, FORM_LOCK, FORM_LOCK | FORM_66,
};

static const ZydisMnemonic left_out[] = {
	/* the host's kernel or hypervisor */
	ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_SYSEXIT, ZYDIS_MNEMONIC_SYSCALL, ZYDIS_MNEMONIC_SYSRET, ZYDIS_MNEMONIC_VMCALL,
	ZYDIS_MNEMONIC_VMMCALL, ZYDIS_MNEMONIC_VMLAUNCH, ZYDIS_MNEMONIC_VMRESUME, ZYDIS_MNEMONIC_VMXOFF, ZYDIS_MNEMONIC_VMFUNC,
	ZYDIS_MNEMONIC_ENCLU, ZYDIS_MNEMONIC_ENCLS, ZYDIS_MNEMONIC_ENCLV, ZYDIS_MNEMONIC_GETSEC,
	/* state outside FXSAVE's */
	ZYDIS_MNEMONIC_XSAVE, ZYDIS_MNEMONIC_XSAVEC, ZYDIS_MNEMONIC_XSAVEOPT, ZYDIS_MNEMONIC_XSAVES, ZYDIS_MNEMONIC_XRSTOR,
	ZYDIS_MNEMONIC_XRSTORS, ZYDIS_MNEMONIC_XSETBV, ZYDIS_MNEMONIC_WRPKRU, ZYDIS_MNEMONIC_RDPKRU, ZYDIS_MNEMONIC_INCSSPD,
	ZYDIS_MNEMONIC_RDSSPD, ZYDIS_MNEMONIC_RSTORSSP, ZYDIS_MNEMONIC_SAVEPREVSSP, ZYDIS_MNEMONIC_WRSSD, ZYDIS_MNEMONIC_WRUSSD,
	ZYDIS_MNEMONIC_SETSSBSY, ZYDIS_MNEMONIC_CLRSSBSY,
	/* wait */
	ZYDIS_MNEMONIC_MONITORX, ZYDIS_MNEMONIC_MWAITX, ZYDIS_MNEMONIC_UMONITOR, ZYDIS_MNEMONIC_UMWAIT, ZYDIS_MNEMONIC_TPAUSE,
	/* transactions */
	ZYDIS_MNEMONIC_XBEGIN, ZYDIS_MNEMONIC_XABORT, ZYDIS_MNEMONIC_XEND, ZYDIS_MNEMONIC_XTEST,
	/* longer than the patches we make, or different on each call */
	ZYDIS_MNEMONIC_ENQCMD, ZYDIS_MNEMONIC_ENQCMDS, ZYDIS_MNEMONIC_MOVDIR64B, ZYDIS_MNEMONIC_RDPRU, ZYDIS_MNEMONIC_CLZERO,
	ZYDIS_MNEMONIC_MCOMMIT, ZYDIS_MNEMONIC_RDPID,
	/* a BSF where CPUID does not offer it */
	ZYDIS_MNEMONIC_TZCNT,
};

static const ZydisDecoder *decoder(void)
{
	static ZydisDecoder d;
	static bool ready;

	if (!ready) {
		ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
		ready = true;
	}
	return &d;
}

uint32_t instruction_length(const uint8_t *bytes, uint32_t avail)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), bytes, avail, &insn, op)) ? insn.length : 1;
}

const char *disassemble(const uint8_t *bytes, uint32_t len, uint32_t eip)
{
	static char text[128];
	static ZydisFormatter formatter;
	static bool ready;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	if (!ready) {
		ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
		ready = true;
	}
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(decoder(), bytes, len, &insn, op)) ||
	    ZYAN_FAILED(ZydisFormatterFormatInstruction(&formatter, &insn, op, insn.operand_count_visible, text, sizeof(text), eip,
							NULL)))
		snprintf(text, sizeof(text), "(unknown)");
	return text;
}

/*
 * Encoding.
 */

static uint32_t put_prefixes(uint8_t *p, uint8_t prefix)
{
	uint32_t n = 0;

	if (prefix & FORM_LOCK)
		p[n++] = 0xf0;
	if (prefix & FORM_66)
		p[n++] = 0x66;
	if (prefix & FORM_F3)
		p[n++] = 0xf3;
	if (prefix & FORM_F2)
		p[n++] = 0xf2;
	return n;
}

static uint32_t put_opcode(uint8_t *p, uint8_t map, uint8_t op)
{
	uint32_t n = 0;

	if (map != MAP_PRIMARY)
		p[n++] = 0x0f;
	if (map == MAP_0F38)
		p[n++] = 0x38;
	if (map == MAP_0F3A)
		p[n++] = 0x3a;
	p[n++] = op;
	return n;
}

static bool is_prefix_or_escape(uint8_t map, uint8_t op)
{
	static const uint8_t primary[] = { 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	static const uint8_t second[] = { 0x38, 0x3a, 0x0f /* 3DNow! */, 0x05, 0x07, 0x34, 0x35 /* SYSCALL and its kin */ };

	if (map == MAP_0F)
		return memchr(second, op, sizeof(second));
	return map == MAP_PRIMARY && memchr(primary, op, sizeof(primary));
}

static bool is_left_out(const ZydisDecodedInstruction *insn)
{
	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return true;
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (left_out[i] == insn->mnemonic)
			return true;
	return false;
}

/* C4, C5, 62 with mod 3 and 8F with reg != 0 are VEX, EVEX and XOP: whatever follows, they are not offered. */
static bool is_vex_like(uint8_t map, uint8_t op, uint8_t modrm)
{
	if (map != MAP_PRIMARY)
		return false;
	return ((op == 0xc4 || op == 0xc5 || op == 0x62) && modrm >= 0xc0) || (op == 0x8f && (modrm & 0x38));
}

/* With LOOPNE and LOOPE, F2 and F3 are reserved; AMD's processors let them choose the condition. */
static bool is_reserved_prefix(uint8_t map, uint8_t op, uint8_t prefix)
{
	return map == MAP_PRIMARY && (op == 0xe0 || op == 0xe1) && (prefix & (FORM_F2 | FORM_F3));
}

/*
 * Enumeration.
 */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3u;
}

static uint64_t signature_of(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *op)
{
	const uint64_t effective = ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	uint64_t hash = mix(0xcbf29ce484222325u, insn->mnemonic);

	hash = mix(hash, insn->attributes & effective);
	hash = mix(hash, insn->operand_width);
	for (int i = 0; i < insn->operand_count; i++) {
		hash = mix(hash, op[i].type);
		hash = mix(hash, op[i].size);
		hash = mix(hash, op[i].actions);
		hash = mix(hash, op[i].encoding);
		if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			hash = mix(hash, ZydisRegisterGetClass(op[i].reg.value));
	}
	return hash;
}

/* Instructions whose prefixes Zydis does not show but which should be told apart all the same. */
static void name_form(struct form *form)
{
	static const char *const maps[] = { "", "0f ", "0f 38 ", "0f 3a " };
	const char *mnemonic = form->valid ? ZydisMnemonicGetString(form->mnemonic) : "(unknown)";

	snprintf(form->name, sizeof(form->name), "%s%s%s%s%s%02x %s%s", form->prefix & FORM_LOCK ? "lock " : "",
		 form->prefix & FORM_66 ? "66 " : "", form->prefix & FORM_F3 ? "f3 " : "", form->prefix & FORM_F2 ? "f2 " : "",
		 maps[form->map], form->op, mnemonic, !form->modrm ? "" : form->mem ? " mem" : " reg");
}

static struct form *find_form(struct forms *list, size_t first, const struct form *like)
{
	for (size_t i = first; i < list->count; i++) {
		struct form *f = &list->form[i];

		if (f->signature == like->signature && f->modrm == like->modrm && f->mem == like->mem && f->valid == like->valid)
			return f;
	}
	return NULL;
}

static struct form *append_form(struct forms *list, const struct form *form)
{
	list->form = realloc(list->form, (list->count + 1) * sizeof(*form));
	if (!list->form)
		abort();
	list->form[list->count] = *form;
	return &list->form[list->count++];
}

void forms_add_sequences(struct forms *list)
{
	struct form form = { .sequence = true, .name = "sequence" };

	append_form(list, &form);
}

static void add_encoding(struct forms *list, size_t first, const struct form *form, uint8_t modrm)
{
	struct form *f = find_form(list, first, form);

	if (!f) {
		f = append_form(list, form);
		name_form(f);
	}
	f->set[modrm / 32] |= 1u << (modrm % 32);
}

/* All encodings of one opcode under one set of prefixes. */
static void add_opcode(struct forms *list, uint8_t map, uint8_t op, uint8_t prefix)
{
	size_t first = list->count;

	for (unsigned modrm = 0; modrm < 256; modrm++) {
		struct form form = { .map = map, .op = op, .prefix = prefix, .modrm = true, .mem = modrm < 0xc0 };
		uint8_t bytes[24] = { 0 };
		uint32_t n = put_prefixes(bytes, prefix);
		ZydisDecodedInstruction insn;
		ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];

		if (is_vex_like(map, op, (uint8_t)modrm))
			continue;
		n += put_opcode(bytes + n, map, op);
		bytes[n] = (uint8_t)modrm;
		form.valid = ZYAN_SUCCESS(
			ZydisDecoderDecodeFull(decoder(), bytes, 15, &insn, operand));
		if (form.valid) {
			if (is_left_out(&insn))
				continue;
			form.mnemonic = insn.mnemonic;
			form.signature = signature_of(&insn, operand);
			form.modrm = insn.attributes & ZYDIS_ATTRIB_HAS_MODRM;
			form.mem = form.modrm && modrm < 0xc0;
		}
		add_encoding(list, first, &form, (uint8_t)modrm);
		if (form.valid && !form.modrm)
			break;
	}
}

/* A form under prefixes is redundant when the same opcode has the same form without them. */
static void mark_redundant(struct forms *list, size_t plain, size_t plain_end)
{
	for (size_t i = plain_end; i < list->count; i++)
		for (size_t j = plain; j < plain_end; j++)
			if (list->form[i].signature == list->form[j].signature && list->form[i].mem == list->form[j].mem)
				list->form[i].redundant = true;
}

void forms_make(struct forms *list)
{
	memset(list, 0, sizeof(*list));
	for (unsigned map = MAP_PRIMARY; map <= MAP_0F3A; map++) {
		for (unsigned op = 0; op < 256; op++) {
			size_t plain = list->count, plain_end = 0;

			if (is_prefix_or_escape(map, (uint8_t)op))
				continue;
			for (size_t p = 0; p < sizeof(prefix_sets); p++) {
				if (is_reserved_prefix(map, (uint8_t)op, prefix_sets[p]))
					continue;
				add_opcode(list, map, (uint8_t)op, prefix_sets[p]);
				if (p == 0)
					plain_end = list->count;
			}
			mark_redundant(list, plain, plain_end);
		}
	}
}

/*
 * Drawing addresses and values.
 */

uint32_t pick_value(struct rng *rng)
{
	static const uint32_t special[] = {
		0, 1, 2, 3, 4, 7, 8, 9, 10, 0xf, 0x10, 0x1f, 0x20, 0x21, 0x7f, 0x80, 0x81, 0x99, 0x9a, 0xa0, 0xff, 0x100, 0x7fff,
		0x8000, 0xffff, 0x10000, 0x7ffffff, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0xffffff80, 0xffff8000,
		0x55555555, 0xaaaaaaaa, 0x01010101, 0x09090909, 0x99999999, 0x0000ff00, 0x00ff00ff,
	};
	uint32_t dice = rng_below(rng, 100);

	if (dice < 40)
		return special[rng_below(rng, sizeof(special) / sizeof(special[0]))];
	if (dice < 50)
		return rng_below(rng, 64);
	if (dice < 60)
		return 1u << rng_below(rng, 32);
	if (dice < 70)
		return pick_address(rng, 4);
	return rng32(rng);
}

/* Somewhere around @edge, so that an operand of @size bytes touches or crosses it. */
static uint32_t around(struct rng *rng, uint32_t edge, uint32_t size)
{
	return edge - rng_below(rng, 2 * size + 1);
}

static uint32_t align_mostly(struct rng *rng, uint32_t address, uint32_t size)
{
	if (size > 64)
		size = 16; /* FXSAVE */
	if (size && !(size & (size - 1)) && rng_percent(rng, 65))
		return address & ~(size - 1);
	return address;
}

/* Almost certainly absent; not where the native child itself is. */
static uint32_t pick_anywhere(struct rng *rng)
{
	uint32_t address = rng32(rng);

	return address >> 28 == PRIVATE_BASE >> 28 ? address ^ 0x80000000 : address;
}

uint32_t pick_address(struct rng *rng, uint32_t size)
{
	uint32_t dice = rng_below(rng, 100);

	if (dice < 62)
		return align_mostly(rng, DATA_BASE + 0x100 + rng_below(rng, 2 * 4096 - 0x300), size);
	if (dice < 70)
		return around(rng, DATA_BASE + 4096, size);
	if (dice < 76)
		return around(rng, RO_PAGE, size);
	if (dice < 80)
		return align_mostly(rng, RO_PAGE + rng_below(rng, 4096 - 64), size);
	if (dice < 84)
		return around(rng, RO_PAGE + 4096, size);
	if (dice < 88)
		return around(rng, DATA_BASE, size);
	if (dice < 89)
		return align_mostly(rng, ALIAS_DATA + rng_below(rng, 4096 - 64), size);
	if (dice < 92)
		return align_mostly(rng, STACK_BASE + 64 + rng_below(rng, 2 * 4096 - 256), size);
	if (dice < 94)
		return around(rng, STACK_BASE + 2 * 4096, size);
	if (dice < 95)
		return 0u - rng_below(rng, 2 * size + 1);
	if (dice < 96)
		return rng_below(rng, 64);
	if (dice < 98)
		return LOW_BASE + rng_below(rng, LOW_PAGES * 4096);
	return pick_anywhere(rng);
}

uint32_t pick_code_target(struct rng *rng, uint32_t eip, uint32_t len)
{
	uint32_t dice = rng_below(rng, 100), target;

	if (dice < 4)
		return pick_anywhere(rng);
	if (dice < 8)
		return CODE_BASE + CODE_PAGES * 4096 + rng_below(rng, 16) - 1;
	if (dice < 10)
		return CODE_BASE - 1 - rng_below(rng, 16);
	do
		target = CODE_BASE + rng_below(rng, CODE_PAGES * 4096);
	while (target - eip < len);
	return target;
}

uint32_t pick_code_target16(struct rng *rng)
{
	return rng_percent(rng, 80) ? LOW_STOPS + rng_below(rng, 0x10000 - LOW_STOPS) : rng_below(rng, LOW_BASE);
}

static uint32_t pick_eip(struct rng *rng, uint32_t len)
{
	uint32_t dice = rng_below(rng, 100), end = CODE_BASE + CODE_PAGES * 4096;

	if (dice < 4)
		return end - len;			/* the next instruction cannot be fetched */
	if (dice < 8 && len > 1)
		return end - 1 - rng_below(rng, len - 1);	/* nor can the rest of this one */
	if (dice < 16)
		return CODE_BASE + 4096 - rng_below(rng, len + 1);
	return CODE_BASE + 64 + rng_below(rng, CODE_PAGES * 4096 - 128);
}

/*
 * Instances.
 */

static uint8_t pick_modrm(const struct form *form, struct rng *rng)
{
	uint8_t modrm;

	do
		modrm = (uint8_t)rng_below(rng, 256);
	while (!(form->set[modrm / 32] >> (modrm % 32) & 1));
	return modrm;
}

static uint32_t put32(uint8_t *p, uint32_t value)
{
	memcpy(p, &value, 4);
	return 4;
}

static uint32_t pick_disp(struct rng *rng)
{
	return rng_percent(rng, 60) ? rng_below(rng, 512) - 256 : pick_value(rng);
}

/* The register field stays; mod, rm, SIB and displacement are drawn. The order of the choices is that of their interest. */
static uint32_t put_memory32(uint8_t *p, uint8_t reg, struct rng *rng)
{
	uint8_t mod = (uint8_t)rng_below(rng, 3), rm = (uint8_t)rng_below(rng, 8);
	uint32_t n = 1, dice = rng_below(rng, 100);

	if (dice < 12)
		mod = 0, rm = 5; /* absolute */
	else if (dice < 40)
		rm = 4; /* SIB */
	if (rm == 4) {
		p[n] = (uint8_t)rng_below(rng, 256);
		if (rng_percent(rng, 25))
			p[n] = (uint8_t)((p[n] & 0xf8) | 4); /* ESP */
		if (rng_percent(rng, 15))
			p[n] = (uint8_t)((p[n] & 0xc7) | 0x20); /* no index */
		n++;
	}
	p[0] = (uint8_t)(mod << 6 | reg << 3 | rm);
	if (mod == 0 && (rm == 5 || (rm == 4 && (p[1] & 7) == 5)))
		n += put32(p + n, rm == 5 ? pick_address(rng, 4) : pick_disp(rng));
	if (mod == 1)
		p[n++] = (uint8_t)pick_value(rng);
	if (mod == 2)
		n += put32(p + n, pick_disp(rng));
	return n;
}

static uint32_t put_memory16(uint8_t *p, uint8_t reg, struct rng *rng)
{
	uint8_t mod = (uint8_t)rng_below(rng, 3), rm = (uint8_t)rng_below(rng, 8);
	uint32_t n = 1, disp = rng_percent(rng, 50) ? LOW_BASE + rng_below(rng, 8192) : rng_below(rng, 0x2000);

	p[0] = (uint8_t)(mod << 6 | reg << 3 | rm);
	if (mod == 1)
		p[n++] = (uint8_t)pick_value(rng);
	if (mod == 2 || (mod == 0 && rm == 6)) {
		memcpy(p + n, &disp, 2);
		n += 2;
	}
	return n;
}

static bool has_memory(const struct form *form)
{
	return form->mem || !form->modrm;
}

/* Extra prefixes: segment overrides and 67, in random order around those of the form. */
static uint32_t put_all_prefixes(uint8_t *p, const struct form *form, bool *address16, struct rng *rng)
{
	static const uint8_t segments[] = { 0x64, 0x65, 0x64, 0x65, 0x26, 0x2e, 0x36, 0x3e };
	uint32_t n = 0, want_segment = has_memory(form) ? 22 : 4, want_67 = has_memory(form) ? 12 : 3;
	bool segment = rng_percent(rng, want_segment), last = rng_percent(rng, 30);

	*address16 = rng_percent(rng, want_67);
	if (segment && !last)
		p[n++] = segments[rng_below(rng, 8)];
	if (*address16)
		p[n++] = 0x67;
	n += put_prefixes(p + n, form->prefix);
	if (segment && last)
		p[n++] = segments[rng_below(rng, 8)];
	if (rng_percent(rng, 2) && n)
		p[n] = p[n - 1], n++; /* the same twice */
	return n;
}

static bool decode_instance(struct instance *instance)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), instance->bytes, 15, &instance->insn, instance->op));
}

static void put_immediate(struct instance *instance, int i, uint32_t value)
{
	memcpy(instance->bytes + instance->insn.raw.imm[i].offset, &value, instance->insn.raw.imm[i].size / 8);
}

static uint32_t pick_selector(struct rng *rng)
{
	static const uint16_t likely[] = { SEL_CODE, SEL_CODE, SEL_CODE, SEL_DATA, 0,    3,    SEL_TLS0,
					   0x1f,     0x1f,     0x37,     0x10,     0x2f, 0x3c };

	return rng_percent(rng, 90) ? likely[rng_below(rng, sizeof(likely) / 2)] : 0x80 + rng_below(rng, 0xff00);
}

/* Immediates, branch displacements and absolute offsets: numbers that mean something. */
static void choose_immediates(struct instance *instance, struct rng *rng)
{
	const ZydisDecodedInstruction *insn = &instance->insn;

	for (int i = 0; i < 2; i++) {
		uint32_t value = pick_value(rng);

		if (!insn->raw.imm[i].size)
			continue;
		if (insn->raw.imm[i].is_relative)
			value = (insn->operand_width == 16 ? pick_code_target16(rng) :
							     pick_code_target(rng, instance->eip, insn->length)) -
				instance->eip - insn->length;
		if (insn->mnemonic == ZYDIS_MNEMONIC_CALL || insn->mnemonic == ZYDIS_MNEMONIC_JMP)
			if (insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
				value = i ? pick_selector(rng) : pick_code_target(rng, instance->eip, insn->length);
		if (insn->mnemonic == ZYDIS_MNEMONIC_INT && (value & 0xff) == 0x80)
			value = 0x1f;
		if (insn->mnemonic == ZYDIS_MNEMONIC_ENTER)
			value = rng_below(rng, rng_percent(rng, 80) ? (i ? 4 : 64) : (i ? 256 : 65536));
		put_immediate(instance, i, value);
		if (insn->raw.imm[i].is_relative && insn->raw.imm[i].size == 8) {
			int8_t disp = (int8_t)instance->bytes[insn->raw.imm[i].offset];

			if (disp < 0 && disp >= -(int)insn->length)
				instance->bytes[insn->raw.imm[i].offset] ^= 0x80; /* not into itself */
		}
	}
	if (insn->raw.disp.size && !(insn->attributes & ZYDIS_ATTRIB_HAS_MODRM)) { /* moffs */
		uint32_t offset = pick_address(rng, 4);

		if (insn->raw.disp.size == 16)
			offset = rng_percent(rng, 70) ? LOW_BASE + rng_below(rng, 8192) : offset;
		memcpy(instance->bytes + insn->raw.disp.offset, &offset, insn->raw.disp.size / 8);
	}
}

void instance_make(struct instance *instance, const struct form *form, struct rng *rng)
{
	uint8_t *p = instance->bytes;
	bool address16;
	uint32_t n, encoded;

	memset(instance, 0, sizeof(*instance));
	instance->form = form;
	n = put_all_prefixes(p, form, &address16, rng);
	n += put_opcode(p + n, form->map, form->op);
	if (form->modrm) {
		uint8_t modrm = pick_modrm(form, rng), reg = modrm >> 3 & 7;

		if (!form->mem)
			p[n++] = modrm;
		else
			n += address16 ? put_memory16(p + n, reg, rng) : put_memory32(p + n, reg, rng);
	}
	for (encoded = n; n < sizeof(instance->bytes); n++)
		p[n] = 0xcc;
	instance->decoded = decode_instance(instance);
	instance->len = instance->decoded ? instance->insn.length : (uint8_t)(encoded + rng_below(rng, 5));
	instance->eip = pick_eip(rng, instance->len);
	if (instance->decoded) {
		choose_immediates(instance, rng);
		instance->decoded = decode_instance(instance);
	}
}

bool instance_at(struct instance *instance, const uint8_t *bytes, uint32_t avail, uint32_t eip)
{
	memset(instance, 0, sizeof(*instance));
	memcpy(instance->bytes, bytes, avail < sizeof(instance->bytes) ? avail : sizeof(instance->bytes));
	instance->eip = eip;
	instance->decoded = decode_instance(instance);
	instance->len = instance->decoded ? instance->insn.length : 1;
	return instance->decoded;
}
