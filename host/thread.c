/* SPDX-License-Identifier: MIT */
#include "host/thread.h"

#include <signal.h>

static const int own_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *opaque), void *opaque)
{
	sigset_t quiet, before;
	int error;

	sigfillset(&quiet);
	for (unsigned int i = 0; i < sizeof(own_faults) / sizeof(own_faults[0]); i++)
		sigdelset(&quiet, own_faults[i]);
	/* A thread inherits its creator's mask: set it here, and there is no moment in which the new thread could be hit. */
	pthread_sigmask(SIG_SETMASK, &quiet, &before);
	error = pthread_create(thread, NULL, run, opaque);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_setname_np(*thread, name);
	return -error;
}
