/* SPDX-License-Identifier: MIT */
/* cost.c - what faults and mappings cost on this host. See cost.h. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cpu/x86/space/cost.h"

#include "cpu/x86/space/probe.h"
#include "cpu/x86/state.h"

/* Each figure is the least of a few tries; fewer, where they take long, but never only one, which may have been interrupted. */
enum { TRIES = 8, FEWEST = 3, LONG_NS = 400000 };

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

/* An old size of 0 maps the second page, which is shared, once more. */
static void map_again(uint8_t *page)
{
	mremap(page + PAGE_SIZE, 0, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, page);
}

static void touch(uint8_t *page)
{
	*(volatile uint8_t *)page = 1;
}

/* What @once costs, with @before done outside of the clock. */
static uint32_t least(uint8_t *page, void (*before)(uint8_t *page), void (*once)(uint8_t *page))
{
	uint64_t begun = now(), least = UINT32_MAX;

	for (unsigned i = 0; i < TRIES && (i < FEWEST || now() - begun < LONG_NS); i++) {
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
	touch(page);
}

static void reserve(uint8_t *page)
{
	(void)mmap(page, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static void map_over(uint8_t *page)
{
	reserve(page);
	map_again(page);
}

static void measure(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, before;
	uint8_t *page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || sigaction(SIGSEGV, &action, &before))
		return;
	fault_page = page;	/* also where moving it there is refused */
	touch(page + PAGE_SIZE);
	found.map = least(page, reserve, map_again);
	found.touch = least(page, map_over, touch);
	found.map += found.touch;
	use(page);
	found.signal = least(page, hide, touch);	/* with the call that ends the fault, which grants and is cheap */
	found.take = least(page, use, hide);
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
	enum { TRIED_NS = 11000, CHECK_AFTER = 6, WORTH_IT = 96, COLD_NS = 25000 };

	found.page = found.signal + found.map + found.take + 1;
	found.check_after = between((uint64_t)CHECK_AFTER * TRIED_NS / found.page, 1, 2 * CHECK_AFTER);
	found.worth_it = between((uint64_t)WORTH_IT * TRIED_NS / found.page, 8, 2 * WORTH_IT);
	found.cold_start = found.page > COLD_NS;
	found.pieces = found.touch > 1500;
	/* A page that is hidden along comes back, if it does at all, by a signal and a call that grants. */
	found.bridge = found.take > 3000 ? between(2 * found.take / (found.signal + 1), 1, 4) : 0;
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
