/* SPDX-License-Identifier: MIT */
#include <device/p9/fid.h>

#include <errno.h>
#include <stdlib.h>

#define BUCKETS (sizeof(((struct p9_fids *)0)->bucket) / sizeof(struct p9_fid *))

/* Linux numbers fids from 0; whoever does otherwise gets longer chains. */
static struct p9_fid **bucket_of(struct p9_fids *fids, uint32_t number)
{
	return &fids->bucket[number % BUCKETS];
}

struct p9_fid *p9_fid_find(struct p9_fids *fids, uint32_t number)
{
	struct p9_fid *fid = *bucket_of(fids, number);

	while (fid && fid->number != number)
		fid = fid->next;
	return fid;
}

int p9_fid_vacant(struct p9_fids *fids, uint32_t number)
{
	if (number == P9_NOFID || p9_fid_find(fids, number))
		return -EINVAL;
	return fids->count < P9_FIDS_MAX ? 0 : -EMFILE;
}

struct p9_fid *p9_fid_add(struct p9_fids *fids, uint32_t number, struct share_file *file, int *error)
{
	struct p9_fid **bucket = bucket_of(fids, number), *fid;

	*error = p9_fid_vacant(fids, number);
	if (*error)
		return NULL;
	fid = calloc(1, sizeof(*fid));
	if (!fid) {
		*error = -ENOMEM;
		return NULL;
	}
	fid->number = number;
	fid->file = file;
	fid->next = *bucket;
	*bucket = fid;
	fids->count++;
	return fid;
}

struct p9_xattr *p9_fid_make_xattr(struct p9_fids *fids, struct p9_fid *fid, size_t size, int *error)
{
	struct p9_xattr *xattr;

	*error = -E2BIG;
	if (size > P9_XATTR_SIZE_MAX)
		return NULL;
	*error = -ENOMEM;
	if (sizeof(*xattr) + size > P9_XATTR_TOTAL_MAX - fids->xattr_bytes)
		return NULL;
	xattr = calloc(1, sizeof(*xattr) + size);
	if (!xattr)
		return NULL;
	fids->xattr_bytes += sizeof(*xattr) + size;
	xattr->size = size;
	fid->xattr = xattr;
	*error = 0;
	return xattr;
}

void p9_fid_drop(struct p9_fids *fids, struct p9_fid *fid, struct share_backend *backend)
{
	struct p9_fid **link = bucket_of(fids, fid->number);

	while (*link != fid)
		link = &(*link)->next;
	*link = fid->next;
	fids->count--;
	if (fid->xattr)
		fids->xattr_bytes -= sizeof(*fid->xattr) + fid->xattr->size;
	free(fid->xattr);
	backend->ops->release(backend, fid->file);
	free(fid);
}

void p9_fid_drop_all(struct p9_fids *fids, struct share_backend *backend)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (fids->bucket[i])
			p9_fid_drop(fids, fids->bucket[i], backend);
}
