/* SPDX-License-Identifier: MIT */
/*
 * dma-memory.c - memory as the devices behind lguest's DMA bus see it, and scatter lists in the guest's part of it.
 *
 * Rings, headers and the buffers of frames and characters lie in private memory, at addresses (PRIVATE_BASE) that no guest has;
 * data of disks goes to and from guest memory without a copy.
 *
 * Nothing in guest memory is read twice: a scatter list is copied, then checked.
 */
#include <stdatomic.h>

#include "transport/lguest/dma-host-internal.h"

#define PRIVATE_BASE	(UINT64_C(1) << 40)

static void *mem_translate(void *opaque, uint64_t gpa, uint64_t len)
{
	struct lguest_dma_bus *bus = opaque;

	if (gpa < PRIVATE_BASE)
		return virtio_mem_at(bus->guest, gpa, len);
	gpa -= PRIVATE_BASE;
	return gpa <= bus->own_size && len <= bus->own_size - gpa ? bus->own + gpa : NULL;
}

static uint64_t mem_address(void *opaque, const void *ptr, size_t len)
{
	struct lguest_dma_bus *bus = opaque;
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)bus->own;

	if ((uintptr_t)ptr >= (uintptr_t)bus->own && offset <= bus->own_size && len <= bus->own_size - offset)
		return PRIVATE_BASE + offset;
	return virtio_mem_address(bus->guest, ptr, len);
}

static void mem_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	struct lguest_dma_bus *bus = opaque;

	if (gpa < PRIVATE_BASE && bus->guest->dirty)
		bus->guest->dirty(bus->guest->opaque, gpa, len);
}

void *lguest_dma_private(struct lguest_dma_bus *bus, size_t size, size_t align)
{
	size_t at = (bus->own_next + align - 1) & ~(align - 1);

	if (at > bus->own_size || size > bus->own_size - at)
		return NULL;
	bus->own_next = at + size;
	virtio_zero(bus->own + at, size);
	return bus->own + at;
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	return lguest_dma_private(opaque, size, align);
}

void lguest_dma_memory(struct lguest_dma_bus *bus, const struct virtio_mem *guest, void *own, size_t size)
{
	bus->guest = guest;
	bus->mem = (struct virtio_mem){ .translate = mem_translate, .address = mem_address, .dirty = mem_dirty, .opaque = bus };
	bus->platform = (struct virtio_platform){ .mem = &bus->mem, .alloc = platform_alloc, .opaque = bus };
	bus->own = own;
	bus->own_size = size;
}

void lguest_dma_put32(struct lguest_dma_bus *bus, uint64_t gpa, uint32_t value)
{
	uint8_t *p = virtio_mem_at(bus->guest, gpa, 4);

	mem_dirty(bus, gpa, 4);
	/* release: what the word announces was written before it. */
	atomic_thread_fence(memory_order_release);
	virtio_put32(false, p, value);
}

uint32_t lguest_dma_get32(struct lguest_dma_bus *bus, uint64_t gpa)
{
	uint8_t raw[4];

	virtio_copy(raw, virtio_mem_at(bus->guest, gpa, 4), 4);
	return virtio_get32(false, raw);
}

/* --- scatter lists -------------------------------------------------------------------------------------------------- */

int lguest_dma_get_list(struct lguest_dma_bus *bus, uint64_t at, struct dma_list *list)
{
	const uint8_t *there = virtio_mem_at(bus->guest, at, DMA_BYTES);
	uint8_t raw[DMA_BYTES];

	if (!there)
		return -VIRTIO_EFAULT;
	virtio_copy(raw, there, sizeof(raw));
	list->count = 0;
	list->bytes = 0;
	for (unsigned int i = 0; i < DMA_SECTIONS; i++) {
		uint16_t len = virtio_get16(false, raw + DMA_LEN + 2 * (size_t)i);
		uint32_t addr = virtio_get32(false, raw + DMA_ADDR + 4 * (size_t)i);
		void *base = virtio_mem_at(bus->guest, addr, len);

		if (!len)
			break;
		if (!base)
			return -VIRTIO_EFAULT;
		list->iov[list->count] = (struct virtio_iov){ base, len };
		list->addr[list->count++] = addr;
		list->bytes += len;
	}
	return 0;
}

uint64_t lguest_dma_free_list(struct lguest_dma_bus *bus, uint32_t key, unsigned int *irq)
{
	*irq = 0;
	for (unsigned int b = bus->bindings; b--; ) {
		if (bus->binding[b].key != key)
			continue;
		*irq = bus->binding[b].irq;
		for (unsigned int i = 0; i < bus->binding[b].count; i++) {
			uint64_t at = bus->binding[b].array + (uint64_t)DMA_BYTES * i;

			if (!lguest_dma_get32(bus, at + DMA_USED_LEN))
				return at;
		}
		return 0;
	}
	return 0;
}

bool lguest_dma_hand_over(struct lguest_dma_bus *bus, uint32_t key, const void *data, size_t len)
{
	unsigned int irq;
	uint64_t at = lguest_dma_free_list(bus, key, &irq);
	struct dma_list list;
	size_t written;

	if (!at || lguest_dma_get_list(bus, at, &list))
		return false;
	for (unsigned int i = 0; i < list.count; i++)
		mem_dirty(bus, list.addr[i], list.iov[i].len);
	written = virtio_iov_write(list.iov, list.count, 0, data, len);
	lguest_dma_put32(bus, at + DMA_USED_LEN, (uint32_t)written);
	bus->ops->raise(bus->opaque, irq);
	return true;
}
