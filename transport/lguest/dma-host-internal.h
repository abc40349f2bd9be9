/* SPDX-License-Identifier: MIT */
/*
 * dma-host-internal.h - the parts of the host's end of lguest's DMA bus: dma-host.c (calls, building),
 * dma-memory.c (two memories in one, and scatter lists), dma-devices.c (consoles, network cards, disks).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_DMA_HOST_INTERNAL_H
#define KENNEL_TRANSPORT_LGUEST_DMA_HOST_INTERNAL_H

#include <transport/lguest/dma-host.h>

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* Make bus->mem and bus->platform of guest memory and @size bytes at @own. */
void lguest_dma_memory(struct lguest_dma_bus *bus, const struct virtio_mem *guest, void *own, size_t size);

/* Zeroed private memory; NULL: there is no more. */
void *lguest_dma_private(struct lguest_dma_bus *bus, size_t size, size_t align);

/* A word of guest memory, at an address that was checked. */
void lguest_dma_put32(struct lguest_dma_bus *bus, uint64_t gpa, uint32_t value);
uint32_t lguest_dma_get32(struct lguest_dma_bus *bus, uint64_t gpa);

/* --- scatter lists -------------------------------------------------------------------------------------------------- */

struct dma_list {
	struct virtio_iov iov[DMA_SECTIONS];
	uint32_t addr[DMA_SECTIONS];	/* of the same pieces */
	unsigned int count;
	uint32_t bytes;
};

/* The list at @at, copied and checked. 0, or -VIRTIO_EFAULT. */
int lguest_dma_get_list(struct lguest_dma_bus *bus, uint64_t at, struct dma_list *list);

/* The first free list bound to @key, newest binding first. Its address, or 0; *@irq is the binding's in either case, or 0. */
uint64_t lguest_dma_free_list(struct lguest_dma_bus *bus, uint32_t key, unsigned int *irq);

/* Hand @len bytes over under @key, as far as there is room in one list. False: there is no list, or it is broken. */
bool lguest_dma_hand_over(struct lguest_dma_bus *bus, uint32_t key, const void *data, size_t len);

/* --- devices -------------------------------------------------------------------------------------------------------- */

#define DMA_PRINT_CHUNK 64u		/* bytes behind a console's driver, for characters that it writes */

/* The slot of the console; NULL: there is none. */
struct lguest_dma_slot *lguest_dma_console(struct lguest_dma_bus *bus);

/* What was sent to the console, whether or not there is one. */
void lguest_dma_print(struct lguest_dma_bus *bus, const struct dma_list *list);

/* What was sent to a network card (@at: where the list is) or a disk. 0, or -VIRTIO_EFAULT: kill the guest. */
int lguest_dma_sent(struct lguest_dma_slot *slot, const struct dma_list *list, uint64_t at);

/* Hand over what a device has for the guest. */
void lguest_dma_received(struct lguest_dma_slot *slot);

#endif
