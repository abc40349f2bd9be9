/* SPDX-License-Identifier: MIT */
#include "machine/balloon.h"

#include <stdlib.h>

#include "machine/ram.h"

struct balloon {
	struct balloon_backend be;	/* first: what the device holds */
	const struct cpu_ram *ram;
};

static struct balloon *of(struct balloon_backend *be)
{
	return (struct balloon *)be;
}

static void balloon_release(struct balloon_backend *be, uint64_t gpa, uint64_t len)
{
	ram_release(of(be)->ram, gpa, len);
}

static void balloon_close(struct balloon_backend *be)
{
	free(of(be));
}

static const struct balloon_backend_ops ops = {.release = balloon_release, .close = balloon_close};

struct balloon_backend *balloon_create(const struct cpu_ram *ram)
{
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon)
		return NULL;
	balloon->be.ops = &ops;
	balloon->ram = ram;
	return &balloon->be;
}
