/* SPDX-License-Identifier: MIT */
/*
 * disk.h - a block backend over a raw image file or a host block device.
 */
#ifndef KENNEL_HOST_DISK_DISK_H
#define KENNEL_HOST_DISK_DISK_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * How requests reach the host. DISK_AUTO: io_uring, or worker threads where a sandbox forbids it; in both cases a thread of its own for
 * writes to a file. DISK_URING: all but ranges through io_uring. DISK_WORKERS: as where io_uring is forbidden.
 */
enum disk_engine_kind { DISK_AUTO, DISK_URING, DISK_WORKERS };

/*
 * Open @path. The image is locked against other processes: exclusively, or shared among readers if @read_only; a sentence naming
 * the file is left in @err, and NULL returned, when it is missing, not ours to open, a directory or other unfit thing, empty, or in
 * use. A size that is no multiple of 512 is rounded down (with a warning): the guest cannot name the rest.
 *
 * Requests beyond the end are answered with -EIO, writes to a read-only disk with -EROFS, errors of the host as they are. Reads
 * whose data is in the host's page cache are answered within submit(). Other requests start with commit(): call it after the last
 * submit() of a batch. close() needs a stopped loop.
 */
struct block_backend *disk_open(struct loop *loop, const char *path, bool read_only, enum disk_engine_kind kind, struct error *err);

#endif
