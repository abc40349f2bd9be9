/* SPDX-License-Identifier: MIT */
/*
 * translate.c - makes a block of host code from guest code.
 *
 * A block is a run of instructions with one way in, at its start. It ends at a transfer of control other than a conditional jump,
 * at an instruction that C must run, at the end of its page, or when it is long enough. Its last instruction may run into the next
 * page.
 *
 * Most instructions are copied (address.c). The rules for those that are not:
 *
 *  1. No flag changes that the guest's instruction does not make: only MOV, MOVZX, LEA, XCHG, NOT, JRCXZ and LOOP may be used. (POPF
 *     makes them all.)
 *  2. Memory is touched before a register changes. A fault then finds the registers as they were before the instruction, and
 *     it can be run again from its start.
 *  3. The host's stack is out of reach: rsp is the guest's.
 *  4. A block leaves only through the exits in cpu->exits, through a jump table, or along a chain.
 */
#include "cpu/x86/translate/translate.h"

#include "cpu/x86/copy.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/system/system.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/odd.h"

enum { MAX_INSNS = 48, MAX_EXITS = 6, MAX_HOST = 12000 };

/* LEA without a memory access: the address itself. */
static void translate_lea(struct translation *t)
{
	const struct insn *in = &t->insn;

	emit_address(&t->e, t->cpu, in, false);
	if (in->opsize == 4) {
		emit_mov32(&t->e, in->reg, H_R8);
	} else {
		emit8(&t->e, 0x66);
		emit_mov32(&t->e, in->reg, H_R8);
	}
}

/* LEA of a 32-bit address into a 32-bit register is LEA on the host too. */
static bool lea_is_simple(const struct insn *in)
{
	return in->adsize == 4 && in->opsize == 4;
}

void translate_simple_lea(struct translation *t)
{
	const struct insn *in = &t->insn;
	struct emit *e = &t->e;

	if (in->base >= 0 && in->index < 0)
		emit_lea(e, in->reg, (unsigned)in->base, in->disp);
	else if (in->base >= 0)
		emit_lea_index(e, in->reg, (unsigned)in->base, (unsigned)in->index, in->scale, in->disp);
	else if (in->index < 0)
		emit_mov_imm(e, in->reg, (uint32_t)in->disp);
	else
		translate_lea(t);
}

struct insn translate_moffs_operand(const struct insn *insn)
{
	struct insn as = *insn;

	as.mem = true;
	as.flags |= INSN_MODRM;
	as.base = as.index = -1;
	as.scale = 0;
	as.adsize = 4;
	return as;
}

static void translate_moffs(struct translation *t)
{
	static const uint8_t opcode[4] = { 0x8a, 0x8b, 0x88, 0x89 };
	struct insn as = translate_moffs_operand(&t->insn);

	emit_operand(&t->e, t->cpu, &as, t->insn.op & 1 && t->insn.opsize == 2 ? 0x66 : 0, opcode[t->insn.op & 3], R_EAX, 0);
}

/* movzx r8d, al; lea r8d, [rbx + r8]; mov al, window:[r8] */
static void translate_xlat(struct translation *t)
{
	struct emit *e = &t->e;

	if (t->insn.adsize != 4 || !address_is_flat(t->cpu, t->insn.seg)) {
		translate_emulate(t);
		return;
	}
	emit32(e, 0xc0b60f44);
	emit_lea_index(e, H_R8, R_EBX, H_R8, 0, 0);
	emit_window(e, 0, R_EAX, H_R8), emit8(e, 0x8a), emit_window_disp(e, R_EAX, H_R8, 0);
}

static void translate_incdec(struct translation *t)
{
	if (t->insn.prefix & PFX_OPSIZE)
		emit8(&t->e, 0x66);
	emit8(&t->e, 0xff);
	emit8(&t->e, (uint8_t)(0xc0 | (t->insn.op & 0x0f)));	/* 40+r is /0, 48+r is /1 */
}

static void emit_exit_with_eip(struct translation *t, unsigned reason)
{
	translate_leave_esp(t);
	emit_mov_imm(&t->e, H_R8, t->eip);
	emit_jmp_field(&t->e, CPU_EXITS + 8 * reason);
}

void translate_emulate(struct translation *t)
{
	struct insn *note = block_note(t->cpu, sizeof(*note));

	*note = t->insn;
	if (uses_rsp(note))
		note->disp -= t->esp;
	emit_mov_imm(&t->e, H_R9, (uint32_t)((uint8_t *)note - t->cpu->cache->notes));
	emit_exit_with_eip(t, REASON_EMULATE);
	t->done = true;
}

/* The first FPU instruction of a block asks for TS; nothing inside a block can change it. */
static void translate_fpu_check(struct translation *t)
{
	struct emit *e = &t->e;
	uint8_t *ok;

	if (t->fpu_checked)
		return;
	t->fpu_checked = true;
	emit_mov64(e, H_R9, H_ECX);
	emit_load_field(e, H_ECX, CPU_TS);
	ok = emit_short(e, OP_JRCXZ);
	emit_mov64(e, H_ECX, H_R9);
	emit_exit_with_eip(t, REASON_NM);
	emit_here(e, ok);
	emit_mov64(e, H_ECX, H_R9);
}

static void translate_one(struct translation *t)
{
	const struct insn *in = &t->insn;

	if (translate_move_esp(t))
		return;
	switch (in->action) {
	case ACT_COPY:
		if (odd_cannot_copy(t->cpu, in, t->e.exact))
			translate_emulate(t);
		else
			emit_copy(&t->e, t->cpu, in, t->bytes);
		break;
	case ACT_RDTSC:
		if (t->cpu->system.cr4 & CR4_TSD)
			translate_emulate(t);
		else
			emit16(&t->e, 0x310f);
		break;
	case ACT_INCDEC:
		translate_incdec(t);
		break;
	case ACT_LEA:
		if (lea_is_simple(in))
			translate_simple_lea(t);
		else
			translate_lea(t);
		break;
	case ACT_MOFFS:
		translate_moffs(t);
		break;
	case ACT_XLAT:
		translate_xlat(t);
		break;
	case ACT_STRING:
		translate_string(t);
		break;
	case ACT_PUSH_REG: case ACT_POP_REG: case ACT_PUSH_IMM: case ACT_PUSH_MEM: case ACT_POP_MEM: case ACT_PUSHA: case ACT_POPA:
	case ACT_ENTER: case ACT_LEAVE: case ACT_PUSH_SEG:
		translate_stack(t);
		break;
	case ACT_MOV_FROM_SEG: case ACT_MOV_TO_SEG: case ACT_POP_SEG:
		translate_segment(t);
		break;
	case ACT_CLI: case ACT_STI: case ACT_PUSHF: case ACT_POPF: case ACT_PRIVILEGED:
		translate_system(t);
		break;
	case ACT_JCC: case ACT_JMP: case ACT_CALL: case ACT_LOOP: case ACT_JMP_IND: case ACT_CALL_IND: case ACT_RET:
		translate_flow(t);
		break;
	default:
		translate_emulate(t);
		break;
	}
}

/* --- string instructions ---------------------------------------------------------------------------------------------- */

enum { STRING_MOVS = 0xa4, STRING_CMPS = 0xa6, STRING_STOS = 0xaa, STRING_LODS = 0xac, STRING_SCAS = 0xae };

/* Single-stepped, a repeated instruction traps after each iteration: C runs them one by one. */
static bool steps_iterations(const struct translation *t)
{
	return t->apart && t->cpu->system_flags & FLAG_TF && t->insn.prefix & (PFX_REP | PFX_REPNE);
}

/*
 * ES:EDI takes no segment override, so ESI and EDI become host addresses for the length of the instruction: it runs at native
 * speed, REP and all. Windows are aligned to 4 GiB: cutting a register to 32 bits gives the guest's value back, and fault.c does
 * just that with every register. Whichever way the direction flag points, elements are smaller than the guard around a window.
 */
void translate_string(struct translation *t)
{
	const struct insn *in = &t->insn;
	struct emit *e = &t->e;
	unsigned kind = in->op & 0xfe;
	bool si = kind == STRING_MOVS || kind == STRING_CMPS || kind == STRING_LODS;
	bool di = kind != STRING_LODS;

	if (in->adsize != 4 || t->cpu->segmented || (si && !address_is_flat(t->cpu, in->seg)) || steps_iterations(t)) {
		translate_emulate(t);
		return;
	}
	emit_load_field64(e, H_R8, CPU_WINDOW);
	if (si) {		/* lea rsi, [rsi + r8] */
		emit32(e, 0x06348d4a);
	}
	if (di) {		/* lea rdi, [rdi + r8] */
		emit32(e, 0x073c8d4a);
	}
	if (in->prefix & PFX_OPSIZE)
		emit8(e, 0x66);
	if (in->prefix & PFX_REP)
		emit8(e, 0xf3);
	if (in->prefix & PFX_REPNE)
		emit8(e, 0xf2);
	emit8(e, in->op);
	if (si)
		emit_mov32(e, R_ESI, R_ESI);
	if (di)
		emit_mov32(e, R_EDI, R_EDI);
}

/* --- the block ---------------------------------------------------------------------------------------------------------- */

void translate_chain(struct translation *t, uint8_t opcode, uint32_t target)
{
	emit8(&t->e, opcode);
	t->exits[t->exit_count].site = t->e.p;
	t->exits[t->exit_count].esp = t->esp;
	t->exits[t->exit_count++].target = target;
	emit32(&t->e, 0);
}

/* Behind the block's code: for each direct jump the way out that it takes while it is not chained. */
static void emit_exits(struct translation *t)
{
	struct code_cache *cache = t->cpu->cache;

	for (unsigned i = 0; i < t->exit_count; i++) {
		uint32_t number = cache->link_count++;
		uint8_t *site = t->exits[i].site;

		cache->links[number] = (struct link){
			.block = block_index(cache, t->block),
			.site = cache->exec + (uint32_t)(site - cache->write),
			.stub = (uint16_t)(t->e.p - site),
			.target = t->exits[i].target,
			.depth = (uint8_t)(-t->exits[i].esp / 4),
			.to = BLOCK_NONE,
			.next = LINK_NONE,
		};
		put_unaligned32(site, (uint32_t)(t->e.p - (site + 4)));
		t->esp = t->exits[i].esp;
		translate_leave_esp(t);
		emit_mov_imm(&t->e, H_R9, number);
		emit_jmp_field(&t->e, CPU_EXITS + 8 * REASON_CHAIN);
	}
	t->block->link_count = (uint8_t)t->exit_count;
}

/*
 * Decode the instruction at t->eip. One that runs into the next page gets a block of its own, so that a block depends on the
 * mapping of two pages only if it is a single instruction: FETCH_END unless it is the block's first.
 */
enum fetched { FETCH_OK, FETCH_END, FETCH_FAULT };

/* Guest RAM is read once: a device may be writing to it. What is decoded, emitted and remembered is this copy. */
static void copy_code(struct translation *t, uint32_t physical, uint32_t from, uint32_t to)
{
	const volatile uint8_t *code = t->cpu->ram.base + physical;

	for (uint32_t i = from; i < to; i++)
		t->bytes[i] = code[i - from];
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static enum fetched fetch(struct translation *t, uint32_t physical, bool first, struct cpu_fault *fault)
{
	uint32_t left = PAGE_SIZE - (physical & PAGE_MASK), most = least(code_left(t->cpu, t->eip), LONGEST_INSN);
	uint32_t next;
	int result;

	t->bytes = t->source + (t->eip - t->block->eip);
	copy_code(t, physical, 0, least(left, 16));
	result = decode_code(t->bytes, least(left, most), t->cpu->code16, &t->insn);
	if (result == DECODE_OK)
		return FETCH_OK;
	if (!first)
		return FETCH_END;
	if (result == DECODE_MORE && left < most) {
		if (mmu_fetch(t->cpu, code_address(t->cpu, t->cpu->eip) + left, &next, NULL, fault))	/* it is the first */
			return FETCH_FAULT;
		copy_code(t, next, left, 16);
		result = decode_code(t->bytes, most, t->cpu->code16, &t->insn);
		t->block->second = next >> PAGE_SHIFT;
	}
	if (result == DECODE_OK)
		return FETCH_OK;
	*fault = (struct cpu_fault){ .vector = TRAP_GP };	/* over 15 bytes, or over the end of CS */
	return FETCH_FAULT;
}

/* Where the instructions are, for the block's lifetime. */
static void keep_points(struct translation *t, const struct point *points, unsigned count)
{
	uint8_t packed[MAX_INSNS * POINT_MAX], *note;
	struct point none = {0};
	unsigned size = 0;

	for (unsigned i = 0; i < count; i++)
		size += point_pack(packed + size, i ? &points[i - 1] : &none, &points[i]);
	note = block_note(t->cpu, size);
	for (unsigned i = 0; i < size; i++)
		note[i] = packed[i];
	t->block->points = (uint32_t)(note - t->cpu->cache->notes);
	t->block->points_size = (uint16_t)size;
}

static void finish(struct translation *t, const struct point *points, unsigned count)
{
	struct code_cache *cache = t->cpu->cache;
	struct block *b = t->block;

	emit_exits(t);
	b->host_len = (uint16_t)(t->e.p - cache_write_at(cache, b->host));
	cache->used += (b->host_len + BLOCK_ALIGN - 1u) & ~(BLOCK_ALIGN - 1u);
	b->guest_len = (uint16_t)(t->eip - b->eip);
	keep_points(t, points, count);
	if (t->cpu->inspect)
		t->cpu->inspect(t->cpu->opaque, cache_write_at(cache, b->host), b->host_len, b->host, b->eip);
}

/* A page that is both code and hot data: remember what the bytes were. */
static void keep_source(struct translation *t)
{
	uint8_t *source = block_note(t->cpu, t->block->guest_len);

	for (uint32_t i = 0; i < t->block->guest_len; i++)
		source[i] = t->source[i];
	t->block->source = (uint32_t)(source - t->cpu->cache->notes);
}

static bool writes_memory(const struct insn *in)
{
	switch (in->action) {
	case ACT_COPY: case ACT_MOFFS: case ACT_STRING: case ACT_MOV_FROM_SEG:
		return in->flags & (INSN_WRITES_RM | INSN_IMPLICIT_DI) || in->action != ACT_COPY;
	case ACT_PUSH_REG: case ACT_PUSH_IMM: case ACT_PUSH_MEM: case ACT_POP_MEM: case ACT_PUSHA: case ACT_ENTER: case ACT_PUSH_SEG:
		return true;
	default:
		return false;
	}
}

/* BLOCK_PROLOGUE bytes. */
static void emit_prologue(struct translation *t)
{
	emit8(&t->e, BLOCK_PROLOGUE_FIRST), emit8(&t->e, 0x8d), emit8(&t->e, 0x80);	/* lea r8d, [r8 - eip] */
	emit32(&t->e, 0u - t->eip);
	emit8(&t->e, 0x45), emit8(&t->e, 0x89), emit8(&t->e, 0x87);			/* mov [r15 + slide], r8d */
	emit32(&t->e, CPU_SLIDE);
}

void translate_slid(struct translation *t, unsigned reg, uint32_t eip)
{
	if (t->block->flags & BLOCK_COLD) {
		emit_load_field(&t->e, reg, CPU_SLIDE);
		emit_lea(&t->e, reg, reg, (int32_t)eip);
	} else {
		emit_mov_imm(&t->e, reg, eip);
	}
}

struct block *translate(struct cpu *cpu, uint32_t physical, unsigned depth, unsigned flags, struct cpu_fault *fault)
{
	struct point points[MAX_INSNS];
	uint8_t source[MAX_INSNS * 15 + 16];
	struct translation t = { .cpu = cpu, .source = source, .apart = flags & TRANSLATE_APART };
	unsigned count = 0, limit = t.apart ? 1 : MAX_INSNS;
	uint32_t at = physical;
	bool checked, soft;

	block_room(cpu);
	t.block = block_new(cpu);
	t.block->flags = t.apart ? block_key(cpu) & ~BLOCK_COLD : block_key(cpu);
	t.block->eip = t.eip = t.block->flags & BLOCK_COLD ? physical : cpu->eip;
	t.block->physical = physical;
	t.block->depth = (uint8_t)depth;
	t.esp = -4 * (int32_t)depth;
	t.e.p = cache_write_at(cpu->cache, t.block->host);
	t.e.by_register = cpu->reach->by_register;
	t.e.exact = t.apart || cpu->frames[physical >> PAGE_SHIFT].exact;
	if (t.e.exact)
		t.block->flags |= BLOCK_EXACT;
	checked = cpu->frames[physical >> PAGE_SHIFT].mixed;
	if (t.block->flags & BLOCK_COLD)
		emit_prologue(&t);
	while (!t.done) {
		enum fetched fetched = FETCH_END;

		if (count < limit && t.exit_count < MAX_EXITS && (at ^ physical) < PAGE_SIZE &&
		    t.e.p - cache_write_at(cpu->cache, t.block->host) < MAX_HOST)
			fetched = fetch(&t, at, !count, fault);
		if (fetched == FETCH_FAULT) {
			cpu->cache->block_count--;
			return NULL;
		}
		if (fetched == FETCH_END) {
			translate_go(&t, t.eip);
			break;
		}
		soft = translate_is_checked(&t, at);
		if (soft)
			translate_settle_esp(&t);
		translate_begin_esp(&t);
		points[count++] = (struct point){
			.guest = (uint16_t)(t.eip - t.block->eip),
			.host = (uint16_t)(t.e.p - cache_write_at(cpu->cache, t.block->host)),
			.esp = (int16_t)t.esp,
		};
		t.last = count >= limit || t.block->second || PAGE_SIZE - (at & PAGE_MASK) < 2 * LONGEST_INSN;
		if (t.insn.flags & (INSN_FPU | INSN_SSE) && t.insn.action != ACT_UD)
			translate_fpu_check(&t);
		if (soft)
			translate_soft(&t);
		else
			translate_one(&t);
		t.eip += t.insn.len;
		at += t.insn.len;
		if (!t.done && (t.block->second || (checked && writes_memory(&t.insn))))
			translate_go(&t, t.eip);
	}
	if (t.block->second && cpu->frames[t.block->second].mixed)
		checked = true;
	finish(&t, points, count);
	if (t.apart) {
		t.block->flags |= BLOCK_DEAD;
		return t.block;
	}
	if (checked) {
		t.block->flags |= BLOCK_CHECKED;
		keep_source(&t);
	}
	block_insert(cpu, t.block);
	return t.block;
}

/*
 * What is overwritten, up to the block's exits, can only be reached through here. There is room: behind the instruction's own
 * code stands at least one way out of the block, and the shortest, a jump and its exit, is longer than this. (Either both
 * set ESP, or the instruction itself does.)
 */
void translate_end_early(struct cpu *cpu, const struct block *block, const struct point *point)
{
	struct emit e = { .p = cache_write_at(cpu->cache, block->host + point->host) };

	if (point->esp)
		emit_lea(&e, R_ESP, R_ESP, point->esp);
	emit_mov_imm(&e, H_R8, block->eip + point->guest);
	emit_jmp_field(&e, CPU_EXITS + 8 * REASON_NEXT);
}
