/* SPDX-License-Identifier: MIT */
/*
 * regions.h - the driver's memory, as a back end sees it: pieces of files that the front end sent descriptors of, mapped here.
 *
 * What may be wrong with a piece is found when it arrives. One thing cannot be: its file may be made shorter later, and then touching
 * the mapping is SIGBUS. A process that does not trust its front end calls vhost_user_guard_install() once; a piece whose file has
 * shrunk then becomes zeros, and vhost_user_guard_hits() counts it.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_REGIONS_H
#define KENNEL_TRANSPORT_VHOST_USER_REGIONS_H

#include <transport/vhost-user/protocol.h>
#include <virtio/virtio.h>

#define VHOST_USER_SLOTS 32u		/* most pieces at a time */

struct vhost_user_mapping {
	struct vhost_user_region region;
	uint8_t *base;			/* our address of the region's first byte */
	void *map;			/* what was mapped for it: begins at the file's page */
	size_t map_len;
};

struct vhost_user_regions {
	struct virtio_mem mem;		/* for rings and devices */
	unsigned int count;
	struct vhost_user_mapping mapping[VHOST_USER_SLOTS];
};

/* An empty set; it must not move afterwards. */
void vhost_user_regions_init(struct vhost_user_regions *regions);

/* Map a piece of @fd, which stays the caller's. NULL, or what is wrong with it; then nothing has changed. No ring may be in use. */
const char *vhost_user_regions_add(struct vhost_user_regions *regions, const struct vhost_user_region *region, int fd);

/* Unmap the piece that has @region's addresses and size. NULL, or what is wrong. No ring may be in use. */
const char *vhost_user_regions_remove(struct vhost_user_regions *regions, const struct vhost_user_region *region);

/* Unmap everything. */
void vhost_user_regions_clear(struct vhost_user_regions *regions);

/* Guest-physical address of what the front end has at @user in its own memory, or VIRTIO_BAD_ADDRESS. */
uint64_t vhost_user_regions_gpa(const struct vhost_user_regions *regions, uint64_t user);

/* Have SIGBUS in a mapping give zeros instead of ending the process. 0 or a negative errno. */
int vhost_user_guard_install(void);

/* How often that was needed. */
unsigned int vhost_user_guard_hits(void);

/* For regions.c: keep watch over a mapping, or no more. */
void vhost_user_guard_add(void *map, size_t len);
void vhost_user_guard_remove(void *map);

#endif
