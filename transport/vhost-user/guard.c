/* SPDX-License-Identifier: MIT */
/*
 * guard.c - SIGBUS in shared memory whose file was made shorter by the process that we share it with.
 *
 * Checking the file's size when it arrives does not help against a size that changes later, and asking for a sealed file would turn away
 * front ends that share an ordinary one. So the handler puts zeros where the mapping was, as private memory of ours, and lets the access
 * go on: the ring or request it belongs to is nonsense from then on, which is what rings and requests of a hostile driver may be anyway.
 * (Access by the kernel on our behalf is no signal: that system call fails with EFAULT.)
 *
 * The table is read by a signal handler, so entries are written in an order that never shows half of one.
 */
#include <transport/vhost-user/regions.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define ENTRIES (4 * VHOST_USER_SLOTS)	/* several back ends in one process */

static struct {
	_Atomic uintptr_t start;	/* 0: free */
	_Atomic size_t len;
} entries[ENTRIES];

static atomic_uint hits;

void vhost_user_guard_add(void *map, size_t len)
{
	for (unsigned int i = 0; i < ENTRIES; i++) {
		if (atomic_load(&entries[i].start))
			continue;
		atomic_store(&entries[i].len, len);
		/* release: pairs with the handler's acquire; the length is there before the address. */
		atomic_store_explicit(&entries[i].start, (uintptr_t)map, memory_order_release);
		return;
	}
}

void vhost_user_guard_remove(void *map)
{
	for (unsigned int i = 0; i < ENTRIES; i++)
		if (atomic_load(&entries[i].start) == (uintptr_t)map)
			atomic_store(&entries[i].start, 0);
}

unsigned int vhost_user_guard_hits(void)
{
	return atomic_load(&hits);
}

static void on_bus_error(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	for (unsigned int i = 0; i < ENTRIES; i++) {
		uintptr_t start = atomic_load_explicit(&entries[i].start, memory_order_acquire);
		size_t len = atomic_load(&entries[i].len);

		if (!start || at - start >= len)
			continue;
		if (mmap((void *)start, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) ==
		    MAP_FAILED)
			break;
		atomic_fetch_add(&hits, 1);
		errno = saved;
		return;
	}
	/* Not ours: the access is repeated, and ends the process as it would have. */
	signal(signo, SIG_DFL);
	errno = saved;
}

int vhost_user_guard_install(void)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) ? -errno : 0;
}
