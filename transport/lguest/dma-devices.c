/* SPDX-License-Identifier: MIT */
/*
 * dma-devices.c - consoles, network cards and disks on lguest's DMA bus: a guest's requests become calls of the driver of
 * ours that each device has.
 *
 * Characters and frames are consumed within the call, for the list lies on the guest's stack. Of a bound array the first free
 * list is the next to be filled, as the original host has it.
 */
#include "transport/lguest/dma-host-internal.h"

#define INPUT_MAX	256u		/* characters handed over at a time */

/* --- the console ---------------------------------------------------------------------------------------------------- */

struct lguest_dma_slot *lguest_dma_console(struct lguest_dma_bus *bus)
{
	for (unsigned int i = 0; i < bus->space.count; i++)
		if (bus->slot[i].console)
			return &bus->slot[i];
	return NULL;
}

/* Characters are copied, because a driver's buffers lie in its own memory; there is room for some behind the driver. */
void lguest_dma_print(struct lguest_dma_bus *bus, const struct dma_list *list)
{
	struct lguest_dma_slot *slot = lguest_dma_console(bus);
	char text[DMA_PRINT_CHUNK];
	size_t len;

	for (uint64_t at = 0; (len = virtio_iov_read(list->iov, list->count, at, text, sizeof(text))); at += len) {
		if (!slot || !slot->up) {
			if (bus->ops->print)
				bus->ops->print(bus->opaque, text, len);
			continue;
		}
		virtio_copy(slot->console + 1, text, len);
		virtio_console_write(slot->console, slot->console + 1, len);
	}
}

static void poll_console(struct lguest_dma_slot *slot)
{
	struct lguest_dma_bus *bus = slot->bus;
	uint8_t text[INPUT_MAX];
	unsigned int irq;
	uint64_t at;

	while ((at = lguest_dma_free_list(bus, DMA_CONSOLE_KEY, &irq))) {
		struct dma_list list;
		size_t len;

		if (lguest_dma_get_list(bus, at, &list) || !list.bytes)
			return;
		len = virtio_console_read(slot->console, text, list.bytes < sizeof(text) ? list.bytes : sizeof(text));
		if (!len || !lguest_dma_hand_over(bus, DMA_CONSOLE_KEY, text, len))
			return;
	}
}

/* --- the network ---------------------------------------------------------------------------------------------------- */

/* A frame that cannot be sent now has used_len 0, which the guest counts as an error of the carrier. */
static void send_frame(struct lguest_dma_slot *slot, const struct dma_list *list, uint64_t at)
{
	uint8_t frame[VIRTIO_NET_FRAME];

	if (list->bytes > sizeof(frame))
		return;
	virtio_iov_read(list->iov, list->count, 0, frame, sizeof(frame));
	if (!virtio_net_send(slot->net, frame, list->bytes))
		lguest_dma_put32(slot->bus, at + DMA_USED_LEN, list->bytes);
}

/* Without a list there is nobody to take it, and it is lost, as on any network. */
static void poll_net(struct lguest_dma_slot *slot)
{
	uint8_t frame[VIRTIO_NET_FRAME];
	size_t len;

	while ((len = virtio_net_receive(slot->net, frame, sizeof(frame))))
		lguest_dma_hand_over(slot->bus, slot->page + DMA_NET_KEY * DMA_NET_GUEST, frame, len);
}

/* --- the disk ------------------------------------------------------------------------------------------------------- */

static void finish(struct lguest_dma_slot *slot, bool ok)
{
	struct lguest_dma_bus *bus = slot->bus;
	unsigned int irq;
	uint64_t at = lguest_dma_free_list(bus, slot->page, &irq);

	if (at && !slot->write)
		lguest_dma_put32(bus, at + DMA_USED_LEN, ok ? slot->transfer : 0);
	ok = ok && slot->transfer == lguest_dma_get32(bus, slot->page + DMA_BLOCK_LENGTH);
	lguest_dma_put32(bus, slot->page + DMA_BLOCK_RESULT, ok ? DMA_BLOCK_OK : DMA_BLOCK_ERROR);
	if (irq)
		bus->ops->raise(bus->opaque, irq);
}

static void request_done(struct virtio_block_request *request, int error)
{
	/* A device that was reset has no guest to answer. */
	if (error != -VIRTIO_ENODEV)
		finish(request->opaque, !error);
}

static int request(struct lguest_dma_slot *slot, const struct dma_list *sent)
{
	struct lguest_dma_bus *bus = slot->bus;
	const struct dma_list *list = sent;
	struct dma_list bound;
	unsigned int irq;
	uint64_t at;

	/* One at a time: the page has room for one. */
	if (!slot->request->finished)
		return 0;
	slot->write = lguest_dma_get32(bus, slot->page + DMA_BLOCK_TYPE);
	if (!slot->write) {
		at = lguest_dma_free_list(bus, slot->page, &irq);
		if (!at || lguest_dma_get_list(bus, at, &bound)) {
			slot->transfer = 0;
			finish(slot, false);
			return at ? -VIRTIO_EFAULT : 0;
		}
		list = &bound;
	}
	slot->transfer = list->bytes;
	slot->request->opaque = slot;
	slot->request->done = request_done;
	if (virtio_block_submit(slot->block, slot->request, slot->write ? VIRTIO_BLOCK_T_OUT : VIRTIO_BLOCK_T_IN,
				lguest_dma_get32(bus, slot->page + DMA_BLOCK_SECTOR), list->iov, list->count)) {
		slot->request->finished = true;
		finish(slot, false);
		return 0;
	}
	virtio_sync(slot->block->queue);
	virtio_block_poll(slot->block);
	return 0;
}

/* --- all of them ---------------------------------------------------------------------------------------------------- */

int lguest_dma_sent(struct lguest_dma_slot *slot, const struct dma_list *list, uint64_t at)
{
	if (!slot->net)
		return request(slot, list);
	send_frame(slot, list, at);
	return 0;
}

void lguest_dma_received(struct lguest_dma_slot *slot)
{
	virtio_direct_deliver(&slot->direct, NULL);
	if (slot->console)
		poll_console(slot);
	else if (slot->net)
		poll_net(slot);
	else
		virtio_block_poll(slot->block);
}
