/* SPDX-License-Identifier: MIT */
/*
 * state.h - the inside of a processor; for the files of this folder and its rooms only.
 *
 * Register roles in translated code
 *
 *	eax..edi, esp	the guest's, in the host registers of the same encoding, zero-extended
 *	rflags		CF PF AF ZF SF OF DF are the guest's
 *	x87, MMX, SSE	the guest's
 *	r8..r11		scratch within one guest instruction (r8d: an address or a jump target)
 *	r12		scratch
 *	r13		the window in force (reach.h: not all hosts have it in GS)
 *	r14		the jump table in force (jump.h)
 *	r15		struct cpu
 *	gs base		the window in force, where the host lets us: guest linear address X is at gs:X
 *	fs base		the host's own thread pointer; translated code has no instruction that uses it
 *
 * Offsets of the fields that translated code and glue.S touch are written out below and checked by the compiler.
 */
#ifndef KENNEL_CPU_X86_STATE_H
#define KENNEL_CPU_X86_STATE_H

#define CPU_GPR		0x00
#define CPU_EIP		0x20
#define CPU_REASON	0x24
#define CPU_FLAGS	0x28
#define CPU_WINDOW	0x30
#define CPU_TABLE	0x38
#define CPU_HOST_SP	0x40
#define CPU_TARGET	0x48
#define CPU_ARG		0x50
#define CPU_KICK	0x54
#define CPU_TS		0x58
#define CPU_SELECTOR	0x60	/* 6 x 4 */
#define CPU_HIDDEN	0x78	/* 6 x 4: index in descriptors[] */
#define CPU_BASE_AT	0x90	/* 6 x 8: where the base is, relative to the cpu; a page that faults for a null selector */
#define CPU_EXITS	0xc0	/* pointers to the exits in glue.S */
#define CPU_IF		0xf0
#define CPU_SYSTEM_FLAGS 0xf4
#define CPU_IRQ_PENDING	0xf8
#define CPU_SLIDE	0xfc	/* where cold code is mapped, less where it was translated for (block.h) */
#define CPU_BASE_OF	0x100	/* 16 x 8: what CPU_BASE_AT becomes when that descriptor is loaded */
#define CPU_SOFT_KIND	0x5c
#define CPU_SOFT	0x20180	/* 256 x 16: the soft TLB */
#define CPU_SOFT_RING0	0x21300	/* the same for ring 0 of a guest that has one */
#define CPU_SYSTEM	0x21180	/* struct cpu_system, which begins with CR0, CR2, CR3, CR4 */
#define CPU_DESCRIPTOR_AT 0x21200	/* 16 x 4: where in guest memory a descriptor was loaded from, by its number... */
#define CPU_DESCRIPTOR_MINUS 0x21240	/* 16 x 8: ... and what it was, negated */
#define CPU_SCRATCH	0x212c0	/* 8: what PUSHF and POPF use in place of the stack */
#define CPU_KEPT	0x212c8	/* 4: where an indirect call goes, while its return address is pushed */
#define CPU_LOADABLE	0x180	/* 2 x 65536: by selector, the number of a cached descriptor that translated code may load */

/* In a jump table, behind r14: the places for those that were pushed out (jump.h). */
#define JUMP_SECOND_AT	0x86f58

/* Why translated code came back: cpu->reason. The first ones index CPU_EXITS. */
#define REASON_CHAIN	0	/* direct jump not yet chained; arg = link */
#define REASON_INDIRECT	1	/* jump table missed; eip = target, arg = depth (block.h) */
#define REASON_EMULATE	2	/* arg = decoded instruction, eip = where it stands */
#define REASON_NM	3	/* FPU instruction with TS set; eip = where it stands */
#define REASON_NEXT	4	/* eip = where to go on: the block has rewritten itself */
#define REASON_SOFT	5	/* a checked access missed: eip = where it stands, arg = address, soft_kind = size | write << 8 */
#define REASON_COUNT	6
#define REASON_KICK	8	/* entered with the kick flag up; nothing ran */
#define REASON_WRAP	7	/* put there by a signal handler: eip = an instruction whose address wraps, in a block that is not exact */
#define REASON_FAULT	9	/* put there by a signal handler, which filled cpu->exit */
#define REASON_APART	11	/* put there by a signal handler: eip = an instruction that rewrites the block it is in, which is cold */
#define REASON_VOID	10	/* put there by a signal handler: eip = an instruction that writes where there is no memory */

#ifndef __ASSEMBLER__

#include <stdatomic.h>
#include <stddef.h>

#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"

struct block;
struct slot;
struct frame;
struct frame_owner;
struct jump_table;
struct reach;
struct cost;

enum { DESCRIPTORS = 16, HOST_PAGES = 64, SOFT_ENTRIES = 256 };

/* The address space in force: mmu.c. */
struct mmu {
	const struct mmu_mode *mode;
	uint32_t root;			/* physical address of the tables, or MMU_LINEAR */
	uint32_t root_mask;		/* which bits of CR3 that is; 0: none */
	uint32_t limit;			/* lguest without paging: end of memory */
	uint64_t pdpte[4];		/* PAE: as they were when the root was loaded */
	uint32_t write_needs[2];	/* PTE bits a page needs to be written, by supervisor and user */
	uint32_t large_bit;		/* PTE_PS, if directory entries can have it */
	uint32_t all_local;		/* PTE_LOCAL, if nothing is global */
	uint32_t fetch_error;		/* PF_FETCH, if faults say so */
	uint32_t flags;			/* what else but the root decides rights */
	uint64_t reserved;		/* PAE: bits that no entry may have */
};

/* Pages of the kernel half, by linear number, that are not global; more than there is room for: any may be. */
struct local_pages {
	uint32_t page[32];
	unsigned count;
};

struct cpu {
	/* Touched by translated code. */
	uint32_t gpr[8];
	uint32_t eip;
	uint32_t reason;
	uint64_t flags;			/* host image: arithmetic flags and DF */
	uint8_t *window;		/* view in force */
	struct jump_table *table;	/* jump table in force */
	uint64_t host_sp;
	uint64_t target;		/* where glue_enter() jumps */
	uint32_t arg;
	_Atomic uint32_t kick;
	uint32_t ts;
	uint32_t soft_kind;
	uint32_t selector[S_COUNT];
	uint32_t hidden[S_COUNT];
	int64_t base_at[S_COUNT];
	void *exits[REASON_COUNT];
	uint32_t interrupt_flag;	/* FLAG_IF or 0 */
	uint32_t system_flags;		/* TF IOPL NT RF VM AC ID: never in the host's flags */
	uint32_t irq_pending;		/* FLAG_IF or 0 */
	uint32_t slide;			/* of the block that runs, or ran last */
	int64_t base_of[DESCRIPTORS];
	uint8_t loadable[2][65536];	/* [0] into DS and ES, [1] into FS and GS */
	struct soft_entry {		/* soft.h */
		uint32_t read, write;
		uint64_t addend;
	} soft[SOFT_ENTRIES];

	struct cpu_system system;
	uint64_t pad3;
	uint32_t descriptor_at[DESCRIPTORS];
	uint64_t descriptor_minus[DESCRIPTORS];
	uint64_t scratch;
	uint32_t kept;
	uint32_t pad4[13];
	struct soft_entry soft_ring0[SOFT_ENTRIES];

	/* The rest is for C. */
	struct segment descriptors[DESCRIPTORS];	/* hidden parts; [0] unused, [1] the null selector's */
	struct loadable {
		uint16_t selector;
		uint8_t table, number, max_cpl;
	} loadables[16];		/* what loadable[][] holds, and for whom */
	unsigned loadable_count;
	struct {
		uint32_t low, high;
		uint8_t number;		/* 0: nothing remembered */
	} known[32];			/* by selector: which cached descriptor its last contents became */
	struct segment segment_views[S_COUNT];	/* cpu_segment()'s answer */
	bool user;			/* CPL is 3 */
	uint8_t cpl;
	bool segmented;			/* CS, DS, ES or SS is not flat */
	bool code16;			/* CS is a segment of 16-bit code */
	bool fpu_released;
	bool system_mode;		/* cpu_config.system */
	bool quick_loop;		/* the host's LOOP is as cheap as JRCXZ (translate/flow.c) */
	bool shadow;			/* STI or a load of SS: the next instruction comes before any interrupt */

	const struct cpu_ops *ops;
	void *opaque;
	void (*inspect)(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip);
	struct cpu_ram ram;
	struct cpu_exit exit;
	struct insn insn;		/* exit.insn */
	struct cpu_stats stats;
	int thread;

	/* Pages of guest memory, and whom to tell: frame.h */
	struct frame *frames;		/* one for each page of ram */
	const struct frame_owner *frame_owner;
	void (*frame_protect)(struct cpu *cpu, uint32_t number);

	/* Translated code: block.c, jump.c */
	struct code_cache *cache;
	struct jump_table *kernel_table, *miss_table;
	struct jump_table **user_tables;	/* by slot.number */
	unsigned depth;			/* of the block that is entered next (block.h) */
	bool kernel_table_low;		/* it has entries below kernel_base */

	/* Address spaces: mmu.c, window.c */
	struct mmu mmu;
	struct local_pages local_code;	/* those with code that kernel_exec knows */
	uint8_t *void_ones, *void_sink;	/* one page each: what is read and what is written where there is no memory */
	int void_fd;			/* the first */
	_Atomic uint64_t *warm;		/* pieces of memory that the host has mapped as such, a bit each; NULL: page by page (warm.h) */
	struct slot *slots, *slot;	/* all; the one in force */
	bool cold;			/* that one's user code has all its accesses checked: slot.h */
	unsigned slot_count, slots_wanted;
	bool small_cache;		/* for want of memory: cpu.c */
	bool one_window;		/* for both views of a slot: slot.h */
	uint64_t slot_clock;
	uint32_t kernel_base;
	unsigned map_count, map_limit;
	bool distrust;			/* some slot is distrusted */
	const struct cost *cost;	/* of faults and mappings on this host: cost.h */
	const struct reach *reach;	/* how translated code gets at the window: reach.h */
	uint8_t *gs;			/* what the host's gs base holds: reach-gs.c */
	uint8_t *poison;		/* what the kernel believes it holds: reach-poison.c */
	struct {
		uint32_t page[128];
		unsigned count, kernel_done;
	} stale;			/* pages of the slot in force to look at before the guest runs on */
	uint32_t fault_page;		/* the page of the last page fault given to the guest, and how it was touched */
	bool fault_write, fault_user;
	uint32_t *kernel_exec[1024];	/* kernel pages with entries in kernel_table or chains: the entry they were seen at */

	/* Pages that C has lately reached as ring 0 does, for a guest that has one: mmu.c */
	struct host_page {
		uint64_t age;		/* valid while it is translation_age */
		uint32_t page, frame;
		uint8_t *host;
	} host_pages[2][HOST_PAGES];	/* to read, to write */
	uint64_t translation_age;

	/* Checked accesses: soft.c */
	struct soft_log {		/* entries in use, of soft[] and of soft_ring0[] */
		uint8_t index[SOFT_ENTRIES];
		unsigned count;
	} soft_log[2];
	struct {
		uint32_t eip, page;	/* of the last miss */
	} soft_missed;
	unsigned soft_misses;		/* that no window would have had */
	struct soft_insn *soft_insns;

	/* Written from outside (cpu_dirty on another thread): frames whose code must go. */
	_Atomic uint32_t outside_lock;
	uint32_t outside[64];
	_Atomic uint32_t outside_count;

	void *signal_stack;
	uint8_t *null_page;		/* inaccessible: base_at of a null selector */
	uint8_t fpu[512] __attribute__((aligned(64)));
};

#define CPU_CHECK(field, offset) _Static_assert(offsetof(struct cpu, field) == (offset), #field)
CPU_CHECK(gpr, CPU_GPR);
CPU_CHECK(eip, CPU_EIP);
CPU_CHECK(reason, CPU_REASON);
CPU_CHECK(flags, CPU_FLAGS);
CPU_CHECK(window, CPU_WINDOW);
CPU_CHECK(table, CPU_TABLE);
CPU_CHECK(host_sp, CPU_HOST_SP);
CPU_CHECK(target, CPU_TARGET);
CPU_CHECK(arg, CPU_ARG);
CPU_CHECK(kick, CPU_KICK);
CPU_CHECK(ts, CPU_TS);
CPU_CHECK(selector, CPU_SELECTOR);
CPU_CHECK(hidden, CPU_HIDDEN);
CPU_CHECK(base_at, CPU_BASE_AT);
CPU_CHECK(loadable, CPU_LOADABLE);
CPU_CHECK(exits, CPU_EXITS);
CPU_CHECK(base_of, CPU_BASE_OF);
CPU_CHECK(soft_kind, CPU_SOFT_KIND);
CPU_CHECK(loadable, CPU_LOADABLE);
CPU_CHECK(soft, CPU_SOFT);
CPU_CHECK(soft_ring0, CPU_SOFT_RING0);
CPU_CHECK(interrupt_flag, CPU_IF);
CPU_CHECK(system_flags, CPU_SYSTEM_FLAGS);
CPU_CHECK(irq_pending, CPU_IRQ_PENDING);
CPU_CHECK(slide, CPU_SLIDE);
CPU_CHECK(kept, CPU_KEPT);
CPU_CHECK(system, CPU_SYSTEM);
CPU_CHECK(descriptor_at, CPU_DESCRIPTOR_AT);
CPU_CHECK(descriptor_minus, CPU_DESCRIPTOR_MINUS);
CPU_CHECK(scratch, CPU_SCRATCH);

#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF | FLAG_DF)
#define FLAGS_SYSTEM (FLAG_TF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_ID)

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096u
#define PAGE_MASK 4095u

/* Where the code at @eip is: EIP, and all that blocks know of addresses, is an offset in CS. */
static inline uint32_t code_address(const struct cpu *cpu, uint32_t eip)
{
	return cpu->descriptors[cpu->hidden[S_CS]].base + eip;
}

/* How many bytes of code lie between @eip and the end of CS; UINT32_MAX: more than anyone asks for. */
static inline uint32_t code_left(const struct cpu *cpu, uint32_t eip)
{
	uint32_t limit = cpu->descriptors[cpu->hidden[S_CS]].limit;

	if (limit == UINT32_MAX)
		return UINT32_MAX;
	return eip <= limit ? limit - eip + 1 : 0;
}

/* Does code that runs now have all the accesses checked for which that can be done? */
static inline bool runs_cold(const struct cpu *cpu)
{
	return cpu->user && cpu->cold;
}

/* The processor of this thread; signal handlers find it here. */
extern __thread struct cpu *cpu_current;

/* glue.S */
uint32_t glue_enter(struct cpu *cpu);
extern const char glue_enter_end[], glue_kick[], glue_fault[];
extern const char glue_exit_indirect_end[], glue_exit_soft[], glue_exit_chain[], glue_exit_indirect[], glue_exit_emulate[], glue_exit_nm[], glue_exit_next[];

#endif
#endif
