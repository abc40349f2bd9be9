/* SPDX-License-Identifier: MIT */
/* cost.c - what faults and mappings cost on this host. See cost.h. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cpu/x86/space/cost.h"

#include "cpu/x86/space/probe.h"
#include "cpu/x86/state.h"

/* Each figure is the least of a few tries; fewer, where they take long. */
enum { TRIES = 8, LONG_NS = 400000 };

static struct cost found;
static bool looked;

static uint8_t *volatile fault_page;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	mprotect(fault_page, PAGE_SIZE, PROT_READ | PROT_WRITE);
}

/* With the mprotect() that ends it, which grants and is cheap. */
static void fault_once(uint8_t *page)
{
	fault_page = page;
	*(volatile uint8_t *)page = 1;
}

static void map_once(uint8_t *page)
{
	if (mremap(page + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page) == page)
		*(volatile uint8_t *)page = 1;
}

static void touch_once(uint8_t *page)
{
	*(volatile uint8_t *)page = 1;
}

static void take_once(uint8_t *page)
{
	mprotect(page, PAGE_SIZE, PROT_NONE);
}

/* What @once costs, with @before done outside of the clock. */
static uint32_t least(uint8_t *page, void (*before)(uint8_t *page), void (*once)(uint8_t *page))
{
	uint64_t begun = now(), least = LONG_NS;

	for (unsigned i = 0; i < TRIES && now() - begun < LONG_NS; i++) {
		uint64_t start, end;

		before(page);
		start = now();
		once(page);
		end = now();
		if (end - start < least)
			least = end - start;
	}
	return (uint32_t)least;
}

static void hide(uint8_t *page)
{
	mprotect(page, PAGE_SIZE, PROT_NONE);
}

static void use(uint8_t *page)
{
	mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE);
	*(volatile uint8_t *)page = 1;
}

/* The second page: shared memory, as guest RAM is, to be moved over the first. */
static void fresh(uint8_t *page)
{
	mmap(page, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	*(volatile uint8_t *)(page + PAGE_SIZE) = 1;
}

static void moved(uint8_t *page)
{
	fresh(page);
	mremap(page + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page);
}

static void measure(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;
	uint8_t *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || sigaction(SIGSEGV, &action, &before))
		return;
	found.map = least(page, fresh, map_once);
	found.touch = least(page, moved, touch_once);
	use(page);
	found.signal = least(page, hide, fault_once);
	found.take = least(page, use, take_once);
	sigaction(SIGSEGV, &before, NULL);
	munmap(page, 2 * PAGE_SIZE);
}

static unsigned between(uint64_t value, unsigned least, unsigned most)
{
	return value < least ? least : value > most ? most : (unsigned)value;
}

/*
 * What an instruction loses by being checked, it loses a few nanoseconds at a time: the two numbers of soft.h were found by trying, on a
 * host where a page in a window cost some 11 us from its fault to its end, and keep their meaning in time.
 */
static void decide(void)
{
	enum { TRIED_NS = 11000, CHECK_AFTER = 6, WORTH_IT = 96 };
	found.page = found.signal + found.map + found.take + 1;
	found.check_after = between((uint64_t)CHECK_AFTER * TRIED_NS / found.page, 1, 2 * CHECK_AFTER);
	found.worth_it = between((uint64_t)WORTH_IT * TRIED_NS / found.page, 8, 2 * WORTH_IT);
	found.pieces = found.touch > 1500;
	/* A page that is hidden along comes back, if it does at all, by a signal and a call that grants. */
	found.bridge = found.take > 8000 ? between(2 * found.take / (found.signal + 1), 1, 4) : 0;
}

static void look(void)
{
	char word[16];

	found = (struct cost){ .signal = 3100, .map = 6300, .touch = 500, .take = 1400 };
	if (!probe_forced("costs", word, sizeof(word)))
		measure();
	else if (!strcmp(word, "dear"))
		found = (struct cost){ .signal = 12000, .map = 16000, .touch = 12000, .take = 25000 };
	decide();
}

const struct cost *cost_of_host(void)
{
	if (!looked)
		look();
	looked = true;
	return &found;
}
