/* SPDX-License-Identifier: MIT */
/*
 * compare.c - are two results of one case the same, and if not, where do they differ?
 *
 * Not compared, for everything: the resume flag (the native one is as the fault left it); the last x87 instruction and operand
 * pointers and opcode in the FXSAVE image (the processor's own then are the translated code's; what a guest can see of them, the
 * images that FNSTENV and its kin store, is compared); bits 3 and up of a page-fault error code (the guest has no NX).
 */
#include "tests/cpu/x86/oracle/compare.h"

#include <inttypes.h>
#include <string.h>
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"
#include "tests/cpu/x86/oracle/qemu.h"
#include "tests/cpu/x86/oracle/undefined.h"

static const char *const gpr_names[8] = { "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi" };
static const char *const seg_names[6] = { "es", "cs", "ss", "ds", "fs", "gs" };

/* Returns a mask of DIFFERS_*. */
static uint32_t fpu_differences(const uint8_t *a, const uint8_t *b)
{
	static const struct {
		int at, bytes;
		uint32_t part;
	} fields[] = {
		{ FX_FCW, 2, DIFFERS_FCW },	{ FX_FSW, 2, DIFFERS_FSW },	{ FX_FTW, 1, DIFFERS_FTW },
		{ FX_MXCSR, 4, DIFFERS_MXCSR }, { FX_XMM, 128, DIFFERS_XMM },
	};
	uint32_t parts = 0;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (memcmp(a + fields[i].at, b + fields[i].at, (size_t)fields[i].bytes))
			parts |= fields[i].part;
	for (int i = 0; i < 8; i++)
		if (memcmp(a + FX_ST + 16 * i, b + FX_ST + 16 * i, 10))
			parts |= DIFFERS_ST;
	return parts;
}

static uint32_t background_word(const struct control *control, uint32_t address)
{
	static const struct area areas[AREAS] = AREA_TABLE;
	uint32_t at = 0, value = 0;

	for (int i = 0; i < AREAS; at += areas[i++].pages * 4096)
		if (address - areas[i].base < areas[i].pages * 4096)
			memcpy(&value, control->background + at + address - areas[i].base, 4);
	return value;
}

/* Both lists are in the order of addresses. @instance may be NULL. */
static bool memory_same(const struct instance *instance, const struct test_case *test, const struct control *native,
			const struct result *a, const struct control *ours, const struct result *b)
{
	const struct diff *x = &native->diff[a->first_diff], *y = &ours->diff[b->first_diff];
	const struct diff *x_end = x + a->diffs, *y_end = y + b->diffs;

	while (x < x_end || y < y_end) {
		bool in_x = x < x_end && (y == y_end || x->address <= y->address);
		bool in_y = y < y_end && (x == x_end || y->address <= x->address);
		uint32_t address = in_x ? x->address : y->address;
		uint32_t values = (in_x ? x->value : background_word(native, address)) ^
				  (in_y ? y->value : background_word(native, address));

		if (values && (!instance || (values & ~undefined_bytes(instance, &test->in, address))))
			return false;
		x += in_x;
		y += in_y;
	}
	return true;
}

static uint32_t error_of(const struct result *r)
{
	return r->trap == TRAP_PF ? r->error & (PF_PRESENT | PF_WRITE | PF_USER) : r->error;
}

static uint32_t trap_differences(const struct result *a, const struct result *b)
{
	if (a->trap != b->trap || a->out.eip != b->out.eip)
		return DIFFERS_TRAP;
	/* INT3 and the exceptions without an error code: whatever the kernel put there */
	if (a->trap < TRAP_DF || a->trap == TRAP_MF || a->trap == TRAP_XM)
		return 0;
	return (error_of(a) != error_of(b) ? DIFFERS_ERROR : 0) |
	       (a->trap == TRAP_PF && a->address != b->address ? DIFFERS_ADDRESS : 0);
}

static bool trap_same(const struct result *a, const struct result *b)
{
	return !trap_differences(a, b);
}

/* Pointers into our own process are not where a guest can look. */
static bool in_private_range(const struct result *r)
{
	return (r->trap == TRAP_PF && r->address - PRIVATE_BASE < PRIVATE_END - PRIVATE_BASE) ||
	       r->out.eip - PRIVATE_BASE < PRIVATE_END - PRIVATE_BASE;
}

/* Extensions that a guest is not told of: the list is here so that a hole in the decoder's tables shows as a difference. */
static bool may_be_refused(const struct instance *instance)
{
	if (!instance->decoded)
		return true;
	switch (instance->insn.meta.isa_set) {
	case ZYDIS_ISA_SET_SSE4A:
	case ZYDIS_ISA_SET_SVM:
	case ZYDIS_ISA_SET_SNP:
	case ZYDIS_ISA_SET_VTX:
	case ZYDIS_ISA_SET_XSAVE:
	case ZYDIS_ISA_SET_RDRAND:
	case ZYDIS_ISA_SET_RDSEED:
	case ZYDIS_ISA_SET_RDTSCP:
	case ZYDIS_ISA_SET_INVPCID:
	case ZYDIS_ISA_SET_KEYLOCKER:
	case ZYDIS_ISA_SET_KEYLOCKER_WIDE:
	case ZYDIS_ISA_SET_MOVDIR:
	case ZYDIS_ISA_SET_PT:
	case ZYDIS_ISA_SET_SERIALIZE:
	case ZYDIS_ISA_SET_MONITOR:
	case ZYDIS_ISA_SET_CET:
	case ZYDIS_ISA_SET_SHA:
	case ZYDIS_ISA_SET_GFNI:
	case ZYDIS_ISA_SET_ADOX_ADCX:
	case ZYDIS_ISA_SET_CLFLUSHOPT:
	case ZYDIS_ISA_SET_CLWB:
		return true;
	default:
		return false;
	}
}

/* Of an undefined opcode that runs into an absent page hardware wants to see the rest, too, before it says so. */
static bool wanted_more(const struct test_case *test, const struct result *a)
{
	return a->trap == TRAP_PF && a->out.eip == test->in.eip && a->address == (test->in.eip | 0xfff) + 1;
}

/* RDTSCP is decoded, but not in our CPUID. */
static bool not_offered(const struct instance *instance, const struct test_case *test, const struct result *a, const struct result *b)
{
	uint8_t bytes[16] = { 0 };
	struct insn insn;

	if (b->trap != TRAP_UD || a->trap == TRAP_UD || b->out.eip != test->in.eip)
		return false;
	if (!may_be_refused(instance) && !wanted_more(test, a))
		return false;
	memcpy(bytes, test->patch[0].bytes, test->patch[0].len < 16 ? test->patch[0].len : 16);
	return decode(bytes, 15, &insn) == DECODE_OK && (insn.action == ACT_UD || insn.action == ACT_RDTSCP);
}

static uint32_t register_differences(const struct result *a, const struct result *b)
{
	uint32_t mask = 0;

	for (int i = 0; i < 8; i++)
		if (a->out.gpr[i] != b->out.gpr[i])
			mask |= 1u << i;
	return mask;
}

/*
 * A null selector may have RPL bits until the processor returns to ring 3 from an interrupt: that loads 0 into each segment register
 * whose descriptor ring 3 may not use, and a null one's is such. An interrupt may come between any two instructions, so after one
 * that loads such a selector the native result is now and then another than its own the next time. (In the guest, RPL bits stay.)
 */
static bool selector_same(uint32_t native, uint32_t ours)
{
	return !((native ^ ours) & 0xffff) || (!(native & 0xffff) && !(ours & 0xfffc));
}

static bool segments_same(const struct result *a, const struct result *b)
{
	for (int i = 0; i < 6; i++)
		if (!selector_same(a->out.seg[i], b->out.seg[i]))
			return false;
	return true;
}

static bool is_fault(const struct result *r)
{
	return r->trap >= TRAP_TS && r->trap <= TRAP_PF;
}

/* A branch went into random data: nothing can be said about what that did. */
bool went_astray(const struct test_case *test, const struct result *a)
{
	uint32_t eip = a->out.eip;

	return eip != test->in.eip && (eip - DATA_BASE < DATA_PAGES * 4096 || eip - STACK_BASE < STACK_PAGES * 4096 ||
				       eip - LOW_BASE < LOW_STOPS - LOW_BASE);
}

/* Both faulted in an instruction of which the manuals do not say in which order it does what it does. */
static bool same_but_for_order(const struct instance *instance, const struct result *a, const struct result *b)
{
	uint32_t kept = 1 << R_ESP;

	if (!is_fault(a) || !is_fault(b) || a->out.eip != b->out.eip || (register_differences(a, b) & kept))
		return false;
	return several_checks(instance) || (several_accesses(instance) && a->trap == b->trap &&
					    (a->trap == TRAP_PF || a->error == b->error));
}

static bool is_limit_fault(const struct result *r)
{
	return (r->trap == TRAP_GP || r->trap == TRAP_SS) && !r->error;
}

/* LSL of the segment whose limit is the number of the cpu and its node. */
static uint32_t names_the_cpu(const struct instance *instance, const struct result *a)
{
	uint32_t reg = instance->decoded && instance->insn.mnemonic == ZYDIS_MNEMONIC_LSL ? instance->insn.raw.modrm.reg : 8;

	return reg < 8 && (a->out.gpr[reg] & 0xffff) < 0x1000 ? 1u << reg : 0;
}

/* With DIFFERENT, *@d says in what. */
static enum verdict judge_instruction(const struct instance *instance, const struct test_case *test, const struct control *native,
				      const struct result *a, const struct control *ours, const struct result *b,
				      struct differences *d)
{
	uint32_t flags = (a->out.eflags ^ b->out.eflags) & ~(uint32_t)FLAG_RF;
	uint32_t registers = register_differences(a, b) & ~differs_by_nature(instance) & ~names_the_cpu(instance, a);
	uint32_t undefined = undefined_flags(instance, &test->in);
	bool memory = memory_same(instance, test, native, a, ours, b);

	if (is_fault(a))
		undefined |= flags_on_fault(instance);
	if (is_limit_fault(a) != is_limit_fault(b) && fails_segment_check(instance, &test->in))
		return SEGMENT_CHECK;
	if (stores_host_state(instance)) {
		if (b->trap == TRAP_GP && !b->error && b->out.eip == test->in.eip)
			return UNDEFINED_DIFFERS;
		memory = true;
	}
	if (same_but_for_order(instance, a, b) && !(flags & ~undefined))
		return memory && !registers && trap_same(a, b) ? SAME : UNDEFINED_DIFFERS;
	d->flags = flags & ~undefined;
	d->registers = registers & ~undefined_registers(instance, &test->in);
	d->parts = fpu_differences(a->out.fx, b->out.fx);
	if (!(a->trap == b->trap && address_by_nature(instance)))
		d->parts |= trap_differences(a, b);
	d->parts |= (segments_same(a, b) ? 0 : DIFFERS_SEGMENTS) | (memory ? 0 : DIFFERS_MEMORY) |
		    (d->flags ? DIFFERS_FLAGS : 0) | (d->registers ? DIFFERS_REGISTERS : 0);
	if (d->parts)
		return DIFFERENT;
	return flags || registers ? UNDEFINED_DIFFERS : SAME;
}

/* A repeated string instruction that has run over itself: how many iterations were still the old one is not said. */
static bool overwrote_itself(const struct instance *instance, const struct test_case *test, const struct control *native,
			     const struct result *a)
{
	const struct patch *code = &test->patch[0];

	if (!instance->decoded || instance->insn.meta.category != ZYDIS_CATEGORY_STRINGOP)
		return false;
	for (uint32_t i = 0; i < a->diffs; i++) {
		const struct diff *diff = &native->diff[a->first_diff + i];

		for (uint32_t b = 0; b < 4; b++) {
			uint32_t n = diff->address + b - code->address;

			if (n < code->len && code->bytes[n] != (uint8_t)(diff->value >> (8 * b)))
				return true;
		}
	}
	return false;
}

static enum verdict compare_instruction(const struct instance *instance, const struct test_case *test,
					const struct control *native, const struct result *a, const struct control *ours,
					const struct result *b, uint64_t *reasons)
{
	struct differences d;
	enum verdict verdict = judge_instruction(instance, test, native, a, ours, b, &d);

	if (verdict != DIFFERENT)
		return verdict;
	if (runs_over_64k(instance, &test->in) || overwrote_itself(instance, test, native, a))
		return UNDEFINED_DIFFERS;
	*reasons = native->qemu ? qemu_known(instance, test, a, b, &d) : 0;
	return *reasons ? KNOWN_OF_QEMU : DIFFERENT;
}

/* What stands at @address in the end, if anything was written there. */
static void written_byte(const struct control *control, const struct result *r, uint32_t address, uint8_t *byte)
{
	for (uint32_t i = 0; i < r->diffs; i++) {
		const struct diff *diff = &control->diff[r->first_diff + i];

		if (diff->address == (address & ~3u))
			*byte = (uint8_t)(diff->value >> (8 * (address & 3)));
	}
}

/* The instruction of a sequence at which @a stopped; its code is in the patches, or has been written over them. */
static bool last_instruction(const struct test_case *test, const struct control *control, const struct result *a,
			     struct instance *instance)
{
	uint8_t bytes[16] = { 0 };
	uint32_t n = 0;

	for (uint32_t i = 0; i < test->patches && n < sizeof(bytes); i++) {
		uint32_t at = a->out.eip + n - test->patch[i].address;

		for (; at < test->patch[i].len && n < sizeof(bytes); at++)
			bytes[n++] = test->patch[i].bytes[at];
	}
	for (uint32_t i = 0; i < n; i++)
		written_byte(control, a, a->out.eip + i, &bytes[i]);
	return n && instance_at(instance, bytes, n, a->out.eip);
}

static enum verdict compare_sequence(const struct test_case *test, const struct control *native, const struct result *a,
				     const struct control *ours, const struct result *b, uint64_t *reasons)
{
	struct differences d;
	uint32_t flags = (a->out.eflags ^ b->out.eflags) & ~(uint32_t)FLAG_RF;
	struct instance instance;

	if (native->qemu && a->out.eip != b->out.eip && last_instruction(test, ours, b, &instance)) {
		/* it may be known to have gone on here, and then did whatever comes next */
		d = (struct differences){ .parts = DIFFERS_TRAP };
		*reasons = qemu_known(&instance, test, a, b, &d);
		if (*reasons)
			return KNOWN_OF_QEMU;
	}
	d.parts = fpu_differences(a->out.fx, b->out.fx);
	if (!segments_same(a, b) || (d.parts && !native->qemu))
		return DIFFERENT;
	if (!d.parts && trap_same(a, b) && !register_differences(a, b) && !flags && memory_same(NULL, test, native, a, ours, b))
		return SAME;
	if (!last_instruction(test, native, a, &instance)) {
		if (!native->qemu)
			return DIFFERENT;
		memset(&instance, 0, sizeof(instance)); /* it ended behind itself, at an INT3 */
	}
	if (is_limit_fault(a) != is_limit_fault(b) && fails_segment_check(&instance, &a->out))
		return SEGMENT_CHECK;
	if (is_fault(a))
		flags &= ~flags_on_fault(&instance);
	if (!d.parts && same_but_for_order(&instance, a, b) && !flags)
		return UNDEFINED_DIFFERS;
	if (!native->qemu || !memory_same(NULL, test, native, a, ours, b))
		return DIFFERENT;
	d.flags = flags;
	d.registers = register_differences(a, b);
	d.parts |= trap_differences(a, b) | (d.flags ? DIFFERS_FLAGS : 0) | (d.registers ? DIFFERS_REGISTERS : 0);
	*reasons = qemu_known(&instance, test, a, b, &d);
	return *reasons ? KNOWN_OF_QEMU : DIFFERENT;
}

/* What QEMU keeps in the child's memory. */
static bool in_taken_range(const struct control *native, const struct result *r)
{
	for (int i = 0; i < QEMU_TABLES && r->trap == TRAP_PF; i++)
		if (r->address - native->taken[i].base < native->taken[i].pages * 4096)
			return true;
	return false;
}

enum verdict compare_results(const struct instance *instance, const struct test_case *test, const struct control *native,
			     const struct result *a, const struct control *ours, const struct result *b, uint64_t *reasons)
{
	struct result named = *a;

	qemu_name_trap(&named, b);
	a = &named;
	if (a->trap == TRAP_TIMEOUT && b->trap == TRAP_TIMEOUT) /* a sequence may loop for ever */
		return UNTESTABLE;
	if (a->trap == TRAP_AC) /* POPF had set AC in a sequence: alignment checks are not made */
		return UNTESTABLE;
	if (in_private_range(a) || in_private_range(b) || in_taken_range(native, b) || went_astray(test, a))
		return UNTESTABLE;
	if ((a->out.seg[S_CS] & 0xfffc) == (SEL_CODE64 & 0xfffc)) /* became a 64-bit process */
		return UNTESTABLE;
	if (!instance)
		return compare_sequence(test, native, a, ours, b, reasons);
	if (not_offered(instance, test, a, b))
		return NOT_OFFERED;
	return compare_instruction(instance, test, native, a, ours, b, reasons);
}

/*
 * Printing.
 */

static const char *flag_text(uint32_t eflags)
{
	static char text[2][64];
	static int which;
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ FLAG_CF, "CF" }, { FLAG_PF, "PF" }, { FLAG_AF, "AF" }, { FLAG_ZF, "ZF" }, { FLAG_SF, "SF" }, { FLAG_TF, "TF" },
		{ FLAG_IF, "IF" }, { FLAG_DF, "DF" }, { FLAG_OF, "OF" }, { FLAG_NT, "NT" }, { FLAG_AC, "AC" }, { FLAG_ID, "ID" },
	};
	char *p = text[which ^= 1];

	*p = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (eflags & names[i].bit)
			p += sprintf(p, "%s%s", p == text[which] ? "" : " ", names[i].name);
	return text[which];
}

static void print_bytes(FILE *out, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		fprintf(out, "%02x%s", bytes[i], i + 1 < len ? " " : "");
}

static void print_fpu_state(FILE *out, const uint8_t *fx)
{
	fprintf(out, "    fcw %02x%02x fsw %02x%02x ftw %02x mxcsr %02x%02x\n", fx[1], fx[0], fx[3], fx[2], fx[4], fx[25],
		fx[24]);
}

void print_case(FILE *out, const struct test_case *test)
{
	const struct state *in = &test->in;

	fprintf(out, "    eip %08x eflags %08x [%s]\n   ", in->eip, in->eflags, flag_text(in->eflags));
	for (int i = 0; i < 8; i++)
		fprintf(out, " %s %08x", gpr_names[i], in->gpr[i]);
	fprintf(out, "\n   ");
	for (int i = 0; i < 6; i++)
		fprintf(out, " %s %04x", seg_names[i], in->seg[i]);
	fprintf(out, "\n");
	print_fpu_state(out, in->fx);
	for (uint32_t i = 0; i < test->patches; i++) {
		fprintf(out, "    memory %08x: ", test->patch[i].address);
		print_bytes(out, test->patch[i].bytes, test->patch[i].len);
		fprintf(out, "\n");
	}
}

static void print_trap(FILE *out, const char *who, const struct result *r)
{
	fprintf(out, "    %s trap %u error %#x address %08x eip %08x eflags %08x [%s]\n", who, r->trap, error_of(r),
		r->trap == TRAP_PF ? r->address : 0, r->out.eip, r->out.eflags & ~(uint32_t)FLAG_RF, flag_text(r->out.eflags));
}

static void print_fpu_differences(FILE *out, const struct state *in, const uint8_t *a, const uint8_t *b)
{
	if (memcmp(a, b, 5) || memcmp(a + FX_MXCSR, b + FX_MXCSR, 4)) {
		fprintf(out, "    x87/SSE control: native, then ours\n");
		print_fpu_state(out, a);
		print_fpu_state(out, b);
	}
	for (int i = 0; i < 16; i++) {
		int at = FX_ST + 16 * i, n = i < 8 ? 10 : 16;

		if (!memcmp(a + at, b + at, n))
			continue;
		fprintf(out, "    %s%d: was ", i < 8 ? "st" : "xmm", i % 8);
		print_bytes(out, in->fx + at, n);
		fprintf(out, "\n      native ");
		print_bytes(out, a + at, n);
		fprintf(out, "\n      ours   ");
		print_bytes(out, b + at, n);
		fprintf(out, "\n");
	}
}

/* Both lists are in the order of addresses. */
static void print_memory_differences(FILE *out, const struct control *native, const struct result *a, const struct control *ours,
				     const struct result *b)
{
	const struct diff *x = &native->diff[a->first_diff], *y = &ours->diff[b->first_diff];
	const struct diff *x_end = x + a->diffs, *y_end = y + b->diffs;
	int lines = 0;

	while ((x < x_end || y < y_end) && lines < 12) {
		if (x < x_end && y < y_end && x->address == y->address) {
			if (x->value != y->value && ++lines)
				fprintf(out, "    memory %08x: native %08x ours %08x\n", x->address, x->value, y->value);
			x++, y++;
		} else if (y == y_end || (x < x_end && x->address < y->address)) {
			fprintf(out, "    memory %08x: native %08x ours unchanged\n", x->address, x->value);
			x++, lines++;
		} else {
			fprintf(out, "    memory %08x: native unchanged ours %08x\n", y->address, y->value);
			y++, lines++;
		}
	}
}

void print_differences(FILE *out, const struct test_case *test, const struct control *native, const struct result *a,
		       const struct control *ours, const struct result *b)
{
	struct result named = *a;

	qemu_name_trap(&named, b);
	a = &named;
	if (!trap_same(a, b) || ((a->out.eflags ^ b->out.eflags) & ~(uint32_t)FLAG_RF)) {
		print_trap(out, "native", a);
		print_trap(out, "ours  ", b);
	}
	for (int i = 0; i < 8; i++)
		if (a->out.gpr[i] != b->out.gpr[i])
			fprintf(out, "    %s: native %08x ours %08x\n", gpr_names[i], a->out.gpr[i], b->out.gpr[i]);
	for (int i = 0; i < 6; i++)
		if (!selector_same(a->out.seg[i], b->out.seg[i]))
			fprintf(out, "    %s: native %04x ours %04x\n", seg_names[i], a->out.seg[i], b->out.seg[i]);
	print_fpu_differences(out, &test->in, a->out.fx, b->out.fx);
	print_memory_differences(out, native, a, ours, b);
}
