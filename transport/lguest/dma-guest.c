/* SPDX-License-Identifier: MIT */
/*
 * dma-guest.c - the guest's end of the lguest bus of Linux 2.6.23 (layout and sources: lguest/dma.h): its devices, and what
 * virtio has of them besides queues. There are no features, no configuration space and no reset; this makes them up.
 */
#include <virtio/block.h>
#include <virtio/net.h>

#include "transport/device-internal.h"
#include "transport/lguest/dma-guest-internal.h"

static uint64_t dma_get_features(struct virtio_device *vdev)
{
	if (vdev->id == VIRTIO_ID_BLOCK)
		return VIRTIO_BLOCK_F_SEG_MAX;
	return vdev->id == VIRTIO_ID_NET ? VIRTIO_NET_F_MAC : 0;
}

static int dma_finalize_features(struct virtio_device *vdev)
{
	return 0;
}

#define CONFIG_MAX 16u

/* A network card's address, which the guest makes; a disk's capacity and how many pieces we take. */
static size_t config(struct lguest_dma_device *dev, uint8_t space[CONFIG_MAX])
{
	uint16_t id = dev->bus->guest_id;

	virtio_zero(space, CONFIG_MAX);
	if (dev->vdev.id == VIRTIO_ID_NET) {
		space[0] = 0x02;
		space[2] = (uint8_t)id;
		space[3] = (uint8_t)(id >> 8);
		return DMA_NET_MAC;
	}
	if (dev->vdev.id == VIRTIO_ID_BLOCK) {
		virtio_copy(space + VIRTIO_BLOCK_CFG_CAPACITY, dev->page + DMA_BLOCK_CAPACITY, 4);
		virtio_put32(false, space + VIRTIO_BLOCK_CFG_SEG_MAX, DMA_QUEUE_PIECES - 2);
		return VIRTIO_BLOCK_CFG_SEG_MAX + 4;
	}
	return 0;
}

static int dma_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	uint8_t space[CONFIG_MAX];
	size_t size = config(dma_device_of(vdev), space);

	if (offset > size || len > size - offset)
		return -VIRTIO_ERANGE;
	virtio_copy(buf, space + offset, len);
	return 0;
}

static int dma_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	return -VIRTIO_ERANGE;
}

static uint8_t dma_get_status(struct virtio_device *vdev)
{
	return (uint8_t)virtio_get16(false, dma_device_of(vdev)->slot + DMA_SLOT_STATUS);
}

static void show_peer(struct lguest_dma_device *dev, bool up)
{
	uint8_t mac[CONFIG_MAX];

	config(dev, mac);
	if (!up)
		virtio_zero(mac, sizeof(mac));
	if (lguest_dma_my_peer(dev) < LGUEST_PAGE_SIZE / DMA_NET_MAC)
		virtio_copy(dev->page + (size_t)DMA_NET_MAC * lguest_dma_my_peer(dev), mac, DMA_NET_MAC);
}

/* The host expects bits only to be added. */
static void dma_set_status(struct virtio_device *vdev, uint8_t status)
{
	struct lguest_dma_device *dev = dma_device_of(vdev);

	virtio_put16(false, dev->slot + DMA_SLOT_STATUS, virtio_get16(false, dev->slot + DMA_SLOT_STATUS) | status);
	if (vdev->id == VIRTIO_ID_NET && (status & VIRTIO_STATUS_DRIVER_OK))
		show_peer(dev, true);
}

/* There is no such thing, so take back what the host could still fill; a disk's request can only be waited for. */
static void dma_reset(struct virtio_device *vdev)
{
	struct lguest_dma_device *dev = dma_device_of(vdev);

	if (vdev->id == VIRTIO_ID_NET)
		show_peer(dev, false);
	for (unsigned int i = 0; i < 2; i++) {
		struct dma_queue *q = &dev->queue[i];

		if (!vdev->queues[i] || q->dead || !q->kind->bound)
			continue;
		while (q->chunk && !dma_load32(dev->page + DMA_BLOCK_RESULT))
			if (vdev->platform->wait)
				vdev->platform->wait(vdev->platform->opaque);
		lguest_dma_queue_unbind(q);
	}
}

static uint64_t key_of(const struct lguest_dma_device *dev)
{
	if (dev->vdev.id == VIRTIO_ID_NET)
		return dev->page_address + (uint64_t)DMA_NET_KEY * lguest_dma_my_peer(dev);
	return dev->vdev.id == VIRTIO_ID_BLOCK ? dev->page_address : DMA_CONSOLE_KEY;
}

static int dma_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	const struct dma_queue_kind *kind = lguest_dma_queue_kind(vdev, index);
	const struct virtio_platform *platform = vdev->platform;
	struct lguest_dma_device *dev = dma_device_of(vdev);
	struct dma_queue *q = &dev->queue[index & 1];

	if (!kind)
		return -VIRTIO_ENOENT;
	*q = (struct dma_queue){
		.vq = { .vdev = vdev, .ops = &lguest_dma_queue_ops, .index = index, .size = DMA_QUEUE_ENTRIES, .irq = dev->irq },
		.kind = kind,
		.key = key_of(dev),
	};
	q->list = platform->alloc ? platform->alloc(platform->opaque, (size_t)DMA_BYTES * kind->lists, 4) : NULL;
	if (!q->list)
		return -VIRTIO_ENOMEM;
	q->list_address = virtio_mem_address(platform->mem, q->list, (size_t)DMA_BYTES * kind->lists);
	/* A list in our hands. */
	for (unsigned int i = 0; i < kind->lists; i++)
		dma_store32(dma_list_at(q, i) + DMA_USED_LEN, 1);
	if (kind->bound && !lguest_dma_queue_bind(q)) {
		if (platform->free)
			platform->free(platform->opaque, q->list, (size_t)DMA_BYTES * kind->lists);
		return -VIRTIO_ENOMEM;
	}
	*vq = &q->vq;
	return 0;
}

static void dma_delete_queue(struct virtio_queue *vq)
{
	const struct virtio_platform *platform = vq->vdev->platform;
	struct dma_queue *q = dma_queue_of(vq);

	if (platform->free)
		platform->free(platform->opaque, q->list, (size_t)DMA_BYTES * q->kind->lists);
	q->list = NULL;
}

/* sync() has done it. */
static void dma_notify(struct virtio_queue *vq)
{
}

static const struct virtio_bus dma_bus = {
	.get_features = dma_get_features,
	.finalize_features = dma_finalize_features,
	.get = dma_get,
	.set = dma_set,
	.get_status = dma_get_status,
	.set_status = dma_set_status,
	.reset = dma_reset,
	.find_queue = dma_find_queue,
	.delete_queue = dma_delete_queue,
	.notify = dma_notify,
};

/* --- finding -------------------------------------------------------------------------------------------------------- */

int lguest_dma_guest_init(struct lguest_dma_guest *bus, const struct virtio_platform *platform, uint64_t address,
			  uint16_t guest_id,
			  uint32_t (*call_host)(void *opaque, uint32_t number, uint32_t key, uint32_t at, uint32_t count_irq),
			  void *opaque)
{
	if (!bus || !transport_platform_valid(platform) || !call_host || address % LGUEST_PAGE_SIZE)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->platform = platform;
	bus->page = virtio_mem_at(platform->mem, address, LGUEST_PAGE_SIZE);
	bus->guest_id = guest_id;
	bus->call = call_host;
	bus->opaque = opaque;
	return bus->page ? 0 : -VIRTIO_EFAULT;
}

/* Our ids by DMA_TYPE_*. */
static uint32_t id_of(unsigned int type)
{
	static const uint32_t ids[] = { 0, VIRTIO_ID_CONSOLE, VIRTIO_ID_NET, VIRTIO_ID_BLOCK };

	return type < sizeof(ids) / sizeof(ids[0]) ? ids[type] : 0;
}

bool lguest_dma_guest_next(struct lguest_dma_guest *bus, struct lguest_dma_device *device)
{
	if (!bus || !bus->page || !device)
		return false;
	/* An empty slot does not end the list. */
	while (bus->next < DMA_SLOTS) {
		unsigned int i = bus->next++;
		uint8_t *slot = bus->page + (size_t)DMA_SLOT_BYTES * i;
		uint32_t id = id_of(virtio_get16(false, slot + DMA_SLOT_TYPE));
		uint64_t address = (uint64_t)virtio_get32(false, slot + DMA_SLOT_PFN) * LGUEST_PAGE_SIZE;
		uint64_t bytes = (uint64_t)virtio_get16(false, slot + DMA_SLOT_PAGES) * LGUEST_PAGE_SIZE;
		void *page = bytes ? virtio_mem_at(bus->platform->mem, address, bytes) : NULL;

		if (!id || (id != VIRTIO_ID_CONSOLE && !page))
			continue;
		*device = (struct lguest_dma_device){
			.vdev = { .id = id, .bus = &dma_bus, .platform = bus->platform },
			.bus = bus,
			.slot = slot,
			.page = page,
			.page_address = address,
			.irq = i + 1,
		};
		bus->device[i] = device;
		return true;
	}
	return false;
}

bool lguest_dma_guest_interrupt(struct lguest_dma_guest *bus, unsigned int irq)
{
	return bus && irq && irq <= DMA_SLOTS && bus->device[irq - 1] && virtio_device_interrupt(&bus->device[irq - 1]->vdev);
}
