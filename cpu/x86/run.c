/* SPDX-License-Identifier: MIT */
/*
 * run.c - the processor's loop: find the block for EIP, run it, see why it came back.
 */
#include <sched.h>

#include "cpu/x86/state.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/cache/jump.h"
#include "cpu/x86/emulate/emulate.h"
#include "cpu/x86/emulate/fpu.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/space/void.h"
#include "cpu/x86/space/window.h"
#include "cpu/x86/system/deliver.h"
#include "cpu/x86/system/ring.h"
#include "cpu/x86/system/system.h"
#include "cpu/x86/translate/odd.h"
#include "cpu/x86/translate/translate.h"

/* --- finding ---------------------------------------------------------------------------------------------------------------- */

static struct jump_table *jump_table(const struct cpu *cpu)
{
	return cpu->user ? cpu->user_tables[cpu->slot->number] : cpu->kernel_table;
}

/*
 * What is in a jump table holds for everyone who looks there. So segments that are not flat have no table; nor have rings 1 and 2
 * of a guest with a ring 0 of its own, whose table has blocks that only ring 0 may run.
 */
static bool has_table(const struct cpu *cpu)
{
	return !cpu->segmented && !(cpu->system_mode && (cpu->cpl == 1 || cpu->cpl == 2));
}

static void raise_fault(struct cpu *cpu, const struct cpu_fault *fault)
{
	cpu->exit = (struct cpu_exit){ .kind = EXIT_FAULT, .vector = fault->vector, .error = fault->error,
				       .address = fault->address, .eip = cpu->eip };
}

/* Where the code at EIP is in memory. */
static int fetch_eip(struct cpu *cpu, uint32_t *physical, bool *known, struct cpu_fault *fault)
{
	if (!code_left(cpu, cpu->eip)) {
		*fault = (struct cpu_fault){ .vector = TRAP_GP };
		return TRAP_GP;
	}
	return mmu_fetch(cpu, code_address(cpu, cpu->eip), physical, known, fault);
}

static bool usable(struct cpu *cpu, struct block *block)
{
	struct cpu_fault fault;
	uint32_t physical;

	if (block->guest_len > code_left(cpu, cpu->eip)) {	/* CS ends before the block does */
		block_drop(cpu, block);
		return false;
	}
	if (block->second) {
		if (mmu_fetch(cpu, (code_address(cpu, cpu->eip) | PAGE_MASK) + 1, &physical, NULL, &fault))
			return false;
		if (physical >> PAGE_SHIFT != block->second) {	/* the same bytes run into another page here */
			block_drop_frame(cpu, block->physical >> PAGE_SHIFT);
			return false;
		}
	}
	return !(block->flags & BLOCK_CHECKED) || block_intact(cpu, block);
}

/*
 * A process has come to a page of code that others have run: what is translated of it will be wanted. Blocks that run into
 * another page, or are not for jump tables at all, are left to find_block().
 */
static void enter_page(struct cpu *cpu, uint32_t physical)
{
	uint32_t eip = block_eip(cpu, cpu->eip, physical);

	for (uint32_t at = block_view(cpu, cpu->eip, physical); at != BLOCK_NONE; at = cpu->cache->blocks[at].view_next) {
		const struct block *b = &cpu->cache->blocks[at];

		if ((b->eip ^ eip) < PAGE_SIZE && (b->physical ^ physical) < PAGE_SIZE && !b->second &&
		    (b->flags & (BLOCK_CHECKED | BLOCK_KEY)) == block_key(cpu))
			jump_enter(jump_table(cpu), (cpu->eip & ~PAGE_MASK) | (b->eip & PAGE_MASK), b->depth, b->host);
	}
}

/* The block at EIP, translated if need be; NULL: cpu->exit says why there is none. */
static struct block *find_block(struct cpu *cpu)
{
	struct cpu_fault fault;
	struct block *block;
	uint32_t physical;
	bool known;

	if (fetch_eip(cpu, &physical, &known, &fault)) {
		raise_fault(cpu, &fault);
		cpu->fault_page = ~0u;		/* code is read through the tables: its page need not be in a window */
		return NULL;
	}
	if (!known && has_table(cpu))
		enter_page(cpu, physical);
	block = block_find(cpu, cpu->eip, physical, cpu->depth);
	if (!block || !usable(cpu, block)) {
		block = translate(cpu, physical, cpu->depth, 0, &fault);
		if (!block) {
			raise_fault(cpu, &fault);
			return NULL;
		}
	}
	if (block->flags & BLOCK_CHECKED || !has_table(cpu))
		return block;
	jump_enter(jump_table(cpu), cpu->eip, cpu->depth, block->host);
	if (!cpu->user && cpu->eip < cpu->kernel_base)
		cpu->kernel_table_low = true;
	return block;
}

/* Is what a jump table had for cold code a block that has been dropped? (block.h) */
static bool barred(const struct cpu *cpu, uint32_t host)
{
	return runs_cold(cpu) && *cache_write_at(cpu->cache, host) != BLOCK_PROLOGUE_FIRST;
}

/* Where EIP's code is on the host, or 0. */
static uint32_t find_host(struct cpu *cpu)
{
	uint32_t host = has_table(cpu) ? jump_lookup(jump_table(cpu), cpu->eip, cpu->depth) : 0;
	struct block *block;

	if (host && !barred(cpu, host))
		return host;
	cpu->stats.misses++;
	block = find_block(cpu);
	return block ? block->host : 0;
}

/* --- running ---------------------------------------------------------------------------------------------------------------- */

/* Run a block of depth cpu->depth. In struct cpu ESP is always the guest's. */
static uint32_t enter(struct cpu *cpu, uint32_t host, struct jump_table *table)
{
	uint32_t below = 4 * cpu->depth, reason;

	cpu->target = host;
	cpu->table = table;
	window_enter(cpu);
	cpu->stats.exits++;
	cpu->gpr[R_ESP] += below;
	cpu->slide = 0;
	reason = glue_enter(cpu);
	if (reason == REASON_KICK)
		cpu->gpr[R_ESP] -= below;
	if (reason == REASON_EMULATE || reason == REASON_NM || reason == REASON_SOFT)	/* EIP is one of a block's own */
		cpu->eip += cpu->slide;
	return reason;
}

/* May a direct jump from one block to another skip C from now on? */
static bool may_chain(const struct cpu *cpu, const struct block *from, const struct block *to)
{
	if ((from->flags | to->flags) & (BLOCK_CHECKED | BLOCK_DEAD | BLOCK_SEGMENTED) || (from->flags ^ to->flags) & BLOCK_COLD)
		return false;
	return !to->second || to->eip >= cpu->kernel_base;
}

/* A direct jump came to C because it is not chained: find its target, chain it. */
static uint32_t follow_link(struct cpu *cpu, uint32_t number)
{
	uint64_t generation = cpu->cache->generation;
	struct link *link = &cpu->cache->links[number];
	struct block *to, *from = &cpu->cache->blocks[link->block];

	cpu->eip = link->target + cpu->slide;
	cpu->depth = link->depth;
	to = find_block(cpu);
	if (!to)
		return 0;
	if (generation == cpu->cache->generation && link->to == BLOCK_NONE && may_chain(cpu, from, to))
		block_chain(cpu, link, to);
	return to->host;
}

/* --- instructions that C runs ----------------------------------------------------------------------------------------------- */

typedef bool runner(struct cpu *cpu, const struct insn *insn);

static bool run_iret(struct cpu *cpu, const struct insn *insn)
{
	return ring_iret(cpu, insn) || emulate(cpu, insn, &cpu->exit);
}

static bool run_string(struct cpu *cpu, const struct insn *insn)
{
	struct cpu_fault fault;
	int result = cpu->system_flags & FLAG_TF ? 0 : soft_string(cpu, insn, &fault);

	if (!result)
		return emulate(cpu, insn, &cpu->exit);
	if (result < 0)
		raise_fault(cpu, &fault);
	return result > 0;
}

static bool run_odd(struct cpu *cpu, const struct insn *insn)
{
	struct cpu_fault fault;
	bool ran = odd_run(cpu, insn, &fault);

	if (!ran)
		raise_fault(cpu, &fault);
	return ran;
}

static bool run_fpu_environment(struct cpu *cpu, const struct insn *insn)
{
	return fpu_store_environment(cpu, insn, &cpu->exit);
}

/* Those that emulate() cannot run, or not as fast. */
static runner *const runners[ACT_COUNT] = {
	[ACT_COPY] = run_odd,
	[ACT_STRING] = run_string,
	[ACT_IRET] = run_iret,
	[ACT_FPU_ENV] = run_fpu_environment,
};

static bool run_emulated(struct cpu *cpu, const struct insn *insn)
{
	runner *run = runners[insn->action];

	cpu->stats.emulated++;
	return run ? run(cpu, insn) : emulate(cpu, insn, &cpu->exit);
}

static const struct insn *noted_insn(struct cpu *cpu)
{
	return (const struct insn *)(cpu->cache->notes + cpu->arg);
}

static bool raise_vector(struct cpu *cpu, uint32_t vector)
{
	const struct cpu_fault fault = { .vector = vector };

	raise_fault(cpu, &fault);
	return false;
}

/* --- one instruction, apart ------------------------------------------------------------------------------------------------- */

/* Room taken by a block that will not be found again is given back. */
struct cache_mark {
	uint64_t generation;
	uint32_t used, blocks, links, notes;
};

static struct cache_mark mark_cache(struct cpu *cpu)
{
	const struct code_cache *c = cpu->cache;

	block_room(cpu);
	return (struct cache_mark){ c->generation, c->used, c->block_count, c->link_count, c->notes_used };
}

static void back_to_mark(struct cpu *cpu, const struct cache_mark *mark)
{
	struct code_cache *c = cpu->cache;

	if (c->generation != mark->generation)
		return;
	c->used = mark->used;
	c->block_count = mark->blocks;
	c->link_count = mark->links;
	c->notes_used = mark->notes;
}

static bool run_in_void(struct cpu *cpu);

/* Did it run, so that EIP is at the next one? false: cpu->exit is filled. */
static bool after_apart(struct cpu *cpu, uint32_t reason)
{
	switch (reason) {
	case REASON_CHAIN:
		cpu->eip = cpu->cache->links[cpu->arg].target;
		return true;
	case REASON_EMULATE:
		cpu->insn = *noted_insn(cpu);
		return run_emulated(cpu, &cpu->insn);
	case REASON_NM:
		return raise_vector(cpu, TRAP_NM);
	case REASON_VOID:
		return run_in_void(cpu);
	case REASON_FAULT:
		return false;
	default:
		return true;
	}
}

/*
 * Run the instruction at EIP in a block of its own that nothing else can reach: single-stepped, or with an operand that a checked
 * access cannot do.
 */
static bool run_apart(struct cpu *cpu)
{
	struct cache_mark mark = mark_cache(cpu);
	struct cpu_fault fault;
	struct block *block;
	uint32_t physical;
	bool ran;

	if (fetch_eip(cpu, &physical, NULL, &fault)) {
		raise_fault(cpu, &fault);
		return false;
	}
	cpu->depth = 0;
	block = translate(cpu, physical, 0, TRANSLATE_APART, &fault);
	if (!block) {
		raise_fault(cpu, &fault);
		return false;
	}
	ran = after_apart(cpu, enter(cpu, block->host, cpu->miss_table));
	back_to_mark(cpu, &mark);
	return ran;
}

/* The instruction at EIP writes where there is no memory. */
static bool run_in_void(struct cpu *cpu)
{
	bool ran;

	void_open(cpu);
	ran = run_apart(cpu);
	void_close(cpu);
	return ran;
}

/* MOV and POP to SS hold the trap back until the next instruction has set ESP as well. (run_apart() leaves emulated ones in cpu->insn.) */
static bool loaded_stack_segment(const struct cpu *cpu)
{
	return cpu->insn.reg == S_SS && (cpu->insn.action == ACT_MOV_TO_SEG || cpu->insn.action == ACT_POP_SEG);
}

/* TF: a #DB after each instruction. A repeated string instruction counts each iteration as one. */
static void single_step(struct cpu *cpu)
{
	uint32_t eip = cpu->eip;

	cpu->insn.action = ACT_COPY;
	if (!run_apart(cpu) || loaded_stack_segment(cpu))
		return;
	cpu->system.dr[6] |= DR6_STEP;
	cpu->exit = (struct cpu_exit){ .kind = EXIT_FAULT, .vector = TRAP_DB, .eip = eip };
}

/* A checked access missed. */
static void run_checked(struct cpu *cpu)
{
	struct cpu_fault fault;

	switch (soft_miss(cpu, cpu->arg, cpu->soft_kind, &fault)) {
	case SOFT_DONE:
		break;
	case SOFT_NEW:
		soft_note_saved(cpu);
		break;
	case SOFT_APART:
		run_apart(cpu);
		break;
	case SOFT_FAULT:
		soft_note_saved(cpu);
		cpu->fault_page = ~0u;	/* nobody waits for a window there */
		cpu->stats.guest_faults++;
		raise_fault(cpu, &fault);
		break;
	}
}

/* --- the loop --------------------------------------------------------------------------------------------------------------- */

static void take_outside(struct cpu *cpu)
{
	uint32_t count;

	if (!atomic_load_explicit(&cpu->outside_count, memory_order_acquire))
		return;
	while (atomic_exchange_explicit(&cpu->outside_lock, 1, memory_order_acquire))
		sched_yield();
	count = cpu->outside_count;
	if (count > sizeof(cpu->outside) / sizeof(cpu->outside[0]))
		block_flush(cpu);
	else
		for (uint32_t i = 0; i < count; i++)
			block_drop_frame(cpu, cpu->outside[i]);
	atomic_store_explicit(&cpu->outside_count, 0, memory_order_relaxed);
	atomic_store_explicit(&cpu->outside_lock, 0, memory_order_release);
}

void cpu_dirty(struct cpu *cpu, uint32_t physical, uint32_t len)
{
	uint32_t last = (uint32_t)(((uint64_t)physical + len + PAGE_MASK) >> PAGE_SHIFT);
	bool found = false;

	for (uint32_t frame = physical >> PAGE_SHIFT; len && frame < last && frame < cpu->ram.pages; frame++) {
		if (!cpu->frames[frame].code)
			continue;
		while (atomic_exchange_explicit(&cpu->outside_lock, 1, memory_order_acquire))
			sched_yield();
		if (cpu->outside_count < sizeof(cpu->outside) / sizeof(cpu->outside[0]))
			cpu->outside[cpu->outside_count] = frame;
		if (cpu->outside_count <= sizeof(cpu->outside) / sizeof(cpu->outside[0]))
			cpu->outside_count++;
		atomic_store_explicit(&cpu->outside_lock, 0, memory_order_release);
		found = true;
	}
	if (found)
		cpu_kick(cpu);
}

/* Must the machine be asked before the guest runs on? */
static bool interrupted(struct cpu *cpu)
{
	if (!atomic_load_explicit(&cpu->kick, memory_order_relaxed) &&
	    !(cpu->irq_pending && !cpu->system_mode && cpu->ops->interruptible(cpu->opaque)))
		return false;
	atomic_store_explicit(&cpu->kick, 0, memory_order_seq_cst);
	take_outside(cpu);
	cpu->exit = (struct cpu_exit){ .kind = EXIT_KICK, .eip = cpu->eip };
	return true;
}

/* The block has come back. Returns where to go on on the host; 0: look at EIP again, or leave if cpu->exit is filled. */
static uint32_t dispatch(struct cpu *cpu, uint32_t reason)
{
	cpu->depth = 0;
	switch (reason) {
	case REASON_CHAIN:
		return follow_link(cpu, cpu->arg);
	case REASON_INDIRECT:
		cpu->depth = cpu->arg;
		return 0;
	case REASON_EMULATE:
		run_emulated(cpu, noted_insn(cpu));
		return 0;
	case REASON_NM:
		raise_vector(cpu, TRAP_NM);
		return 0;
	case REASON_SOFT:
		run_checked(cpu);
		return 0;
	case REASON_VOID:
		run_in_void(cpu);
		return 0;
	case REASON_APART:
		run_apart(cpu);
		return 0;
	default:
		return 0;
	}
}

/* IF is set and somebody waits for that. Behind STI or a load of SS one more instruction comes first. */
static void take_interrupt(struct cpu *cpu)
{
	if (cpu->shadow) {
		cpu->shadow = false;
		run_apart(cpu);
	} else {
		deliver_interrupt(cpu);
	}
}

/* Run until C is needed. @host: where, or 0 if EIP is all we know. Returns the same. */
static uint32_t run_on(struct cpu *cpu, uint32_t host)
{
	bool look = !has_table(cpu) || (cpu->irq_pending && !cpu->system_mode);

	if (!host)
		host = find_host(cpu);
	if (host)
		return dispatch(cpu, enter(cpu, host, look ? cpu->miss_table : jump_table(cpu)));
	cpu->depth = 0;
	return 0;
}

const struct cpu_exit *cpu_run(struct cpu *cpu)
{
	uint32_t host = 0;
	bool cold;

	cpu->exit.kind = EXIT_NONE;
	while ((cpu->exit.kind == EXIT_NONE || (cpu->system_mode && deliver_exit(cpu))) && !interrupted(cpu)) {
		cold = runs_cold(cpu);
		window_settle(cpu);
		if (cold != runs_cold(cpu))	/* the way on was found for the other kind of block */
			host = 0;
		if (cpu->system_mode && cpu->irq_pending && cpu->interrupt_flag) {
			take_interrupt(cpu);
			host = cpu->depth = 0;
			continue;
		}
		cpu->shadow = false;
		if (cpu->system_flags & FLAG_TF)
			single_step(cpu);
		else
			host = run_on(cpu, host);
	}
	cpu->depth = 0;
	return &cpu->exit;
}
