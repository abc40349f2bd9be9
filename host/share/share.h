/* SPDX-License-Identifier: MIT */
/*
 * share.h - a share backend over a directory of the host, from which the guest does not get out.
 */
#ifndef KENNEL_HOST_SHARE_SHARE_H
#define KENNEL_HOST_SHARE_SHARE_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * Share directory @path as @tag (1 to SHARE_TAG_MAX bytes). NULL and a sentence in @err when that is not possible: no such directory,
 * no /proc, no thread. Raises the limit of open files of this process as far as it may.
 *
 * Owners and modes are those of the host. What the guest makes belongs to the user who runs this process; a change of owner that the
 * host refuses is passed over in silence. Set-user-ID and set-group-ID bits of files are dropped, and device nodes are refused: nothing
 * that the guest leaves behind has rights on the host that its maker had not. close() needs a stopped loop.
 */
struct share_backend *share_open(struct loop *loop, const char *tag, const char *path, bool read_only, struct error *err);

#endif
