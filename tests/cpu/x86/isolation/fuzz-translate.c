/* SPDX-License-Identifier: MIT */
/*
 * fuzz-translate.c - guest code of anybody's making is translated, not run. The first byte of the input says in which mode, the rest
 * is the code. One program per kind of guest and of host: SYSTEM is whether the guest has privileged state of its own, BLIND
 * whether the host's signal frames say neither which exception it was nor why. See tests/virtio/fuzz.h.
 *
 * What must hold: the translator comes to an end within the bytes that are there, and the checker lets every block run. And trap.c,
 * which on a host with blind frames has only the instruction to go by, says of each access to guest memory what Zydis says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "guest.h"
#include "tests/virtio/fuzz.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/space/probe.h"
#include "cpu/x86/trap.h"

enum { LONGEST = 512, RET = 0xc3 };

enum { USER = 1, SEGMENTED = 2, MIXED = 4, APART = 8, CHECKED = 16, EXACT = 32, ACROSS = 64, LAST = 128 };

static struct guest *g;

static void end(void)
{
	guest_destroy(g);
}

static void create(void)
{
	setenv("KENNEL_HOST", BLIND ? "frames=blind" : "", 1);
	g = guest_create(4 << 20, SYSTEM);
	guest_note_faults(g);
	atexit(end);
}

/* --- what a fault would be taken for ------------------------------------------------------------------------------------- */

static bool is_guests(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
	       (op->mem.segment == ZYDIS_REGISTER_GS || op->mem.base == ZYDIS_REGISTER_R13 || op->mem.index == ZYDIS_REGISTER_R13 ||
		op->mem.base == ZYDIS_REGISTER_RSI || op->mem.base == ZYDIS_REGISTER_RDI);
}

/* Where memory is read and written the fault is a write, as the processor has it. Guest memory at RSI and RDI is far apart. */
static void ask(uint32_t host, const ZydisDecodedOperand *op)
{
	greg_t regs[NGREG] = { [REG_RIP] = host, [REG_RSI] = 0x100000, [REG_RDI] = 0x200000 };
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SEGV_MAPERR };
	bool written = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	struct trap trap;

	info.si_addr = (void *)(op->mem.base == ZYDIS_REGISTER_RSI ? regs[REG_RSI] : regs[REG_RDI]);
	trap = trap_read(g->cpu, SIGSEGV, &info, regs);
	if (trap.vector != TRAP_PF || trap.write != written) {
		fprintf(stderr, "an access at %08x that is a %s is taken for a %s\n", host, written ? "write" : "read",
			trap.write ? "write" : "read");
		abort();
	}
}

static void ask_of_all(const struct block *block)
{
	const uint8_t *code = cache_write_at(g->cpu->cache, block->host);
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint32_t at = 0; at < block->host_len; at += in.length) {
		if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, code + at, block->host_len - at, &in, op)))
			return;
		for (unsigned i = 0; i < in.operand_count; i++)
			if (is_guests(&op[i]))
				ask(block->host + at, &op[i]);
	}
}

/* --- the guest ------------------------------------------------------------------------------------------------------------- */

static void enter_mode(uint8_t how)
{
	guest_mode(g, how & USER, how & SEGMENTED);
	guest_mix(g, how & MIXED);
	guest_check_accesses(g, how & CHECKED);
	guest_wrap(g, how & EXACT);
}

static void translate_at(uint32_t eip, bool apart, uint32_t *len)
{
	const struct code_cache *cache = g->cpu->cache;

	*len = guest_translate(g, eip, apart);
	if (g->refused)
		abort();
	if (*len && probe_host()->blind_frames)
		ask_of_all(&cache->blocks[cache->block_count - 1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = fuzz_u8(&in);
	uint32_t code = how & USER ? USER_CODE : KERNEL_CODE, len, at;

	if (!g)
		create();
	if (in.left > LONGEST)
		in.left = LONGEST;
	/* At the beginning of a page, across its end, or up to where nothing more is mapped. */
	at = how & LAST ? GUEST_CODE_SIZE - (uint32_t)in.left : how & ACROSS ? 4096 - (uint32_t)in.left / 2 : 0;
	memset(g->code, RET, GUEST_CODE_SIZE);
	memcpy(g->code + at, in.data, in.left);
	enter_mode(how);
	for (uint32_t end = at + (uint32_t)in.left; at < end; at += len ? len : 1)
		translate_at(code + at, how & APART, &len);
	guest_forget(g);
	return 0;
}
