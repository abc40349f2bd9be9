/* SPDX-License-Identifier: MIT */
/* io_lock.c - the lock around all device code (device/backend.h). */
#include <assert.h>
#include <pthread.h>

#include "host/loop/loop.h"

static pthread_mutex_t io_mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static _Thread_local bool io_held;

void io_lock(void)
{
	assert(!io_held);
	pthread_mutex_lock(&io_mutex);
	io_held = true;
}

void io_unlock(void)
{
	assert(io_held);
	io_held = false;
	pthread_mutex_unlock(&io_mutex);
}

bool io_locked(void)
{
	return io_held;
}
