/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_MACHINE_DUMP_H
#define KENNEL_MACHINE_DUMP_H

#include "host/error.h"

/** dump_open - create the file for --dump-code. Returns 0 and *@fd, or a negative errno and a sentence. */
int dump_open(const char *path, int *fd, struct error *error);

#endif
