/* SPDX-License-Identifier: MIT */
/* dump.c - the file that translated code is written to, for the tests that judge it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "machine/dump.h"

int dump_open(const char *path, int *fd, struct error *error)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return *fd < 0 ? error_set(error, errno, "%s: %s", path, strerror(errno)) : 0;
}
