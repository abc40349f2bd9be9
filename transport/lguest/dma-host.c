/* SPDX-License-Identifier: MIT */
/*
 * dma-host.c - the host's end of the lguest bus of Linux 2.6.23 (layout and sources: lguest/dma.h).
 *
 * Our devices speak virtio, this guest does not. So each device here has a driver of libvirtio in front of it, joined by
 * direct.h, and what is left to do is to turn the guest's requests into calls of that driver (dma-devices.c), and its
 * scatter lists into pieces of memory (dma-memory.c).
 */
#include "transport/device-internal.h"
#include "transport/lguest/dma-host-internal.h"

/* --- calls ---------------------------------------------------------------------------------------------------------- */

static int unbind(struct lguest_dma_bus *bus, uint32_t key, uint32_t array)
{
	for (unsigned int b = bus->bindings; b--; ) {
		if (bus->binding[b].key != key || bus->binding[b].array != array)
			continue;
		bus->bindings--;
		for (; b < bus->bindings; b++)
			bus->binding[b] = bus->binding[b + 1];
		return 1;
	}
	return 0;
}

int lguest_dma_bind(struct lguest_dma_bus *bus, uint32_t key, uint32_t array, uint32_t count_irq)
{
	uint32_t count = count_irq >> 8, irq = count_irq & 0xff;

	if (!bus)
		return -VIRTIO_EINVAL;
	if (key & 3 || !virtio_mem_at(bus->guest, key, 4))
		return -VIRTIO_EFAULT;
	if (!irq)
		return unbind(bus, key, array);
	if (irq >= LGUEST_MAX_IRQS || bus->bindings == DMA_MAX_BINDINGS || count > 255)
		return 0;
	if (!virtio_mem_at(bus->guest, array, (uint64_t)DMA_BYTES * count))
		return -VIRTIO_EFAULT;
	bus->binding[bus->bindings].key = key;
	bus->binding[bus->bindings].array = array;
	bus->binding[bus->bindings].count = (uint8_t)count;
	bus->binding[bus->bindings++].irq = (uint8_t)irq;
	/* What has waited for it. */
	lguest_dma_poll(bus);
	return 1;
}

int lguest_dma_send(struct lguest_dma_bus *bus, uint32_t key, uint32_t at)
{
	struct dma_list list;
	int ret = bus ? lguest_dma_get_list(bus, at, &list) : -VIRTIO_EINVAL;

	if (ret < 0)
		return ret;
	if (key == DMA_CONSOLE_KEY)
		lguest_dma_print(bus, &list);
	for (unsigned int i = 0; i < bus->space.count; i++) {
		struct lguest_dma_slot *slot = &bus->slot[i];

		if (slot->page && key == slot->page && slot->up)
			ret = lguest_dma_sent(slot, &list, at);
	}
	lguest_dma_poll(bus);
	return ret;
}

void lguest_dma_poll(struct lguest_dma_bus *bus)
{
	for (unsigned int i = 0; bus && i < bus->space.count; i++)
		if (bus->slot[i].up)
			lguest_dma_received(&bus->slot[i]);
}

/* --- building ------------------------------------------------------------------------------------------------------- */

static void dev_interrupt(void *opaque)
{
	struct lguest_dma_slot *slot = opaque;

	if (slot->up)
		slot->bus->ops->wake(slot->bus->opaque);
}

static void dev_complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	struct lguest_dma_slot *slot = opaque;

	if (slot->bus->ops->complain)
		slot->bus->ops->complain(slot->bus->opaque, dev, reason);
}

int lguest_dma_init(struct lguest_dma_bus *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit, void *own,
		    size_t size, const struct lguest_dma_ops *ops, void *opaque)
{
	if (!bus || !own || (uintptr_t)own % LGUEST_PAGE_SIZE || !ops || !ops->raise || !ops->wake ||
	    limit > UINT64_C(1) << 32)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	lguest_dma_memory(bus, mem, own, size);
	bus->ops = ops;
	bus->opaque = opaque;
	return page_space_init(&bus->space, mem, top, limit, DMA_SLOTS, 0);
}

/* Private memory for the driver that goes with the device, and the driver onto it. 0 or negative error. */
static int set_up(struct lguest_dma_slot *slot)
{
	struct lguest_dma_bus *bus = slot->bus;
	struct virtio_device *vdev = &slot->direct.vdev;
	int ret;

	slot->console = NULL;
	slot->net = NULL;
	slot->block = NULL;
	ret = virtio_direct_init(&slot->direct, slot->dev, &bus->platform, false);
	if (ret < 0)
		return ret;
	slot->direct.interrupt = dev_interrupt;
	slot->direct.complain = dev_complain;
	slot->direct.opaque = slot;
	switch (slot->dev->id) {
	case VIRTIO_ID_CONSOLE:
		slot->console = lguest_dma_private(bus, sizeof(*slot->console) + DMA_PRINT_CHUNK, 16);
		ret = slot->console ? virtio_console_probe(slot->console, vdev) : -VIRTIO_ENOSPC;
		break;
	case VIRTIO_ID_NET:
		slot->net = lguest_dma_private(bus, sizeof(*slot->net), 16);
		ret = slot->net ? virtio_net_probe(slot->net, vdev) : -VIRTIO_ENOSPC;
		break;
	default:
		slot->block = lguest_dma_private(bus, sizeof(*slot->block), 16);
		slot->request = lguest_dma_private(bus, sizeof(*slot->request), 16);
		ret = slot->block && slot->request ? virtio_block_probe(slot->block, vdev) : -VIRTIO_ENOSPC;
		if (!ret)
			slot->request->finished = true;
	}
	slot->up = !ret;
	return ret == -VIRTIO_ENOMEM ? -VIRTIO_ENOSPC : ret;
}

static void describe(struct lguest_dma_bus *bus, unsigned int index)
{
	static const uint8_t host_mac[DMA_NET_MAC] = { 0x02 | DMA_NET_ALL, 0, 0, 0, 0, 0x02 };
	struct lguest_dma_slot *slot = &bus->slot[index];
	uint8_t *d = page_space_at(&bus->space, DMA_SLOT_BYTES * index);
	uint8_t *page = slot->page ? virtio_mem_at(bus->guest, slot->page, LGUEST_PAGE_SIZE) : NULL;
	unsigned int type = slot->console ? DMA_TYPE_CONSOLE : slot->net ? DMA_TYPE_NET : DMA_TYPE_BLOCK;

	virtio_zero(d, DMA_SLOT_BYTES);
	virtio_put16(false, d + DMA_SLOT_TYPE, (uint16_t)type);
	virtio_put16(false, d + DMA_SLOT_FEATURES, slot->net ? DMA_FEATURE_RANDOM | DMA_NET_GUEST : DMA_FEATURE_RANDOM);
	if (!page)
		return;
	virtio_put16(false, d + DMA_SLOT_PAGES, 1);
	virtio_put32(false, d + DMA_SLOT_PFN, slot->page / LGUEST_PAGE_SIZE);
	virtio_zero(page, LGUEST_PAGE_SIZE);
	if (slot->net)
		virtio_copy(page + DMA_NET_MAC * DMA_NET_HOST, host_mac, sizeof(host_mac));
	else
		virtio_put32(false, page + DMA_BLOCK_CAPACITY,
			     slot->block->capacity > UINT32_MAX ? UINT32_MAX : (uint32_t)slot->block->capacity);
}

/* Why @dev cannot be had, and the error into *@ret; NULL: it can. */
static const char *why_not(struct lguest_dma_bus *bus, const struct virtio_dev *dev, int *ret)
{
	*ret = -VIRTIO_EINVAL;
	if (!bus || !transport_device_valid(dev))
		return "there is no device";
	if (dev->id != VIRTIO_ID_CONSOLE && dev->id != VIRTIO_ID_NET && dev->id != VIRTIO_ID_BLOCK)
		return "a guest of Linux 2.6.23 knows consoles, disks and network cards only";
	if (dev->id == VIRTIO_ID_CONSOLE && lguest_dma_console(bus))
		return "a guest of Linux 2.6.23 knows one console only";
	*ret = -VIRTIO_ENOSPC;
	if (bus->space.count == DMA_SLOTS)
		return "a guest of Linux 2.6.23 takes at most 16 devices; leave some out";
	if (dev->id != VIRTIO_ID_CONSOLE && bus->space.next + LGUEST_PAGE_SIZE > bus->space.limit)
		return "no memory is left above the guest's RAM for the device's page";
	return NULL;
}

int lguest_dma_add(struct lguest_dma_bus *bus, struct virtio_dev *dev, const char **reason)
{
	int ret;
	const char *why = why_not(bus, dev, &ret);

	if (!why) {
		struct lguest_dma_slot *slot = &bus->slot[bus->space.count];
		bool page = dev->id != VIRTIO_ID_CONSOLE;

		*slot = (struct lguest_dma_slot){ .bus = bus, .dev = dev, .page = page ? (uint32_t)bus->space.next : 0 };
		ret = set_up(slot);
		if (ret < 0) {
			why = "our own driver does not get along with the device, or the memory for it is used up";
		} else {
			bus->space.next += page ? LGUEST_PAGE_SIZE : 0;
			describe(bus, bus->space.count++);
		}
	}
	if (reason)
		*reason = why;
	return ret;
}

uint64_t lguest_dma_end(const struct lguest_dma_bus *bus)
{
	return bus ? bus->space.next : 0;
}

int lguest_dma_restart(struct lguest_dma_bus *bus)
{
	int ret = 0;

	if (!bus)
		return -VIRTIO_EINVAL;
	bus->bindings = 0;
	page_space_clear(&bus->space);
	for (unsigned int i = 0; i < bus->space.count; i++) {
		bus->slot[i].up = false;
		virtio_device_remove(&bus->slot[i].direct.vdev);
	}
	bus->own_next = 0;
	for (unsigned int i = 0; i < bus->space.count && !ret; i++) {
		ret = set_up(&bus->slot[i]);
		if (!ret)
			describe(bus, i);
	}
	return ret;
}
