/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - making a processor, and its plain state.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/x86/state.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/fault.h"
#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/probe.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/space/void.h"
#include "cpu/x86/space/warm.h"
#include "cpu/x86/space/window.h"
#include "cpu/x86/system/hostid.h"
#include "cpu/x86/system/segment.h"
#include "cpu/x86/system/system.h"

enum { DEFAULT_SLOTS = 8, DEFAULT_CODE_CACHE = 48 << 20, LEAST_CODE_CACHE = 3 << 20 };

/* What takes as much memory as it gets, here, leaves this much to the rest of the process: to its threads and devices. */
enum { SPARE = 24 << 20 };

/* Where memory or addresses are short, less of it: some guests then translate their code more than once. */
static bool create_cache(struct cpu *cpu, size_t wanted, const char **error)
{
	size_t size = wanted ? wanted : DEFAULT_CODE_CACHE;

	while (block_cache_create(cpu, size, error)) {
		block_cache_destroy(cpu);
		if (wanted || size / 2 < LEAST_CODE_CACHE)
			return false;
		size /= 2;
		cpu->small_cache = true;
	}
	return true;
}

static bool create_parts(struct cpu *cpu, const struct cpu_config *config, const char **error)
{
	cpu->reach = reach_choose(error);
	if (!cpu->reach || cpu->reach->create(cpu, error))
		return false;
	cpu->cost = cost_of_host();
	cpu->null_page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (cpu->null_page == MAP_FAILED) {
		*error = "no memory for a processor";
		return false;
	}
	cpu->slots_wanted = config->slots ? config->slots : DEFAULT_SLOTS;
	if (frames_create(cpu, &block_owner, codepage_protect, error))
		return false;
	if (!create_cache(cpu, config->code_cache, error))
		return false;
	if (warm_create(cpu)) {
		*error = "no memory for a processor";
		return false;
	}
	if (void_create(cpu, error))
		return false;
	if (soft_create(cpu)) {
		*error = "no memory for a processor";
		return false;
	}
	if (fault_install(cpu)) {
		*error = "cannot install signal handlers";
		return false;
	}
	/* Last, since they take what they can get of the host's addresses. */
	return !window_create(cpu, cpu->slots_wanted, error);
}

struct cpu *cpu_create(const struct cpu_config *config, const char **error)
{
	struct cpu *cpu = mmap(NULL, sizeof(*cpu), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *spare;
	bool made;

	if (cpu == MAP_FAILED) {
		*error = "no memory for a processor";
		return NULL;
	}
	cpu->ops = config->ops;
	cpu->opaque = config->opaque;
	cpu->inspect = config->inspect;
	cpu->ram = config->ram;
	cpu->system_mode = config->system;
	cpu->system.cr0 = CR0_PE | CR0_ET;
	cpu->system.dr[6] = DR6_ONES;
	cpu->system.dr[7] = DR7_ONES;
	cpu->kernel_base = ~PAGE_MASK;
	cpu->thread = (int)syscall(SYS_gettid);
	cpu->exits[REASON_CHAIN] = (void *)glue_exit_chain;
	cpu->exits[REASON_INDIRECT] = (void *)glue_exit_indirect;
	cpu->exits[REASON_EMULATE] = (void *)glue_exit_emulate;
	cpu->exits[REASON_NM] = (void *)glue_exit_nm;
	cpu->exits[REASON_NEXT] = (void *)glue_exit_next;
	cpu->exits[REASON_SOFT] = (void *)glue_exit_soft;
	cpu->quick_loop = hostid_quick_loop();
	cpu->flags = FLAG_IF | 2;
	cpu->translation_age = 1;
	spare = mmap(NULL, SPARE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	made = create_parts(cpu, config, error);
	if (spare != MAP_FAILED)
		munmap(spare, SPARE);
	if (!made) {
		cpu_destroy(cpu);
		return NULL;
	}
	segment_reset(cpu);
	return cpu;
}

const char *cpu_window_way(const char **sentence)
{
	const struct reach *reach = reach_choose(sentence);

	if (!reach)
		return NULL;
	*sentence = reach->what;
	return reach->name;
}

void cpu_host_line(char *line, size_t size)
{
	const struct cost *cost = cost_of_host();
	const char *ignored, *way = cpu_window_way(&ignored);

	snprintf(line, size, "guest memory by way of %s%s; a signal costs %u ns, a mapping %u, taking one away %u: instructions are checked after "
		 "%u fault%s, pages go %s, memory is mapped in %s", way ? way : "nothing", probe_host()->blind_frames ? ", frames blind" : "",
		 cost->signal, cost->map, cost->take, cost->check_after, cost->check_after == 1 ? "" : "s",
		 cost->bridge ? "together" : "one by one", cost->pieces ? "pieces" : "pages");
}

const char *cpu_makes_do(const struct cpu *cpu)
{
	if (cpu->one_window)
		return "addresses or memory are limited (ulimit -v, -d): the guest's kernel and its programs take turns in one window, which is slow";
	if (cpu->slot_count < cpu->slots_wanted)
		return "addresses or memory are limited (ulimit -v, -d): fewer of the guest's address spaces are kept at a time, "
		       "and changing between them is slower";
	return cpu->small_cache ? "memory is limited: there is less room than usual for translated code" : NULL;
}

void cpu_destroy(struct cpu *cpu)
{
	fault_remove(cpu);
	void_destroy(cpu);
	warm_destroy(cpu);
	block_cache_destroy(cpu);
	window_destroy(cpu);
	soft_destroy(cpu);
	if (cpu->reach)
		cpu->reach->destroy(cpu);
	frames_destroy(cpu);
	if (cpu->null_page)
		munmap(cpu->null_page, PAGE_SIZE);
	munmap(cpu, sizeof(*cpu));
}

void cpu_kick(struct cpu *cpu)
{
	if (!atomic_exchange_explicit(&cpu->kick, 1, memory_order_seq_cst))
		syscall(SYS_tgkill, getpid(), cpu->thread, fault_kick_signal());
}

uint32_t *cpu_gpr(struct cpu *cpu)
{
	return cpu->gpr;
}

uint32_t cpu_eip(const struct cpu *cpu)
{
	return cpu->eip;
}

void cpu_set_eip(struct cpu *cpu, uint32_t eip)
{
	cpu->eip = eip;
}

uint32_t cpu_eflags(const struct cpu *cpu)
{
	return (uint32_t)(cpu->flags & FLAGS_ARITHMETIC) | cpu->system_flags | cpu->interrupt_flag | 2;
}

void cpu_set_eflags(struct cpu *cpu, uint32_t eflags)
{
	cpu->flags = (eflags & FLAGS_ARITHMETIC) | FLAG_IF | 2;
	cpu->system_flags = eflags & (cpu->system_mode ? FLAGS_SYSTEM & ~(uint32_t)(FLAG_RF | FLAG_VM) : FLAGS_SYSTEM);
	cpu->interrupt_flag = eflags & FLAG_IF;
}

unsigned cpu_cpl(const struct cpu *cpu)
{
	return cpu->cpl;
}

void cpu_set_ts(struct cpu *cpu, bool ts)
{
	cpu->ts = ts;
}

void cpu_set_irq_pending(struct cpu *cpu, bool pending)
{
	cpu->irq_pending = pending ? FLAG_IF : 0;
}

const struct cpu_ops *cpu_ops(struct cpu *cpu, void **opaque)
{
	*opaque = cpu->opaque;
	return cpu->ops;
}

const struct cpu_stats *cpu_stats(const struct cpu *cpu)
{
	return &cpu->stats;
}
