/* SPDX-License-Identifier: MIT */
/* p9.h - a 9P file system's transport, both ends (virtio 1.2, 5.9 reserves the id; layout: Linux, include/uapi/linux/virtio_9p.h). One queue. */
#ifndef VIRTIO_P9_H
#define VIRTIO_P9_H

#include <virtio/virtio.h>

#define VIRTIO_P9_F_MOUNT_TAG	VIRTIO_BIT(0)	/* there is a tag in the config space; Linux insists on it */

/* Config space, offsets in bytes. */
#define VIRTIO_P9_CFG_TAG_LEN	0		/* u16 */
#define VIRTIO_P9_CFG_TAG	2		/* that many bytes, no NUL */

#endif
