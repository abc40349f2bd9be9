/* SPDX-License-Identifier: MIT */
/*
 * probe.c - what this host is like. See probe.h.
 *
 * An instruction that may not exist is tried under a handler that steps over it. A page fault made on purpose shows what frames look like.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cpu/x86/space/probe.h"

#include "cpu/x86/state.h"

enum { HWCAP2_HAS_FSGSBASE = 2, RDGSBASE_LEN = 5 };

static struct probe found;
static bool looked;

/* What the handlers saw. */
static volatile bool undefined;
static volatile greg_t seen_trap, seen_error;
static uint8_t *volatile trap_page;

bool probe_forced(const char *key, char *value, unsigned size)
{
	const char *at = getenv("KENNEL_HOST");
	size_t length = strlen(key);

	for (; at && *at; at += strcspn(at, ","), at += *at == ',') {
		size_t have;

		if (strncmp(at, key, length) || at[length] != '=')
			continue;
		at += length + 1;
		have = strcspn(at, ",");
		if (have >= size)
			have = size - 1;
		memcpy(value, at, have);
		value[have] = 0;
		return true;
	}
	return false;
}

static void on_undefined(int signal, siginfo_t *info, void *context)
{
	undefined = true;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += RDGSBASE_LEN;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	seen_trap = regs[REG_TRAPNO];
	seen_error = regs[REG_ERR];
	mprotect(trap_page, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

/* If reading the base is possible, so is writing it: one bit of CR4 decides about both. */
static bool runs_rdgsbase(void)
{
	struct sigaction action = { .sa_sigaction = on_undefined, .sa_flags = SA_SIGINFO }, before;
	uint64_t base = 0;

	undefined = false;
	if (sigaction(SIGILL, &action, &before))
		return false;
	__asm__ volatile(".byte 0xf3, 0x48, 0x0f, 0xae, 0xc8" : "+a"(base));
	sigaction(SIGILL, &before, NULL);
	return !undefined;
}

/* A write to a page that may not be written: Linux says 14 and 6 or 7. */
static bool has_blind_frames(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;
	volatile uint8_t *page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return false;
	trap_page = (uint8_t *)page;
	seen_trap = seen_error = 0;
	if (!sigaction(SIGSEGV, &action, &before)) {
		*page = 1;
		sigaction(SIGSEGV, &before, NULL);
	}
	munmap((void *)page, PAGE_SIZE);
	return seen_trap != TRAP_PF || !(seen_error & PF_WRITE);
}

static void look(void)
{
	char word[16];

	found.fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE;
	found.linux_frames = !has_blind_frames();
	found.blind_frames = !found.linux_frames || (probe_forced("frames", word, sizeof(word)) && !strcmp(word, "blind"));
	found.wrgsbase = found.fsgsbase || (found.linux_frames && runs_rdgsbase());
}

const struct probe *probe_host(void)
{
	if (!looked)
		look();
	looked = true;
	return &found;
}
