/* SPDX-License-Identifier: MIT */
/*
 * fault.c - signals that arrive in translated code.
 *
 * A fault on a guest page either fills the window and lets the instruction try again, or is the guest's own. In the second case,
 * and for every other exception that the host processor raises for the guest's instruction, the handler works out the guest's
 * EIP from the host's, undoes what the translator's sequence did to the registers so far, and makes the interrupted context go
 * on in glue_fault, which stores the registers and returns to C. All that has to be undone is
 *
 *  - pushes and pops so far that rsp does not know of yet (block.h);
 *  - string instructions: ESI and EDI are host addresses; cutting every register to 32 bits is enough;
 *  - an access wrapped in two XCHGs (address.c): the register's halves are swapped back; one that borrowed EDI gives it back.
 *
 * A kick finds translated code running: it makes the block that runs come back when it ends, by unchaining it and
 * by putting the table without entries in force. A jump that has already read its target from the table still goes there: that
 * block's address is in r11, so the block there is unchained as well. That look-up may also be under way in glue.S.
 *
 * Handlers run on their own stack with all signals blocked. The kernel saves and restores the guest's vector registers around
 * them, so here, unlike in the rest of this folder, any C is allowed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu/x86/fault.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/cache/jump.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/space/window.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"
#include "cpu/x86/trap.h"

__thread struct cpu *cpu_current;

enum { SIGNAL_STACK = 64 * 1024 };

static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
enum { FAULT_SIGNALS = sizeof(fault_signals) / sizeof(fault_signals[0]) };

static struct sigaction previous[FAULT_SIGNALS];
static bool installed;

static const int guest_register[8] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI };

int fault_kick_signal(void)
{
	return SIGRTMIN + 4;
}

/* The host's instruction at the PC: is it a string instruction? That may have rewritten its own guest bytes by now. */
static bool at_string(struct cpu *cpu, uint32_t host)
{
	const uint8_t *code = cache_write_at(cpu->cache, host);

	while (*code == 0x66 || *code == 0xf2 || *code == 0xf3)
		code++;
	return *code >= 0xa4 && *code <= 0xaf;
}

static void unswap(struct cpu *cpu, const struct block *block, const struct point *point, greg_t *regs)
{
	struct insn insn;
	int swapped;

	if (at_string(cpu, (uint32_t)regs[REG_RIP]))
		return;
	block_decode(cpu, block, point, &insn);
	if (address_moves_edi(cpu, &insn))
		regs[REG_RDI] = regs[REG_R10];
	swapped = address_swaps(cpu, &insn);
	if (swapped < 0)
		return;
	uint64_t v = (uint64_t)regs[guest_register[swapped]];

	regs[guest_register[swapped]] = (greg_t)((v & ~0xffffull) | (v & 0xff) << 8 | (v >> 8 & 0xff));
}

/* Leave translated code: what glue_fault stores must be the guest's registers at the instruction. */
static void leave(struct cpu *cpu, greg_t *regs, uint32_t eip, uint32_t reason)
{
	for (unsigned i = 0; i < 8; i++)
		regs[guest_register[i]] &= 0xffffffff;
	cpu->eip = eip;
	cpu->reason = reason;
	regs[REG_RIP] = (greg_t)(uintptr_t)glue_fault;
}

/* Leave at the beginning of the instruction that could not be run. @accessed: it was accessing memory. Returns its EIP. */
static uint32_t leave_at(struct cpu *cpu, const struct block *block, greg_t *regs, uint32_t reason, bool accessed)
{
	struct point point = point_at(cpu, block, (uint32_t)regs[REG_RIP]);
	uint32_t eip = block->eip + point.guest + cpu->slide;

	if (accessed)
		unswap(cpu, block, &point, regs);
	regs[REG_RSP] += point.esp;
	leave(cpu, regs, eip, reason);
	return eip;
}

static void raise_in_guest(struct cpu *cpu, const struct block *block, greg_t *regs, const struct cpu_fault *fault, bool accessed)
{
	uint32_t eip = leave_at(cpu, block, regs, REASON_FAULT, accessed);

	cpu->exit = (struct cpu_exit){ .kind = EXIT_FAULT, .vector = fault->vector, .error = fault->error,
				       .address = fault->address, .eip = eip };
	cpu->stats.guest_faults++;
}

/*
 * A write to a page with translated code: the code has been dropped and the write goes ahead. If the running block was among it, the
 * instruction that writes is the last of it that may run: behind it the block, which nobody can enter any more, gets a way out. (One that is
 * cold has no room for that. The instruction runs apart.)
 */
static void write_to_code(struct cpu *cpu, const struct block *block, greg_t *regs, uint32_t frame)
{
	bool own = block->physical >> PAGE_SHIFT == frame || (block->second && block->second == frame);
	struct point next = point_at(cpu, block, (uint32_t)regs[REG_RIP]);

	if (own && block->flags & BLOCK_COLD)
		leave_at(cpu, block, regs, REASON_APART, true);
	else if (own && point_next(cpu, block, &next))
		translate_end_early(cpu, block, &next);
}

/* The instruction has cost a signal. After several, it is translated anew, with a check (soft.h), in all blocks that have it. */
static void note_fault(struct cpu *cpu, const struct block *block, uint32_t host)
{
	uint32_t physical = block->physical + point_at(cpu, block, host).guest;

	if (block->flags & (BLOCK_DEAD | BLOCK_COLD) || !soft_note_fault(cpu, physical))
		return;
	cpu->frames[physical >> PAGE_SHIFT].soft = 1;
	block_drop_at(cpu, physical);
}

/* A kick found the guest in a block with checked accesses: are they worth it? */
static void note_met(struct cpu *cpu, struct block *block)
{
	struct point point = point_first(cpu, block);
	bool over = false;

	if ((block->flags & (BLOCK_SOFT | BLOCK_COLD)) != BLOCK_SOFT)
		return;
	do {
		over |= soft_note_met(cpu, block->physical + point.guest);
	} while (point_next(cpu, block, &point));
	if (over)
		block_drop(cpu, block);
}

static void page_fault(struct cpu *cpu, struct block *block, greg_t *regs, uint32_t linear, bool write)
{
	struct cpu_fault fault;
	uint32_t frame;

	cpu->stats.host_faults++;
	note_fault(cpu, block, (uint32_t)regs[REG_RIP]);
	switch (window_fault(cpu, linear, write, &frame, &fault)) {
	case WINDOW_MAPPED:
		break;
	case WINDOW_FAULT:
		raise_in_guest(cpu, block, regs, &fault, true);
		break;
	case WINDOW_CODE:
		write_to_code(cpu, block, regs, frame);
		break;
	case WINDOW_VOID:
		leave_at(cpu, block, regs, REASON_VOID, true);
		break;
	}
}

/* Does a host address lie in the guard of the view in force: an access that wraps at 4 GiB? */
static bool in_guard(const struct cpu *cpu, uint64_t host)
{
	uint64_t window = (uint64_t)(uintptr_t)cpu->window;

	return host - (window - window_guard(cpu)) < window_guard(cpu) || host - (window + (1ull << 32)) < window_guard(cpu);
}

static const struct cpu_fault protection = { .vector = TRAP_GP };

static bool missed(struct cpu *cpu, struct block *block, greg_t *regs, const siginfo_t *info, bool write)
{
	uint64_t host = (uint64_t)(uintptr_t)info->si_addr, window = (uint64_t)(uintptr_t)cpu->window;

	if (host - window < 1ull << 32) {
		page_fault(cpu, block, regs, (uint32_t)(host - window), write);
		return true;
	}
	if (cpu->reach->repair(cpu, host))
		return true;
	if (host - (uint64_t)(uintptr_t)cpu->null_page < PAGE_SIZE) {
		raise_in_guest(cpu, block, regs, &protection, false);
		return true;
	}
	if (!in_guard(cpu, host))
		return false;
	if (cpu->reach->by_register && !(block->flags & BLOCK_EXACT)) {
		cpu->frames[(block->physical + point_at(cpu, block, (uint32_t)regs[REG_RIP]).guest) >> PAGE_SHIFT].exact = 1;
		leave_at(cpu, block, regs, REASON_WRAP, true);
		block_drop(cpu, block);
		return true;
	}
	raise_in_guest(cpu, block, regs, &protection, true);
	return true;
}

static bool handle(int signal, const siginfo_t *info, greg_t *regs)
{
	struct cpu *cpu = cpu_current;
	struct cpu_fault fault = { 0 };
	struct block *block;
	struct trap trap;

	if (!cpu || !cache_contains(cpu->cache, (uint64_t)regs[REG_RIP]))
		return false;
	block = block_at(cpu, (uint32_t)regs[REG_RIP]);
	if (!block)
		return false;
	trap = trap_read(cpu, signal, info, regs);
	fault.vector = trap.vector;
	switch (trap.vector) {
	case TRAP_PF:
		return missed(cpu, block, regs, info, trap.write);
	case TRAP_GP:		/* a misaligned SSE operand, a reserved MXCSR bit */
	case TRAP_DE: case TRAP_UD: case TRAP_MF: case TRAP_XM: case TRAP_AC:
		raise_in_guest(cpu, block, regs, &fault, true);
		return true;
	default:
		return false;
	}
}

/* Not ours: let whoever had the signal before us have it again, now and for good. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code <= 0 || !handle(signal, info, ((ucontext_t *)context)->uc_mcontext.gregs)) {
		for (unsigned i = 0; i < FAULT_SIGNALS; i++)
			if (fault_signals[i] == signal)
				sigaction(signal, &previous[i], NULL);
		if (info->si_code <= 0)		/* sent, not caused: it would not come again by itself */
			raise(signal);
	}
	errno = saved;
}

static void unchain_at(struct cpu *cpu, uint64_t host)
{
	struct block *block = cache_contains(cpu->cache, host) ? block_at(cpu, (uint32_t)host) : NULL;

	if (!block)
		return;
	block_unchain(cpu, block);
	note_met(cpu, block);
}

static void on_kick(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	uint64_t pc = (uint64_t)regs[REG_RIP];
	struct cpu *cpu = cpu_current;

	if (!cpu)
		return;
	cpu->stats.kicks++;
	if (runs_cold(cpu))
		cpu->slot->met++;
	if (cache_contains(cpu->cache, pc) || (pc >= (uintptr_t)glue_exit_indirect && pc < (uintptr_t)glue_exit_indirect_end)) {
		unchain_at(cpu, pc);
		unchain_at(cpu, (uint64_t)regs[REG_R11]);
		regs[REG_R14] = (greg_t)(uintptr_t)cpu->miss_table;
	} else if (pc >= (uintptr_t)glue_enter && pc < (uintptr_t)glue_enter_end) {
		cpu->target = (uintptr_t)glue_kick;
	}
}

static int install_handlers(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigfillset(&action.sa_mask);
	for (unsigned i = 0; i < FAULT_SIGNALS; i++)
		if (sigaction(fault_signals[i], &action, installed ? NULL : &previous[i]))
			return -1;
	action.sa_sigaction = on_kick;
	action.sa_flags |= SA_RESTART;
	if (sigaction(fault_kick_signal(), &action, NULL))
		return -1;
	installed = true;
	return 0;
}

int fault_install(struct cpu *cpu)
{
	stack_t stack = { .ss_size = SIGNAL_STACK };
	sigset_t kick;

	stack.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL))
		return -1;
	cpu->signal_stack = stack.ss_sp;
	sigemptyset(&kick);
	sigaddset(&kick, fault_kick_signal());
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	cpu_current = cpu;
	return install_handlers();
}

void fault_remove(struct cpu *cpu)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	if (!cpu->signal_stack)
		return;
	cpu_current = NULL;
	sigaltstack(&none, NULL);
	munmap(cpu->signal_stack, SIGNAL_STACK);
}
