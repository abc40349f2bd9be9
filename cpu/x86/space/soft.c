/* SPDX-License-Identifier: MIT */
/* soft.c - checked accesses: their TLB, and which instructions they are worth it for. See soft.h. */
#include <sys/mman.h>

#include "cpu/x86/space/soft.h"

#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/fill.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/slot.h"

enum { SETS = 512, WAYS = 4, PATIENCE_STEP = 3, MOST_PATIENCE = 9, HOLD = 16 };
enum { NO_TAG = 1 };

/*
 * What it takes C to look a page up, for a string instruction that is checked or for an access that missed; such a miss counts for two, since it
 * leaves translated code for nothing else, and one in MISSES stands for all.
 */
enum { STRING_PAGES = 32, LOOKED_UP_NS = 86, LOOKED_UP_SPAN = 8192, MISSES = 16 };

/* Somebody who is met checked at a kick, of which there are some 250 a second while the guest runs, has lost about so much. */
enum { MET_NS = 2000000, MOST_MET = 250 };

/* An instruction that has met missing pages. They are kept in sets of WAYS. */
struct soft_insn {
	uint32_t physical;
	uint32_t faults;	/* since it was entered, or since it was last met */
	uint32_t pages;		/* that C has looked up for it, in the same time */
	uint8_t checked;
	uint8_t patience;	/* threshold is cost.check_after << this */
	uint8_t met;
	uint8_t hold;		/* newcomers that it stays in spite of, while checked */
};

int soft_create(struct cpu *cpu)
{
	cpu->soft_insns = mmap(NULL, SETS * WAYS * sizeof(struct soft_insn), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cpu->soft_insns == MAP_FAILED)
		cpu->soft_insns = NULL;
	for (unsigned i = 0; i < SOFT_ENTRIES; i++)
		cpu->soft[i] = cpu->soft_ring0[i] = (struct soft_entry){ .read = NO_TAG, .write = NO_TAG };
	return cpu->soft_insns ? 0 : -1;
}

void soft_destroy(struct cpu *cpu)
{
	if (cpu->soft_insns)
		munmap(cpu->soft_insns, SETS * WAYS * sizeof(struct soft_insn));
}

/* The addend stays: a check reads it after the tag, and never with anything in between, but it need not rest on that. */
static void flush(struct soft_entry *entries, struct soft_log *log)
{
	for (unsigned i = 0; i < log->count; i++)
		entries[log->index[i]].read = entries[log->index[i]].write = NO_TAG;
	log->count = 0;
}

void soft_flush_entries(struct cpu *cpu)
{
	flush(cpu->soft, &cpu->soft_log[0]);
	flush(cpu->soft_ring0, &cpu->soft_log[1]);
}

static struct soft_insn *set_of(struct cpu *cpu, uint32_t physical)
{
	return &cpu->soft_insns[(physical ^ physical >> 11) % SETS * WAYS];
}

static struct soft_insn *find(struct cpu *cpu, uint32_t physical)
{
	struct soft_insn *set = set_of(cpu, physical);

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].physical == physical)
			return &set[i];
	return NULL;
}

/* Who is to go first: of those that are not checked, the one with the fewest faults; else the one that has saved none for longest. */
static bool goes_before(const struct soft_insn *a, const struct soft_insn *b)
{
	if (a->checked != b->checked)
		return !a->checked;
	return a->checked ? a->hold < b->hold : a->faults < b->faults;
}

/*
 * A place for a newcomer; or NULL. One that goes on saving faults keeps its place, one whose program has ended does not: what a program
 * leaves behind would make another's loop over fresh pages take a signal for each of them.
 */
static struct soft_insn *make_room(struct cpu *cpu, uint32_t physical)
{
	struct soft_insn *set = set_of(cpu, physical), *last = set;

	for (unsigned i = 1; i < WAYS; i++)
		if (goes_before(&set[i], last))
			last = &set[i];
	if (last->checked && --last->hold)
		return NULL;
	if (last->checked)
		cpu->frame_owner->drop_at(cpu, last->physical);
	*last = (struct soft_insn){ .physical = physical };
	return last;
}

bool soft_is_checked(struct cpu *cpu, uint32_t physical)
{
	const struct soft_insn *insn = find(cpu, physical);

	return insn && insn->checked;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Faults that it takes to become checked. */
static unsigned price(const struct cpu *cpu, const struct soft_insn *insn)
{
	return cpu->cost->check_after << insn->patience;
}

/* What a checked one may lose, in faults, before it has to pay that once more: some of it, or it would be found wanting at its first rest. */
static unsigned credit(const struct cpu *cpu, const struct soft_insn *insn)
{
	return cpu->cost->check_after + price(cpu, insn) / 8;
}

bool soft_note_fault(struct cpu *cpu, uint32_t physical)
{
	struct soft_insn *insn = find(cpu, physical);

	if (!insn)
		insn = make_room(cpu, physical);
	if (!insn)
		return false;
	insn->faults++;
	insn->hold = HOLD;
	if (insn->checked || insn->faults < price(cpu, insn))
		return false;
	insn->checked = 1;
	insn->met = 0;
	insn->faults = 0;
	return true;
}

static void uncheck(struct soft_insn *insn)
{
	insn->checked = 0;
	insn->faults = insn->pages = 0;
	if (insn->patience < MOST_PATIENCE)
		insn->patience += PATIENCE_STEP;
}

bool soft_note_met(struct cpu *cpu, uint32_t physical)
{
	struct soft_insn *insn = find(cpu, physical);

	if (!insn || !insn->checked || ++insn->met < least(MOST_MET, 2 + (uint32_t)((uint64_t)credit(cpu, insn) * cpu->cost->page / MET_NS)))
		return false;
	if (insn->faults >= cpu->cost->worth_it * insn->met) {
		insn->met = 0;
		insn->faults = insn->pages = 0;
		return false;
	}
	uncheck(insn);
	return true;
}

static unsigned access_for(const struct cpu *cpu, bool write)
{
	return (write ? MMU_WRITE : 0) | (cpu->user ? MMU_USER : 0);
}

/* Where the instruction at EIP is, if it is one to keep books about. */
static bool counts(struct cpu *cpu, uint32_t *physical)
{
	uint32_t linear = code_address(cpu, cpu->eip), pte;
	struct cpu_fault unused;

	if (runs_cold(cpu) || mmu_walk(cpu, linear, access_for(cpu, false), &pte, &unused))
		return false;
	*physical = (pte & PTE_FRAME) | (linear & PAGE_MASK);
	return true;
}

void soft_note_saved(struct cpu *cpu)
{
	uint32_t physical;

	if (counts(cpu, &physical))
		soft_note_fault(cpu, physical);
}

/*
 * The instruction at EIP has had C look up @pages more; windows would have met @faults there. Is that still worth its check? Where a kick
 * finds it is no measure for these: it is in C most of the time.
 */
static void account(struct cpu *cpu, unsigned pages, unsigned faults)
{
	struct soft_insn *insn;
	uint32_t physical;

	if (!counts(cpu, &physical))
		return;
	insn = find(cpu, physical);
	if (!insn || !insn->checked)
		return;
	insn->faults += faults;
	insn->pages += pages;
	if ((uint64_t)insn->pages * LOOKED_UP_NS > (uint64_t)cpu->cost->page * (credit(cpu, insn) + insn->faults)) {
		uncheck(insn);
		cpu->frame_owner->drop_at(cpu, physical);
	} else if (insn->pages > LOOKED_UP_SPAN) {	/* what was long ago counts less */
		insn->pages /= 2;
		insn->faults /= 2;
	}
}

static void enter(struct cpu *cpu, uint32_t linear, uint32_t pte, bool write)
{
	unsigned index = linear >> PAGE_SHIFT & (SOFT_ENTRIES - 1);
	bool ring0 = cpu->system_mode && !cpu->cpl;
	struct soft_entry *entry = ring0 ? &cpu->soft_ring0[index] : &cpu->soft[index];
	struct soft_log *log = &cpu->soft_log[ring0];
	uint32_t page = linear & ~PAGE_MASK;

	if (entry->read == NO_TAG)
		log->index[log->count++] = (uint8_t)index;
	*entry = (struct soft_entry){
		.read = page,
		.write = write ? page : NO_TAG,
		.addend = (uint64_t)(uintptr_t)mmu_host(cpu, pte, write) - page,
	};
}

/* A page that is there for the access. Returns whether the window would have missed it, if no access had ever been checked. */
static bool meet(struct cpu *cpu, uint32_t linear, uint32_t pte, bool write)
{
	uint32_t page = linear >> PAGE_SHIFT, entry;
	enum page_state needed = write ? PAGE_WRITE : PAGE_READ;

	fill_drop_other_frame(cpu, page, pte);
	entry = shadow_get(&cpu->slot->shadow, page);
	if (shadow_state(entry, cpu->user ? VIEW_USER : VIEW_KERNEL) >= needed || shadow_state(entry, VIEW_MET) >= needed)
		return false;
	shadow_set(&cpu->slot->shadow, page, shadow_with(entry | (pte & PTE_FRAME), VIEW_MET, needed));
	return true;
}

/*
 * Does an instruction with two operands push out, with the entry for one of them, that for the other? It would then miss for ever. A loop that
 * goes from one page to another with the same entry looks alike; for it nothing but time is lost.
 */
static bool pushes_itself_out(struct cpu *cpu, uint32_t linear)
{
	uint32_t page = linear >> PAGE_SHIFT, last = cpu->soft_missed.page;
	bool itself = cpu->soft_missed.eip == cpu->eip && page != last && !((page ^ last) % SOFT_ENTRIES);

	cpu->soft_missed.eip = cpu->eip;
	cpu->soft_missed.page = page;
	return itself;
}

enum soft_result soft_miss(struct cpu *cpu, uint32_t linear, uint32_t kind, struct cpu_fault *fault)
{
	bool write = kind & SOFT_WRITE;
	uint32_t last = linear + (kind & 0xff) - 1, pte;

	if (kind & SOFT_ALIGNED && linear % 16) {
		*fault = (struct cpu_fault){ .vector = TRAP_GP };
		return SOFT_FAULT;
	}
	if (mmu_walk(cpu, linear, access_for(cpu, write), &pte, fault))
		return SOFT_FAULT;
	if ((linear ^ last) & ~PAGE_MASK || pushes_itself_out(cpu, linear))
		return SOFT_APART;
	if (write && pte >> PAGE_SHIFT == frame_void(cpu))
		return SOFT_APART;
	if (write)
		frame_written(cpu, pte >> PAGE_SHIFT);
	enter(cpu, linear, pte, write);
	if (runs_cold(cpu))
		return SOFT_DONE;
	if (meet(cpu, linear, pte, write))
		return SOFT_NEW;
	if (!(++cpu->soft_misses % MISSES))
		account(cpu, 2 * MISSES, 0);
	return SOFT_DONE;
}

/* --- strings ------------------------------------------------------------------------------------------------------------- */

/* What came of one go. */
struct string_run {
	unsigned pages, faults;		/* gone through; that windows would have met there */
	struct cpu_fault *fault;
};

static int place(struct cpu *cpu, uint32_t linear, bool write, uint8_t **host, struct string_run *run)
{
	uint32_t pte;
	int vector = mmu_walk(cpu, linear, access_for(cpu, write), &pte, run->fault);

	run->pages++;
	if (vector) {
		run->faults++;
		return vector;
	}
	if (write)
		frame_written(cpu, pte >> PAGE_SHIFT);
	if (!runs_cold(cpu))
		run->faults += meet(cpu, linear, pte, write);
	*host = mmu_host(cpu, pte, write) + (linear & PAGE_MASK);
	return 0;
}

static void move(uint8_t *to, const uint8_t *from, uint32_t count, unsigned size)
{
	uint64_t n = count;

	if (size == 1)
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	else if (size == 2)
		__asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	else
		__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void store(uint8_t *to, uint32_t value, uint32_t count, unsigned size)
{
	uint64_t n = count;

	if (size == 1)
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
	else if (size == 2)
		__asm__ volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory");
	else
		__asm__ volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory");
}

static uint32_t elements_left(uint32_t linear, unsigned size)
{
	return (PAGE_SIZE - (linear & PAGE_MASK)) / size;
}

/* As many elements as fit in one page of each side. 0: an element straddles pages. */
static int string_piece(struct cpu *cpu, bool moves, uint32_t count, unsigned size, struct string_run *run)
{
	uint32_t *gpr = cpu->gpr;
	uint32_t n = least(count, elements_left(gpr[R_EDI], size));
	uint8_t *to, *from = NULL;

	if (moves)
		n = least(n, elements_left(gpr[R_ESI], size));
	if (!n)
		return 0;
	if ((moves && place(cpu, gpr[R_ESI], false, &from, run)) || place(cpu, gpr[R_EDI], true, &to, run))
		return -1;
	if (moves)
		move(to, from, n, size);
	else
		store(to, gpr[R_EAX], n, size);
	gpr[R_EDI] += n * size;
	if (moves)
		gpr[R_ESI] += n * size;
	return (int)n;
}

static int string_pieces(struct cpu *cpu, const struct insn *insn, bool moves, struct string_run *run)
{
	bool repeats = insn->prefix & (PFX_REP | PFX_REPNE);
	unsigned size = insn->op & 1 ? insn->opsize : 1;

	for (unsigned pages = 0; pages < STRING_PAGES && !(repeats && !cpu->gpr[R_ECX]); pages++) {
		int n = string_piece(cpu, moves, repeats ? cpu->gpr[R_ECX] : 1, size, run);

		if (n <= 0)
			return n ? -1 : pages != 0;
		if (!repeats)
			break;
		cpu->gpr[R_ECX] -= (uint32_t)n;
	}
	return 1;
}

static bool is_movs(const struct insn *insn)
{
	return (insn->op & 0xfe) == 0xa4;
}

static bool is_stos(const struct insn *insn)
{
	return (insn->op & 0xfe) == 0xaa;
}

bool soft_does_string(const struct insn *insn, bool cold)
{
	return (is_movs(insn) || is_stos(insn)) && (cold || insn->prefix & (PFX_REP | PFX_REPNE));
}

int soft_string(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	bool moves = is_movs(insn), repeats = insn->prefix & (PFX_REP | PFX_REPNE);
	struct string_run run = { .fault = fault };
	int result;

	if ((!moves && !is_stos(insn)) || cpu->flags & FLAG_DF || cpu->segmented || insn->adsize != 4 ||
	    (moves && insn->seg != S_DS && insn->seg != S_ES && insn->seg != S_SS && insn->seg != S_CS))
		return 0;
	result = string_pieces(cpu, insn, moves, &run);
	account(cpu, run.pages, run.faults);
	if (result > 0 && (!repeats || !cpu->gpr[R_ECX]))
		cpu->eip += insn->len;
	return result;
}
