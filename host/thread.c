/* SPDX-License-Identifier: MIT */
#include "host/thread.h"

#include <signal.h>
#include <string.h>

static const int own_faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

/* Not the 8 MiB that are usual: a host that limits addresses, or promises no memory that it does not have, counts all of a stack. */
enum { STACK_SIZE = 1 << 20 };

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *opaque), void *opaque)
{
	pthread_attr_t attributes;
	sigset_t quiet, before;
	int error;

	sigfillset(&quiet);
	for (unsigned int i = 0; i < sizeof(own_faults) / sizeof(own_faults[0]); i++)
		sigdelset(&quiet, own_faults[i]);
	/* A thread inherits its creator's mask: set it here, and there is no moment in which the new thread could be hit. */
	pthread_sigmask(SIG_SETMASK, &quiet, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	error = pthread_create(thread, &attributes, run, opaque);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_setname_np(*thread, name);
	return -error;
}

int thread_refused(struct error *err, int number)
{
	return error_set(err, -number, "cannot start a thread: %s (is there a limit on processes or memory? ulimit -u, -v, -d)",
			 strerrordesc_np(-number) ?: "unknown error");
}
