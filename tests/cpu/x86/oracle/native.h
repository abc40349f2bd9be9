/* SPDX-License-Identifier: MIT */
/* native.h - the harness's end of the native child. */
#ifndef ORACLE_NATIVE_H
#define ORACLE_NATIVE_H

#include "tests/cpu/x86/oracle/case.h"

struct native {
	struct control *control;
	int fd, command, reply, pid;
	const char *path;
};

/**
 * native_start - start the 32-bit child
 * @path: of the native32 program.
 * @background: AREA_BYTES, the initial contents of all areas.
 * Returns 0 or -1 (with a sentence on stderr), for example where the host cannot run 32-bit programs.
 */
int native_start(struct native *native, const char *path, const uint8_t *background);
void native_stop(struct native *native);

/** native_begin - let the child run the first @cases of control->test; native_finish() waits for it. */
void native_begin(struct native *native, uint32_t cases);
/** native_finish - returns 0, or -1 when the child died; control->current then says at which case. It must be started anew. */
int native_finish(struct native *native);

#endif
