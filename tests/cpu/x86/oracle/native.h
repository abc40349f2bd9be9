/* SPDX-License-Identifier: MIT */
/*
 * native.h - the harness's end of the native child.
 *
 * Where the host runs no 32-bit programs, `qemu-i386` (QEMU's user mode, Debian's package qemu-user) runs the child; what it is known
 * to do differently is in differs.h.
 */
#ifndef ORACLE_NATIVE_H
#define ORACLE_NATIVE_H

#include "tests/cpu/x86/oracle/case.h"

struct native {
	struct control *control;
	int fd, command, reply, pid;
};

enum native_way {
	NATIVE_PROCESSOR,
	NATIVE_QEMU,
	NATIVE_NOTHING,
};

/**
 * native_way - who can run the 32-bit program at @path here
 * The environment's ORACLE=qemu asks for QEMU where the processor would do as well.
 */
enum native_way native_way(const char *path);
/** native_name - for reports. */
const char *native_name(enum native_way way);

/**
 * native_start - start the 32-bit child
 * @path: of the native32 program; @way: who is to run it.
 * @background: AREA_BYTES, the initial contents of all areas.
 * Returns 0 or -1 (with a sentence on stderr), for example where the host cannot run 32-bit programs.
 */
int native_start(struct native *native, const char *path, enum native_way way, const uint8_t *background);
void native_stop(struct native *native);

/** native_begin - let the child run the first @cases of control->test; native_finish() waits for it. */
void native_begin(struct native *native, uint32_t cases);
/** native_finish - returns 0, or -1 when the child died; control->current then says at which case. It must be started anew. */
int native_finish(struct native *native);

#endif
