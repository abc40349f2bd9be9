/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio-host.h - the host's end of virtio over MMIO (see virtio-mmio.h): one struct virtio_mmio makes one device a window.
 *
 * For a machine:
 *
 *	virtio_mmio_init(&vm, dev, VIRTIO_MMIO_MODERN, false, &mem, irq, opaque, &reason)
 *	a load or store of the guest in the window: virtio_mmio_read(), virtio_mmio_write()
 *	restart of the guest: virtio_mmio_restart(&vm)
 *
 * The interrupt is level-triggered. Callers hold the I/O lock. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_HOST_H
#define KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_HOST_H

#include <transport/mmio/virtio-mmio.h>
#include <transport/registers.h>

VIRTIO_BEGIN_DECLS

struct virtio_mmio {
	struct virtio_regs regs;
	uint32_t version;
	bool asserted;			/* what irq() was told last */
	void (*irq)(void *opaque, bool level);
	/* A device stopped because its driver broke the contract; once per reset. Set after virtio_mmio_init(); may be NULL. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
};

/*
 * Make @dev a window of @version. @big_endian: the guest's byte order, which counts for drivers of version 1. @mem: guest
 * memory; outlives the device. @irq(@opaque, level) is only called when the level changes. On failure nothing has changed, and
 * *@reason (unless @reason is NULL) is a sentence. 0; -VIRTIO_EINVAL: null, no such version, a device without VIRTIO_F_VERSION_1, with
 * more than 32 queues or of sizes that are no powers of two. The window does not own the device, and must not move.
 */
int virtio_mmio_init(struct virtio_mmio *vm, struct virtio_dev *dev, uint32_t version, bool big_endian,
		     const struct virtio_mem *mem, void (*irq)(void *opaque, bool level), void *opaque, const char **reason);

/*
 * The guest loads or stores @size (1, 2 or 4) bytes at @offset of the window; values are little-endian. Where nothing is, and
 * with a width that a register does not have, loads give 0 and stores do nothing; so with @vm null.
 */
uint32_t virtio_mmio_read(struct virtio_mmio *vm, uint32_t offset, unsigned int size);
void virtio_mmio_write(struct virtio_mmio *vm, uint32_t offset, unsigned int size, uint32_t value);

/* The guest restarts. Null: nothing. */
void virtio_mmio_restart(struct virtio_mmio *vm);

VIRTIO_END_DECLS

#endif
