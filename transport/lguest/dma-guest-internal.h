/* SPDX-License-Identifier: MIT */
/*
 * dma-guest-internal.h - the parts of the guest's end of lguest's DMA bus: dma-guest.c (the bus, its devices),
 * dma-queue.c (virtio's five operations), dma-kinds.c (how what a queue carries goes through scatter lists).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_DMA_GUEST_INTERNAL_H
#define KENNEL_TRANSPORT_LGUEST_DMA_GUEST_INTERNAL_H

#include <transport/lguest/dma-guest.h>

/* What a queue carries. */
struct dma_queue_kind {
	unsigned int lists;
	unsigned int bound;		/* the first so many of them are bound under a key */
	unsigned int header;		/* bytes of virtio's header in front of a frame: there is none on this bus */
	bool keeps;			/* what the host has begun cannot be taken back from it, only be waited for */
	bool (*valid)(const struct dma_entry *e);	/* may be NULL */
	void (*push)(struct dma_queue *q);	/* give the host what it can take now */
	/* Is the oldest entry done? Its result into *@used. */
	bool (*pull)(struct dma_queue *q, struct dma_entry *e, unsigned long *used);
};

static inline struct lguest_dma_device *dma_device_of(struct virtio_device *vdev)
{
	return (struct lguest_dma_device *)(void *)vdev;
}

static inline struct dma_queue *dma_queue_of(struct virtio_queue *vq)
{
	return (struct dma_queue *)(void *)vq;
}

static inline uint8_t *dma_list_at(struct dma_queue *q, unsigned int i)
{
	return q->list + (size_t)DMA_BYTES * i;
}

static inline uint32_t dma_load32(const uint8_t *p)
{
	uint32_t raw = __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);

	/* acquire: pairs with the host's release of the word that says that the rest is there. */
	return virtio_get32(false, &raw);
}

static inline void dma_store32(uint8_t *p, uint32_t value)
{
	uint32_t raw;

	virtio_put32(false, &raw, value);
	/* release: pairs with the host's reading of the word, before the rest. */
	__atomic_store_n((uint32_t *)(void *)p, raw, __ATOMIC_RELEASE);
}

static inline uint32_t dma_call(struct dma_queue *q, uint32_t number, uint64_t key, uint64_t address, uint32_t count_irq)
{
	struct lguest_dma_guest *bus = dma_device_of(q->vq.vdev)->bus;

	return bus->call(bus->opaque, number, (uint32_t)key, (uint32_t)address, count_irq);
}

/* What queue @index of a device carries; NULL: there is no such queue. */
const struct dma_queue_kind *lguest_dma_queue_kind(const struct virtio_device *vdev, unsigned int index);

/* Which peer of its network we are. */
unsigned int lguest_dma_my_peer(const struct lguest_dma_device *dev);

/* Offer the lists of a queue under its key; false: the host takes no more. After lguest_dma_queue_unbind() it fills no list of ours. */
bool lguest_dma_queue_bind(struct dma_queue *q);
void lguest_dma_queue_unbind(struct dma_queue *q);

extern const struct virtio_ops lguest_dma_queue_ops;

#endif
