/* SPDX-License-Identifier: MIT */
/*
 * fid.h - fids: the numbers by which the guest names the files it holds on to.
 */
#ifndef KENNEL_DEVICE_P9_FID_H
#define KENNEL_DEVICE_P9_FID_H

#include <device/backend.h>
#include <device/p9/wire.h>

/* As many as a guest may have at a time. */
#define P9_FIDS_MAX		262144u
#define P9_XATTR_NAME_MAX	255u
#define P9_XATTR_SIZE_MAX	65536u		/* Linux: XATTR_SIZE_MAX and XATTR_LIST_MAX */
#define P9_XATTR_TOTAL_MAX	(1u << 20)	/* of all fids together */

/* The value of an extended attribute, or the list of their names: read from the file, or on its way there. */
struct p9_xattr {
	bool writing;
	uint32_t flags;			/* of setxattr() */
	size_t size, filled;
	char name[P9_XATTR_NAME_MAX + 1];
	uint8_t value[];
};

struct p9_fid {
	uint32_t number;
	struct p9_fid *next;		/* in its bucket */
	struct share_file *file;
	bool open;			/* for Tread, Twrite, Treaddir */
	uint8_t type;			/* SHARE_*, of an open one */
	uint32_t flags;			/* SHARE_OPEN_* it was opened with */
	struct p9_xattr *xattr;		/* NULL: it is the file itself */
};

struct p9_fids {
	struct p9_fid *bucket[16384];
	unsigned int count;
	size_t xattr_bytes;		/* held by all of them */
};

/* NULL: there is none of this number. */
struct p9_fid *p9_fid_find(struct p9_fids *fids, uint32_t number);

/* A new fid, which takes @file over. NULL if memory is short or there are too many; 0 in *@error otherwise. */
struct p9_fid *p9_fid_add(struct p9_fids *fids, uint32_t number, struct share_file *file, int *error);

/* May @number be given to a new fid? 0 or a negative errno. */
int p9_fid_vacant(struct p9_fids *fids, uint32_t number);

/* Have @fid be an attribute of up to @size bytes from now on. NULL and *@error if that is too much. */
struct p9_xattr *p9_fid_make_xattr(struct p9_fids *fids, struct p9_fid *fid, size_t size, int *error);

/* Take @fid out of the table, release its file, free it. An attribute that was being written is lost. */
void p9_fid_drop(struct p9_fids *fids, struct p9_fid *fid, struct share_backend *backend);
void p9_fid_drop_all(struct p9_fids *fids, struct share_backend *backend);

#endif
