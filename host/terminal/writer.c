/* SPDX-License-Identifier: MIT */
/*
 * The thread sleeps on a condition while there is nothing to write, and in write() while the other end takes nothing. One that is
 * found there at the end is left to itself: it has its own descriptor, and frees everything if it ever comes back. Non-blocking
 * descriptors (ours, or made so by a neighbour) are waited for with poll().
 *
 * Guests print in small pieces (hvc consoles: 16 bytes), and waking a thread for each costs more than the piece. So what comes
 * within a millisecond of the last write is gathered: a key's echo goes out at once, a long listing in large writes.
 */
#include "host/terminal/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/thread.h"

#define CHUNK	16384u
#define GATHER_NS	NSEC_PER_MSEC

struct writer {
	int fd;
	size_t bound;
	pthread_t thread;
	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t more, less;
	size_t head, used;		/* head: the oldest byte */
	size_t dropped;			/* bytes, since there was last room */
	uint64_t written;		/* bytes, ever */
	uint64_t last_ns;		/* when the last write ended */
	bool failed, ending, abandoned;
	char chunk[CHUNK];		/* the thread's own */
	char data[];
};

/* Write all of @data. False when the other end is gone. Runs without the lock. */
static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EAGAIN) {
			struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

			poll(&pollfd, 1, -1);
		} else if (done < 0 && errno != EINTR) {
			return false;
		} else if (done > 0) {
			data += done;
			len -= (size_t)done;
		}
	}
	return true;
}

static bool write_notice(struct writer *writer, size_t dropped)
{
	char text[96];
	int len = snprintf(text, sizeof(text), "\r\n[kennel: %zu bytes of output were dropped here]\r\n", dropped);

	return write_all(writer->fd, text, (size_t)len);
}

/* Write the oldest bytes out. Called and returns with the lock, which it lets go of meanwhile. False when the other end is gone. */
static bool write_some(struct writer *writer)
{
	size_t at = writer->head, len = writer->used < CHUNK ? writer->used : CHUNK, dropped;
	bool good;

	if (len > writer->bound - at)
		len = writer->bound - at;
	memcpy(writer->chunk, writer->data + at, len);
	/* What was dropped came after all that is in the buffer: say so once that is out. */
	dropped = writer->used == len ? writer->dropped : 0;
	pthread_mutex_unlock(&writer->lock);
	good = write_all(writer->fd, writer->chunk, len) && (!dropped || write_notice(writer, dropped));
	pthread_mutex_lock(&writer->lock);
	writer->head = (at + len) % writer->bound;
	writer->used -= len;
	writer->dropped -= dropped;
	writer->written += len + dropped;
	writer->last_ns = clock_monotonic_ns();
	pthread_cond_broadcast(&writer->less);
	return good;
}

/* Too soon after the last write, and little to write: wait for more to come with it. */
static void gather(struct writer *writer)
{
	uint64_t now = clock_monotonic_ns(), due = writer->last_ns + GATHER_NS;
	struct timespec nap = { .tv_nsec = (long)(due - now) };

	if (now >= due || writer->used >= CHUNK || writer->ending)
		return;
	pthread_mutex_unlock(&writer->lock);
	nanosleep(&nap, NULL);
	pthread_mutex_lock(&writer->lock);
}

/* True if there is something to write; false at the end. */
static bool wait_for_more(struct writer *writer)
{
	while (!writer->used && !writer->dropped && !writer->ending)
		pthread_cond_wait(&writer->more, &writer->lock);
	gather(writer);
	return (writer->used || writer->dropped) && !writer->abandoned;
}

static void writer_free(struct writer *writer)
{
	pthread_cond_destroy(&writer->more);
	pthread_cond_destroy(&writer->less);
	pthread_mutex_destroy(&writer->lock);
	close(writer->fd);
	free(writer);
}

static void write_until_end(struct writer *writer)
{
	bool abandoned;

	pthread_mutex_lock(&writer->lock);
	while (wait_for_more(writer))
		if (!write_some(writer))
			break;
	writer->failed = true;
	writer->used = writer->dropped = 0;
	abandoned = writer->abandoned;
	pthread_cond_broadcast(&writer->less);
	pthread_mutex_unlock(&writer->lock);
	if (abandoned)
		writer_free(writer);
}

static void *writer_thread(void *opaque)
{
	struct writer *writer = opaque;

	write_until_end(writer);
	return NULL;
}

struct writer *writer_create(int fd, size_t bound, struct error *err)
{
	struct writer *writer = calloc(1, sizeof(*writer) + bound);
	pthread_condattr_t monotonic;
	int error;

	if (!writer) {
		error_errno(err, ENOMEM, "output buffer");
		return NULL;
	}
	writer->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (writer->fd < 0) {
		error_errno(err, errno, "output");
		free(writer);
		return NULL;
	}
	writer->bound = bound;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, NULL);
	pthread_cond_init(&writer->less, &monotonic);
	pthread_condattr_destroy(&monotonic);
	error = thread_start(&writer->thread, "kennel-writer", writer_thread, writer);
	if (error) {
		thread_refused(err, error);
		writer_free(writer);
		return NULL;
	}
	return writer;
}

bool writer_put(struct writer *writer, const void *data, size_t len)
{
	const char *bytes = data;
	size_t at, part;
	bool fits;

	pthread_mutex_lock(&writer->lock);
	/* After a loss nothing is taken until the notice is out, so that the notice stands where the gap is. */
	fits = !writer->failed && !writer->dropped && len <= writer->bound - writer->used;
	if (fits) {
		at = (writer->head + writer->used) % writer->bound;
		part = len < writer->bound - at ? len : writer->bound - at;
		memcpy(writer->data + at, bytes, part);
		memcpy(writer->data, bytes + part, len - part);
		writer->used += len;
	} else if (!writer->failed) {
		writer->dropped += len;
	}
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
	return fits;
}

bool writer_flush(struct writer *writer, unsigned int stall_ms)
{
	uint64_t seen, deadline;
	struct timespec until;
	bool done, timed_out = false;

	pthread_mutex_lock(&writer->lock);
	while ((writer->used || writer->dropped) && !timed_out) {
		seen = writer->written;
		deadline = clock_monotonic_ns() + stall_ms * NSEC_PER_MSEC;
		until.tv_sec = (time_t)(deadline / NSEC_PER_SEC);
		until.tv_nsec = (long)(deadline % NSEC_PER_SEC);
		while ((writer->used || writer->dropped) && writer->written == seen && !timed_out)
			timed_out = pthread_cond_timedwait(&writer->less, &writer->lock, &until) == ETIMEDOUT;
	}
	done = !writer->used && !writer->dropped;
	pthread_mutex_unlock(&writer->lock);
	return done;
}

void writer_destroy(struct writer *writer, unsigned int stall_ms)
{
	pthread_t thread;
	bool abandoned;

	if (!writer)
		return;
	thread = writer->thread;
	writer_flush(writer, stall_ms);
	pthread_mutex_lock(&writer->lock);
	writer->ending = true;
	abandoned = writer->abandoned = writer->used || writer->dropped;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->lock);
	/* An abandoned writer may be gone already. */
	if (abandoned) {
		pthread_detach(thread);
	} else {
		pthread_join(thread, NULL);
		writer_free(writer);
	}
}
