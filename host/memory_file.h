/* SPDX-License-Identifier: MIT */
/*
 * memory_file.h - a file of memory: what may be mapped at several places at once. Guest memory is one, and translated code, which is
 * written at one address and run at another.
 *
 * Usually that is a memfd. Hosts have rules for these: a kernel can be told that none may be executable (vm.memfd_noexec, Linux 6.3), and
 * complains of programs that do not say what they want; a sandbox can forbid the system call. Where there is none, a file without a name
 * in a directory takes its place, if it may be mapped as it has to be: that is tried, not asked for.
 */
#ifndef KENNEL_HOST_MEMORY_FILE_H
#define KENNEL_HOST_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Why there may be none. */
#define MEMORY_FILE_NONE "neither a memfd nor a file in /dev/shm, $XDG_RUNTIME_DIR, $TMPDIR, /var/tmp or /tmp can be had for it"

/**
 * memory_file_memfd - memfd_create() with the flags that this kernel wants to see
 * @name: for /proc/self/maps.
 * @flags: MFD_CLOEXEC and the like. Returns the descriptor, or a negative errno.
 */
int memory_file_memfd(const char *name, unsigned int flags);

/**
 * memory_file_create - @size bytes, all zero, that nobody else can find; closed on exec
 * @executable: it will be mapped with PROT_EXEC (never together with PROT_WRITE).
 * @where: the directory that it is in, static storage; NULL: it is a memfd. May be NULL itself.
 * Returns the descriptor, or a negative errno: why there is no memfd.
 */
int memory_file_create(const char *name, size_t size, bool executable, const char **where);

/**
 * memory_populate - have the host map @len bytes at @at now and in one go, to be written
 * Page by page, when each is first touched, that is thirty times as dear where page tables are shadowed (cpu/x86/space/cost.h). A host that
 * cannot (before Linux 5.14), or has no memory left, does it page by page all the same.
 */
void memory_populate(void *at, size_t len);

/** memory_fill - the same, and copy @len bytes there from @from */
void memory_fill(void *at, const void *from, size_t len);

#endif
