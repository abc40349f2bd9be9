/* SPDX-License-Identifier: MIT */
#include "host/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define FILL_MAX 65536	/* one answer; a guest that asks for more asks again, and the lock is free in between */

struct random {
	struct entropy_backend be;
	int fd;			/* /dev/urandom, or -1: getrandom() works */
};

static struct random *to_random(struct entropy_backend *be)
{
	return (struct random *)be;
}

static size_t random_fill(struct entropy_backend *be, void *buf, size_t len)
{
	struct random *random = to_random(be);
	ssize_t got;

	if (len > FILL_MAX)
		len = FILL_MAX;
	do
		got = random->fd < 0 ? getrandom(buf, len, 0) : read(random->fd, buf, len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? 0 : (size_t)got;
}

static void random_close(struct entropy_backend *be)
{
	struct random *random = to_random(be);

	if (random->fd >= 0)
		close(random->fd);
	free(random);
}

static const struct entropy_backend_ops random_ops = {
	.fill = random_fill,
	.close = random_close,
};

struct entropy_backend *random_open(struct error *err)
{
	struct random *random = calloc(1, sizeof(*random));
	char byte;

	if (!random) {
		error_errno(err, ENOMEM, "entropy");
		return NULL;
	}
	random->be.ops = &random_ops;
	random->fd = -1;
	/* Waits here, and only here, on a host whose pool has never been seeded: later calls never block. */
	if (getrandom(&byte, 1, 0) == 1)
		return &random->be;
	random->fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (random->fd < 0) {
		error_errno(err, errno, "/dev/urandom");
		free(random);
		return NULL;
	}
	return &random->be;
}
