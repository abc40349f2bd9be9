/* SPDX-License-Identifier: MIT */
/*
 * window.c - address spaces as host mappings.
 *
 * A slot holds one guest address space as two views: windows of 4 GiB of host addresses in which the guest's pages are mapped at
 * their own addresses, all of them in the kernel's view, those with the user bit in the user's. A view is a cache of the guest's
 * page tables, like a TLB with room for everything, and obeys the TLB's contract: what the tables allow appears on demand, what
 * they forbid disappears when the guest announces the change.
 *
 * The shadow says, page by page, what each view has. It also holds the frame, so that comparing the shadow with the tables finds
 * just the pages to take away: that is what a TLB flush or a return to an old address space costs. Taking away is mprotect();
 * the mapping itself stays, hidden, because a page that comes back with the same frame then needs no new one (here mprotect
 * takes 1.4 us, mmap over foreign ground 6.3 us, a first touch after that 2.5 us).
 *
 * Slots are a small pool. When one passes to another address space only its user half is emptied. The kernel half, the same
 * everywhere, stays mapped and warm.
 *
 * A page that holds translated code is mapped read-only in every view. To find the views when a page becomes code: the kernel's
 * linear map is looked at directly, any other writable mapping is remembered in its frame (struct frame.writer), and if there
 * were several, all shadows are searched.
 *
 * The kernel limits mappings per process (vm.max_map_count). We count the calls that may split one, and empty the least recently
 * used slot long before the limit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/window.h"

#include "cpu/x86/block.h"
#include "cpu/x86/copy.h"
#include "cpu/x86/jump.h"
#include "cpu/x86/mmu.h"
#include "cpu/x86/soft.h"

#define GIB4 (1ull << 32)

enum { RUN_USER = 16, RUN_KERNEL = 16384, KERNEL_EXEC_SIZE = 1024 * sizeof(uint32_t) };

static enum page_state state_of(uint32_t entry, enum view view)
{
	return (enum page_state)(entry >> (SHADOW_STATE + 2 * view) & 3);
}

static uint32_t with_state(uint32_t entry, enum view view, enum page_state state)
{
	unsigned shift = SHADOW_STATE + 2 * view;

	return (entry & ~(3u << shift)) | (uint32_t)state << shift;
}

static uint32_t frame_of(uint32_t entry)
{
	return entry >> PAGE_SHIFT;
}

static bool in_kernel_half(const struct cpu *cpu, uint32_t page)
{
	return page >= cpu->kernel_base >> PAGE_SHIFT;
}

/* Not calloc(): libc would use vector registers, and they are the guest's. */
static void *map_zeroed(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* --- shadows ------------------------------------------------------------------------------------------------------------ */

static uint32_t shadow_get(const struct slot *slot, uint32_t page)
{
	const struct shadow *s = slot->shadow[page >> 10];

	return s ? s->entry[page & 1023] : 0;
}

static bool shadow_set(struct slot *slot, uint32_t page, uint32_t entry)
{
	struct shadow **s = &slot->shadow[page >> 10];

	if (!*s) {
		*s = map_zeroed(sizeof(**s));
		if (!*s)
			return false;
	}
	(*s)->entry[page & 1023] = entry;
	if (entry)
		(*s)->used[(page & 1023) >> 6] |= 1ull << (page & 63);
	else
		(*s)->used[(page & 1023) >> 6] &= ~(1ull << (page & 63));
	return true;
}

/* --- changing protections, adjacent pages in one call -------------------------------------------------------------------- */

struct batch {
	struct cpu *cpu;
	struct slot *slot;
	uint8_t *start, *end;
	int prot;
};

static int prot_of(enum page_state state)
{
	return state == PAGE_WRITE ? PROT_READ | PROT_WRITE : state == PAGE_READ ? PROT_READ : PROT_NONE;
}

static unsigned count_mappings(void);
static void empty_distrusted(struct cpu *cpu);

/* Is the host about to run out of mappings for us? Our own count is too high; the host's is asked for before that is believed. */
static bool crowded(struct cpu *cpu)
{
	if (cpu->map_count >= cpu->map_limit)
		cpu->map_count = count_mappings();
	return cpu->map_count >= cpu->map_limit;
}

/*
 * May split a mapping at both ends. If the host refuses, or soon would, the slot is emptied before the guest runs on. At the limit
 * itself nothing works any more, not even emptying a view.
 */
static void protect(struct cpu *cpu, struct slot *slot, uint8_t *at, size_t len, int prot)
{
	if (slot->distrusted)
		return;
	if (crowded(cpu) || mprotect(at, len, prot))
		slot->distrusted = cpu->distrust = true;
	slot->map_count += 2;
	cpu->map_count += 2;
}

static void batch_run(struct batch *b)
{
	if (b->start != b->end)
		protect(b->cpu, b->slot, b->start, (size_t)(b->end - b->start), b->prot);
	b->start = b->end = NULL;
}

static void batch_add(struct cpu *cpu, struct batch *b, struct slot *slot, enum view view, uint32_t page, enum page_state state)
{
	uint8_t *at = slot->view[view] + ((size_t)page << PAGE_SHIFT);

	cpu->stats.unmaps++;
	if (b->end != at || b->prot != prot_of(state)) {
		batch_run(b);
		b->cpu = cpu;
		b->slot = slot;
		b->start = at;
		b->prot = prot_of(state);
	}
	b->end = at + PAGE_SIZE;
}

/* --- comparing ------------------------------------------------------------------------------------------------------------ */

/* What a view may at most keep of a page, now that its table entry is @pte (0: not present). */
static enum page_state may_keep(uint32_t entry, uint32_t pte, enum view view)
{
	if (!pte || (pte ^ entry) & PTE_FRAME || (view == VIEW_USER && !(pte & PTE_US)))
		return PAGE_HIDDEN;
	return (pte & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D) ? PAGE_WRITE : PAGE_READ;
}

/*
 * The user's view is only looked at by user code: it is put right just before that runs again, which for a process that is
 * being torn down is never.
 */
enum { LOOK_KERNEL = 1 << VIEW_KERNEL, LOOK_USER = 1 << VIEW_USER, LOOK_BOTH = LOOK_KERNEL | LOOK_USER };

static bool concerns(const struct cpu *cpu, uint32_t entry, unsigned look)
{
	return (look & LOOK_KERNEL && state_of(entry, VIEW_KERNEL) > PAGE_HIDDEN) ||
	       (look & LOOK_USER && state_of(entry, VIEW_USER) > PAGE_HIDDEN) ||
	       (entry & SHADOW_CODE && (look & LOOK_USER || cpu->kernel_table_low));
}

/* Make one page's views and jump-table entries obey the tables. @batches: one for each view. */
static void compare_page(struct cpu *cpu, struct slot *slot, uint32_t page, unsigned look, struct batch batches[VIEWS])
{
	uint32_t entry = shadow_get(slot, page), now = entry, pte;

	if (!concerns(cpu, entry, look))
		return;
	/* The kernel half is the same everywhere, and a slot not in use may name a directory that is one no more. */
	pte = mmu_peek(cpu, in_kernel_half(cpu, page) ? cpu->slot->pgd : slot->pgd, page << PAGE_SHIFT);
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++) {
		enum page_state most = may_keep(entry, pte, v);

		if (!(look & 1 << v) || state_of(entry, v) <= most || state_of(entry, v) <= PAGE_HIDDEN)
			continue;
		batch_add(cpu, &batches[v], slot, v, page, most);
		now = with_state(now, v, most);
	}
	if (now & SHADOW_CODE && may_keep(entry, pte, VIEW_USER) == PAGE_HIDDEN) {
		slot->jumps_stale = true;
		if (cpu->kernel_table_low)
			jump_forget_page(cpu->kernel_table, page);
		now &= ~(uint32_t)SHADOW_CODE;
	}
	if (now != entry)
		shadow_set(slot, page, now & ~PTE_FRAME ? now : 0);
}

static void compare_range(struct cpu *cpu, struct slot *slot, uint32_t first_table, uint32_t last_table, unsigned look)
{
	struct batch batches[VIEWS] = { 0 };

	for (uint32_t t = first_table; t < last_table; t++) {
		struct shadow *s = slot->shadow[t];

		for (unsigned group = 0; s && group < 16; group++)
			for (uint64_t bits = s->used[group]; bits; bits &= bits - 1)
				compare_page(cpu, slot, t << 10 | group << 6 | (uint32_t)__builtin_ctzll(bits), look, batches);
	}
	batch_run(&batches[VIEW_KERNEL]);
	batch_run(&batches[VIEW_USER]);
}

static uint32_t kernel_table(const struct cpu *cpu)
{
	return cpu->kernel_base >> 22;
}

static void compare_user(struct cpu *cpu, struct slot *slot)
{
	compare_range(cpu, slot, 0, kernel_table(cpu), LOOK_KERNEL);
	slot->user_stale = true;
}

static void compare_kernel(struct cpu *cpu, struct slot *slot)
{
	slot->kernel_stale = false;
	compare_range(cpu, slot, kernel_table(cpu), 1024, LOOK_BOTH);
}

/* Kernel code is known to jump tables and chains of all address spaces: if it moved, drop it. */
static void compare_kernel_code(struct cpu *cpu, uint32_t page)
{
	uint32_t *table = cpu->kernel_exec[page >> 10];
	uint32_t was = table ? table[page & 1023] : 0;

	if (!was || !((mmu_peek(cpu, cpu->slot->pgd, page << PAGE_SHIFT) ^ was) & (PTE_FRAME | PTE_P)))
		return;
	table[page & 1023] = 0;
	block_drop_frame(cpu, frame_of(was));
	jump_forget_page(cpu->kernel_table, page);
}

/* --- slots ---------------------------------------------------------------------------------------------------------------- */

static void forget_maps(struct cpu *cpu, struct slot *slot)
{
	cpu->map_count -= slot->map_count < cpu->map_count ? slot->map_count : cpu->map_count;
	slot->map_count = 0;
}

/* Covers whole mappings, so it frees more than it takes. A window that cannot be closed must not be run in, nor left open. */
static void hide_everything(uint8_t *from, uint64_t len)
{
	if (mmap(from, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
}

static void empty_tables(struct slot *slot, uint32_t first, uint32_t last)
{
	for (uint32_t t = first; t < last; t++) {
		if (slot->shadow[t])
			munmap(slot->shadow[t], sizeof(struct shadow));
		slot->shadow[t] = NULL;
	}
}

static void empty_common(struct cpu *cpu, struct slot *slot)
{
	jump_clear(slot->table);
	slot->jumps_stale = slot->user_stale = false;
	forget_maps(cpu, slot);
}

static void empty_user(struct cpu *cpu, struct slot *slot)
{
	if (slot->map_count) {
		hide_everything(slot->view[VIEW_KERNEL], cpu->kernel_base & ~PAGE_MASK);
		hide_everything(slot->view[VIEW_USER], cpu->kernel_base & ~PAGE_MASK);
	}
	empty_tables(slot, 0, kernel_table(cpu));
	empty_common(cpu, slot);
}

static void empty_slot(struct cpu *cpu, struct slot *slot)
{
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
		hide_everything(slot->view[v], GIB4);
	empty_tables(slot, 0, 1024);
	empty_common(cpu, slot);
	slot->kernel_stale = false;
	slot->distrusted = false;
}

static void free_all_slots(struct cpu *cpu)
{
	for (unsigned i = 0; i < cpu->slot_count; i++) {
		empty_slot(cpu, &cpu->slots[i]);
		cpu->slots[i].pgd = SLOT_FREE;
	}
	for (unsigned i = 0; i < 1024; i++)
		if (cpu->kernel_exec[i])
			clear_bytes(cpu->kernel_exec[i], KERNEL_EXEC_SIZE);
}

static struct slot *find_slot(struct cpu *cpu, uint32_t pgd)
{
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].pgd == pgd)
			return &cpu->slots[i];
	return NULL;
}

static struct slot *oldest_slot(struct cpu *cpu)
{
	struct slot *oldest = NULL;

	for (unsigned i = 0; i < cpu->slot_count; i++) {
		struct slot *s = &cpu->slots[i];

		if (s != cpu->slot && (!oldest || s->last_used < oldest->last_used))
			oldest = s;
	}
	return oldest;
}

static void use_slot(struct cpu *cpu, uint32_t pgd)
{
	struct slot *slot = find_slot(cpu, pgd);

	soft_flush(cpu);
	if (slot) {
		compare_user(cpu, slot);
	} else {
		slot = oldest_slot(cpu);
		empty_user(cpu, slot);
		slot->pgd = pgd;
		cpu->stats.slot_reuse++;
	}
	cpu->slot = slot;
	if (slot->kernel_stale)
		compare_kernel(cpu, slot);
	slot->last_used = ++cpu->slot_clock;
	cpu->stale.count = cpu->stale.kernel_done = 0;
	cpu->fault_page = ~0u;
	if (cpu->kernel_table_low) {
		jump_clear(cpu->kernel_table);
		cpu->kernel_table_low = false;
	}
}

uint32_t window_pgd(const struct cpu *cpu)
{
	return cpu->slot->pgd;
}

/* Reserve a view: 4 GiB at a multiple of 4 GiB, with a guard on both sides. */
static uint8_t *reserve_view(void)
{
	uint8_t *p = mmap(NULL, 3 * GIB4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *view;

	if (p == MAP_FAILED)
		return NULL;
	view = (uint8_t *)(((uintptr_t)p + WINDOW_GUARD + GIB4 - 1) & ~(GIB4 - 1));
	munmap(p, (size_t)(view - WINDOW_GUARD - p));
	munmap(view + GIB4 + WINDOW_GUARD, (size_t)(p + 3 * GIB4 - (view + GIB4 + WINDOW_GUARD)));
	return view;
}

static unsigned mapping_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned limit = 65530;

	if (f) {
		if (fscanf(f, "%u", &limit) != 1)
			limit = 65530;
		fclose(f);
	}
	return limit > 4000 ? limit - 3000 : limit / 4;
}

int window_create(struct cpu *cpu, unsigned slots, const char **error)
{
	cpu->slot_count = slots;
	cpu->slots = calloc(slots, sizeof(*cpu->slots));
	if (!cpu->slots) {
		*error = "no memory for address spaces";
		return -1;
	}
	for (unsigned i = 0; i < slots; i++) {
		struct slot *s = &cpu->slots[i];

		s->pgd = SLOT_FREE;
		s->view[VIEW_KERNEL] = reserve_view();
		s->view[VIEW_USER] = reserve_view();
		s->table = jump_table_create();
		if (!s->view[VIEW_KERNEL] || !s->view[VIEW_USER] || !s->table) {
			*error = "cannot reserve address space for guest memory (is there a limit on virtual memory, ulimit -v?)";
			return -1;
		}
	}
	cpu->map_limit = mapping_limit();
	cpu->slot = &cpu->slots[0];
	cpu->slot->pgd = MMU_LINEAR;
	cpu->fault_page = ~0u;
	return 0;
}

void window_destroy(struct cpu *cpu)
{
	for (unsigned i = 0; cpu->slots && i < cpu->slot_count; i++) {
		struct slot *s = &cpu->slots[i];

		empty_tables(s, 0, 1024);
		jump_table_destroy(s->table);
		for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
			if (s->view[v])
				munmap(s->view[v] - WINDOW_GUARD, GIB4 + 2 * WINDOW_GUARD);
	}
	free(cpu->slots);
	for (unsigned i = 0; i < 1024; i++)
		if (cpu->kernel_exec[i])
			munmap(cpu->kernel_exec[i], KERNEL_EXEC_SIZE);
}

/* --- mapping -------------------------------------------------------------------------------------------------------------- */

static void remember_writer(struct cpu *cpu, struct slot *slot, uint32_t page, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];
	int8_t index = (int8_t)(slot - cpu->slots);

	if (page - number == cpu->kernel_base >> PAGE_SHIFT || page == number)
		return;		/* a linear map: window_protect_frame() looks there anyway */
	if (frame->writer_slot >= 0 && frame->writer_slot != index && frame->writer != page)
		frame->writer_slot = -2;
	if (frame->writer_slot == -2 || (frame->writer_slot == index && frame->writer == page))
		return;
	if (frame->writer_slot == -1) {
		frame->writer_slot = index;
		frame->writer = page;
		return;
	}
	frame->writer_slot = -2;
}

/* The state a page gets in a view when mapped for an access that the tables allow. */
static enum page_state wanted_state(const struct cpu *cpu, uint32_t pte)
{
	return (pte & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D) && !cpu->frames[frame_of(pte)].code ? PAGE_WRITE : PAGE_READ;
}

/* Could @page be mapped along with @first, @distance pages away, by the same call? */
static bool joins_run(const struct cpu *cpu, enum view view, uint32_t page, uint32_t first_pte, int distance, enum page_state state)
{
	uint32_t pte = mmu_peek(cpu, cpu->slot->pgd, page << PAGE_SHIFT);

	return pte & PTE_A && (pte & PTE_FRAME) == (first_pte & PTE_FRAME) + (uint32_t)distance * PAGE_SIZE &&
	       wanted_state(cpu, pte) == state && (view == VIEW_KERNEL || pte & PTE_US) && !shadow_get(cpu->slot, page);
}

static void note_mapped(struct cpu *cpu, enum view view, uint32_t page, uint32_t frame, enum page_state state)
{
	uint32_t entry = shadow_get(cpu->slot, page);

	if (frame_of(entry) != frame)
		entry = frame << PAGE_SHIFT;
	shadow_set(cpu->slot, page, with_state(entry, view, state));
	if (state == PAGE_WRITE)
		remember_writer(cpu, cpu->slot, page, frame);
}

/* The other view must not go on showing a frame that the tables no longer name. */
static void drop_other_frame(struct cpu *cpu, uint32_t page, uint32_t pte)
{
	struct batch batches[VIEWS] = { 0 };
	uint32_t entry = shadow_get(cpu->slot, page);

	if (!entry || !((entry ^ pte) & PTE_FRAME))
		return;
	compare_page(cpu, cpu->slot, page, LOOK_BOTH, batches);
	batch_run(&batches[VIEW_KERNEL]);
	batch_run(&batches[VIEW_USER]);
	shadow_set(cpu->slot, page, 0);
}

/* The slot to give up when the host's mappings run out: the one that has been idle longest, or if no other has any, our own. */
static struct slot *victim(struct cpu *cpu)
{
	struct slot *victim = NULL;

	for (unsigned i = 0; i < cpu->slot_count; i++) {
		struct slot *s = &cpu->slots[i];

		if (s != cpu->slot && s->map_count && (!victim || s->last_used < victim->last_used))
			victim = s;
	}
	return victim;
}

static void make_room(struct cpu *cpu)
{
	struct slot *slot = victim(cpu);

	empty_slot(cpu, slot ? slot : cpu->slot);
	if (slot)
		slot->pgd = SLOT_FREE;
}

/* How many mappings the process really has. (Not with stdio: see map_zeroed().) */
static unsigned count_mappings(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char text[4096];
	unsigned lines = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	if (fd >= 0)
		close(fd);
	return lines;
}

/* We count what may split a mapping; most calls do not. So before anything is given up for it, the count is put right. */
static void count_maps(struct cpu *cpu, unsigned n)
{
	cpu->slot->map_count += n;
	cpu->map_count += n;
	cpu->stats.maps++;
	if (cpu->map_count < cpu->map_limit)
		return;
	cpu->map_count = count_mappings();
	while (cpu->map_count > cpu->map_limit / 2 && victim(cpu)) {
		make_room(cpu);
		cpu->map_count = count_mappings();
	}
	if (cpu->map_count > cpu->map_limit / 2)
		make_room(cpu);
}

static void map_run(struct cpu *cpu, enum view view, uint32_t page, uint32_t pte, enum page_state state)
{
	bool kernel = in_kernel_half(cpu, page);
	int most = kernel ? RUN_KERNEL : RUN_USER, before = 0, after = 1;
	uint32_t limit = kernel ? 1u << 20 : cpu->kernel_base >> PAGE_SHIFT;
	uint32_t first;

	if (cpu->slot->pgd == MMU_LINEAR)
		most = RUN_KERNEL;
	while (after < most && page + (uint32_t)after < limit && joins_run(cpu, view, page + (uint32_t)after, pte, after, state))
		after++;
	while (before < most && page - (uint32_t)before > (kernel ? cpu->kernel_base >> PAGE_SHIFT : 0) &&
	       joins_run(cpu, view, page - (uint32_t)before - 1, pte, -before - 1, state))
		before++;
	first = page - (uint32_t)before;
	if (mmap(cpu->slot->view[view] + ((size_t)first << PAGE_SHIFT), (size_t)(before + after) << PAGE_SHIFT, prot_of(state),
		 MAP_SHARED | MAP_FIXED | (before + after <= RUN_USER * 2 ? MAP_POPULATE : 0), cpu->ram.fd,
		 (off_t)((pte & PTE_FRAME) - ((uint32_t)before << PAGE_SHIFT))) == MAP_FAILED) {
		hide_everything(cpu->slot->view[view] + ((size_t)first << PAGE_SHIFT), (size_t)(before + after) << PAGE_SHIFT);
		make_room(cpu);		/* and the guest faults again */
		return;
	}
	for (int i = -before; i < after; i++)
		note_mapped(cpu, view, page + (uint32_t)i, frame_of(pte) + (uint32_t)i, state);
	count_maps(cpu, 2);
}

static void map_page(struct cpu *cpu, enum view view, uint32_t page, uint32_t pte)
{
	enum page_state state = wanted_state(cpu, pte);
	uint32_t entry;

	drop_other_frame(cpu, page, pte);
	entry = shadow_get(cpu->slot, page);
	if (state_of(entry, view) != PAGE_NONE) {
		protect(cpu, cpu->slot, cpu->slot->view[view] + ((size_t)page << PAGE_SHIFT), PAGE_SIZE, prot_of(state));
		note_mapped(cpu, view, page, frame_of(pte), state);
		return;
	}
	map_run(cpu, view, page, pte, state);
}

static enum view present_view(const struct cpu *cpu)
{
	return cpu->user ? VIEW_USER : VIEW_KERNEL;
}

enum window_result window_fault(struct cpu *cpu, uint32_t linear, bool write, uint32_t *frame, struct cpu_fault *fault)
{
	unsigned access = (write ? MMU_WRITE : 0) | (cpu->user ? MMU_USER : 0);
	uint32_t pte;

	if (mmu_walk(cpu, linear, access, &pte, fault)) {
		cpu->fault_page = linear >> PAGE_SHIFT;
		cpu->fault_write = write;
		cpu->fault_user = cpu->user;
		return WINDOW_FAULT;
	}
	*frame = frame_of(pte);
	if (write && cpu->frames[*frame].code)
		return WINDOW_CODE;
	map_page(cpu, present_view(cpu), linear >> PAGE_SHIFT, pte);
	if (cpu->distrust)	/* and the access finds an empty view, and faults again */
		empty_distrusted(cpu);
	return WINDOW_MAPPED;
}

/* --- code ----------------------------------------------------------------------------------------------------------------- */

static void protect_page(struct cpu *cpu, struct slot *slot, uint32_t page, uint32_t frame)
{
	uint32_t entry = shadow_get(slot, page);

	if (!(entry & ~PTE_FRAME) || frame_of(entry) != frame)
		return;
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++) {
		if (state_of(entry, v) != PAGE_WRITE)
			continue;
		protect(cpu, slot, slot->view[v] + ((size_t)page << PAGE_SHIFT), PAGE_SIZE, PROT_READ);
		entry = with_state(entry, v, PAGE_READ);
	}
	shadow_set(slot, page, entry);
}

static void protect_everywhere(struct cpu *cpu, struct slot *slot, uint32_t frame)
{
	for (uint32_t t = 0; t < 1024; t++)
		for (unsigned i = 0; slot->shadow[t] && i < 1024; i++)
			if (frame_of(slot->shadow[t]->entry[i]) == frame)
				protect_page(cpu, slot, t << 10 | i, frame);
}

void window_protect_frame(struct cpu *cpu, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];
	uint64_t linear = (cpu->kernel_base >> PAGE_SHIFT) + (uint64_t)number;

	soft_flush(cpu);
	for (unsigned i = 0; i < cpu->slot_count; i++) {
		protect_page(cpu, &cpu->slots[i], number, number);
		if (linear < 1u << 20)
			protect_page(cpu, &cpu->slots[i], (uint32_t)linear, number);
		if (frame->writer_slot == -2)
			protect_everywhere(cpu, &cpu->slots[i], number);
	}
	if (frame->writer_slot >= 0)
		protect_page(cpu, &cpu->slots[frame->writer_slot], frame->writer, number);
	frame->writer_slot = -1;
}

static bool note_kernel_code(struct cpu *cpu, uint32_t page, uint32_t pte)
{
	uint32_t **table = &cpu->kernel_exec[page >> 10], now = (pte & PTE_FRAME) | PTE_P;

	if (!*table)
		*table = map_zeroed(KERNEL_EXEC_SIZE);
	if (!*table || (*table)[page & 1023] == now)
		return *table;
	(*table)[page & 1023] = now;
	return false;
}

bool window_note_code(struct cpu *cpu, uint32_t linear, uint32_t pte)
{
	uint32_t page = linear >> PAGE_SHIFT;
	uint32_t entry;

	if (in_kernel_half(cpu, page))
		return note_kernel_code(cpu, page, pte);
	drop_other_frame(cpu, page, pte);
	entry = shadow_get(cpu->slot, page);
	if (entry & SHADOW_CODE)
		return true;
	shadow_set(cpu->slot, page, (entry ? entry : pte & PTE_FRAME) | SHADOW_CODE);
	return false;
}

/* --- what the machine asks for -------------------------------------------------------------------------------------------- */

/* The page of the last fault given to the guest, if its kernel has made it usable: mapped before it is asked for again. */
static void map_awaited(struct cpu *cpu)
{
	uint32_t pte = mmu_peek(cpu, cpu->slot->pgd, cpu->fault_page << PAGE_SHIFT);
	bool usable = pte & PTE_A && (!cpu->fault_write || (pte & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D)) &&
		      (!cpu->fault_user || pte & PTE_US) && !(cpu->fault_write && cpu->frames[frame_of(pte)].code);

	if (usable)
		map_page(cpu, cpu->fault_user ? VIEW_USER : VIEW_KERNEL, cpu->fault_page, pte);
	cpu->fault_page = ~0u;
}

static void settle_pages(struct cpu *cpu, unsigned first, unsigned look)
{
	struct batch batches[VIEWS] = { 0 };
	bool awaited = false;

	for (unsigned i = first; i < cpu->stale.count; i++) {
		compare_page(cpu, cpu->slot, cpu->stale.page[i], look, batches);
		awaited |= cpu->stale.page[i] == cpu->fault_page;
	}
	batch_run(&batches[VIEW_KERNEL]);
	batch_run(&batches[VIEW_USER]);
	if (awaited && look & 1 << (cpu->fault_user ? VIEW_USER : VIEW_KERNEL))
		map_awaited(cpu);
}

/* Pages named by cpu_flush_page(): the kernel's view follows before the kernel runs on, the user's before user code does. */
static void settle_stale(struct cpu *cpu)
{
	settle_pages(cpu, cpu->stale.kernel_done, LOOK_KERNEL);
	cpu->stale.kernel_done = cpu->stale.count;
	if (!cpu->user)
		return;
	settle_pages(cpu, 0, LOOK_USER);
	cpu->stale.count = cpu->stale.kernel_done = 0;
}

static void settle_user(struct cpu *cpu)
{
	compare_range(cpu, cpu->slot, 0, kernel_table(cpu), LOOK_USER);
	cpu->slot->user_stale = false;
}

static void write_gs(struct cpu *cpu, uint8_t *base)
{
	if (cpu->gs != base)
		__asm__ volatile("wrgsbase %0" : : "r"(base));
	cpu->gs = base;
}

static void empty_distrusted(struct cpu *cpu)
{
	cpu->distrust = false;
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].distrusted)
			empty_slot(cpu, &cpu->slots[i]);
}

void window_settle(struct cpu *cpu)
{
	if (cpu->stale.count != cpu->stale.kernel_done || (cpu->user && cpu->stale.count))
		settle_stale(cpu);
	if (cpu->user && cpu->slot->user_stale)
		settle_user(cpu);
	if (cpu->user && cpu->slot->jumps_stale) {
		jump_clear(cpu->slot->table);
		cpu->slot->jumps_stale = false;
	}
}

void window_enter(struct cpu *cpu)
{
	if (cpu->distrust)
		empty_distrusted(cpu);
	cpu->window = cpu->slot->view[present_view(cpu)];
	write_gs(cpu, cpu->window);
}

void cpu_set_linear(struct cpu *cpu, uint32_t limit)
{
	free_all_slots(cpu);
	block_flush(cpu);
	cpu->linear_limit = limit;
	cpu->kernel_base = ~PAGE_MASK;
	use_slot(cpu, MMU_LINEAR);
}

void cpu_set_pgd(struct cpu *cpu, uint32_t pgd)
{
	use_slot(cpu, pgd & PTE_FRAME);
}

/* The halves change: nothing that was sorted by them may stay. */
void cpu_set_kernel_base(struct cpu *cpu, uint32_t base)
{
	uint32_t pgd = cpu->slot->pgd;

	base &= 0xffc00000u;
	if (base == cpu->kernel_base)
		return;
	free_all_slots(cpu);
	block_flush(cpu);
	cpu->kernel_base = base ? base : ~PAGE_MASK;
	use_slot(cpu, pgd);
}

static void flush_kernel_page(struct cpu *cpu, uint32_t page)
{
	struct batch batches[VIEWS] = { 0 };

	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].pgd != SLOT_FREE)
			compare_page(cpu, &cpu->slots[i], page, LOOK_BOTH, batches);
	batch_run(&batches[VIEW_KERNEL]);
	batch_run(&batches[VIEW_USER]);
	compare_kernel_code(cpu, page);
}

void cpu_flush_page(struct cpu *cpu, uint32_t pgd, uint32_t address)
{
	uint32_t page = address >> PAGE_SHIFT;

	soft_flush(cpu);
	if (in_kernel_half(cpu, page)) {
		flush_kernel_page(cpu, page);
		return;
	}
	if (cpu->slot->pgd != (pgd & PTE_FRAME))
		return;		/* compared when it is next used */
	if (cpu->stale.count == sizeof(cpu->stale.page) / sizeof(cpu->stale.page[0])) {
		settle_stale(cpu);
		cpu->slot->user_stale = true;
		cpu->stale.count = cpu->stale.kernel_done = 0;
	}
	cpu->stale.page[cpu->stale.count++] = page;
}

void cpu_flush_pgd_slot(struct cpu *cpu, uint32_t pgd, uint32_t index)
{
	soft_flush(cpu);
	if (index >= kernel_table(cpu))
		cpu_flush_all(cpu);
	else if (cpu->slot->pgd == (pgd & PTE_FRAME))
		compare_range(cpu, cpu->slot, index, index + 1, LOOK_BOTH);
}

void cpu_flush_user(struct cpu *cpu)
{
	soft_flush(cpu);
	compare_user(cpu, cpu->slot);
}

void cpu_flush_all(struct cpu *cpu)
{
	soft_flush(cpu);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		cpu->slots[i].kernel_stale = true;
	compare_user(cpu, cpu->slot);
	compare_kernel(cpu, cpu->slot);
	for (uint32_t t = kernel_table(cpu); t < 1024; t++)
		for (uint32_t i = 0; cpu->kernel_exec[t] && i < 1024; i++)
			compare_kernel_code(cpu, t << 10 | i);
}
