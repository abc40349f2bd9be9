/* SPDX-License-Identifier: MIT */
/*
 * lguest-dma-guest.c - the guest's end of the lguest bus of Linux 2.6.23 (layout and sources: lguest-dma.h): virtio's five
 * operations over BIND_DMA and SEND_DMA.
 *
 * Three kinds of queue. What is sent (a console's output, frames) has been consumed when the call returns. What is received
 * goes into lists that stay bound under a key; a list in our hands has used_len 1. The host fills the first free list, so lists
 * are handed over in batches, the whole array at a time: otherwise a buffer offered later would be filled earlier. A disk has
 * one request under way, in as many transfers as its sections need: 16 at a time, none across a page.
 */
#include <transport/lguest-dma-guest.h>
#include <virtio/block.h>
#include <virtio/net.h>

struct dma_queue_kind {
	unsigned int lists;
	unsigned int header;		/* bytes of virtio's header in front of a frame: there is none on this bus */
	bool bound;			/* lists are bound under a key */
	bool (*valid)(const struct dma_entry *e);	/* may be NULL */
	void (*push)(struct dma_queue *q);	/* give the host what it can take now */
	/* Is the oldest entry done? Its result into *@used. */
	bool (*pull)(struct dma_queue *q, struct dma_entry *e, unsigned long *used);
};

static struct lguest_dma_device *of(struct virtio_device *vdev)
{
	return (struct lguest_dma_device *)(void *)vdev;
}

static struct dma_queue *queue_of(struct virtio_queue *vq)
{
	return (struct dma_queue *)(void *)vq;
}

static uint8_t *list_at(struct dma_queue *q, unsigned int i)
{
	return q->list + (size_t)DMA_BYTES * i;
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t raw = __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);

	/* acquire: pairs with the host's release of the word that says that the rest is there. */
	return virtio_get32(false, &raw);
}

static void store32(uint8_t *p, uint32_t value)
{
	uint32_t raw;

	virtio_put32(false, &raw, value);
	/* release: pairs with the host's reading of the word, before the rest. */
	__atomic_store_n((uint32_t *)(void *)p, raw, __ATOMIC_RELEASE);
}

static uint32_t call(struct dma_queue *q, uint32_t number, uint64_t key, uint64_t address, uint32_t count_irq)
{
	struct lguest_dma_guest *bus = of(q->vq.vdev)->bus;

	return bus->call(bus->opaque, number, (uint32_t)key, (uint32_t)address, count_irq);
}

/* --- scatter lists -------------------------------------------------------------------------------------------------- */

/*
 * Fill list @list with the bytes of @iov from @skip on: at most @max of them, and at most 16 sections. Returns the bytes, or a
 * negative error: memory that the host cannot reach.
 */
static int64_t fill_list(struct dma_queue *q, uint8_t *list, const struct virtio_iov *iov, unsigned int count, uint64_t skip,
			 uint64_t max)
{
	unsigned int n = 0;
	uint64_t total = 0;

	virtio_zero(list + DMA_ADDR, DMA_BYTES - DMA_ADDR);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = 0, address;

		if (skip >= iov[i].len) {
			skip -= iov[i].len;
			continue;
		}
		address = virtio_mem_address(q->vq.vdev->platform->mem, iov[i].base, iov[i].len);
		if (address == VIRTIO_BAD_ADDRESS || address > UINT32_MAX - iov[i].len)
			return -VIRTIO_EFAULT;
		for (at = skip; at < iov[i].len && n < DMA_SECTIONS && total < max; n++) {
			uint64_t len = LGUEST_PAGE_SIZE - (address + at) % LGUEST_PAGE_SIZE;

			len = len < iov[i].len - at ? len : iov[i].len - at;
			len = len < max - total ? len : max - total;
			virtio_put32(false, list + DMA_ADDR + 4 * (size_t)n, (uint32_t)(address + at));
			virtio_put16(false, list + DMA_LEN + 2 * (size_t)n, (uint16_t)len);
			at += len;
			total += len;
		}
		skip = 0;
	}
	return (int64_t)total;
}

/* --- what is sent --------------------------------------------------------------------------------------------------- */

/* Does peer @p of the network want a frame for @to? */
static bool peer_wants(const uint8_t *p, const uint8_t *to)
{
	if (!virtio_is_zero(p, 1) && ((to[0] & 1) || (p[0] & DMA_NET_ALL)))
		return true;
	for (unsigned int i = 1; i < DMA_NET_MAC; i++)
		if (p[i] != to[i])
			return false;
	return p[0] && (p[0] & ~DMA_NET_ALL) == (to[0] & ~DMA_NET_ALL);
}

static unsigned int my_peer(const struct lguest_dma_device *dev)
{
	unsigned int pages = virtio_get16(false, dev->slot + DMA_SLOT_PAGES);

	return virtio_get16(false, dev->slot + DMA_SLOT_FEATURES) & (LGUEST_PAGE_SIZE * pages - 1);
}

static void send_to(struct dma_queue *q, uint64_t key)
{
	store32(q->list + DMA_USED_LEN, 0);
	call(q, LGUEST_SEND_DMA, key, q->list_address, 0);
}

static void send_frame(struct dma_queue *q, const struct dma_entry *e)
{
	struct lguest_dma_device *dev = of(q->vq.vdev);
	uint8_t to[DMA_NET_MAC];

	virtio_iov_read(e->piece, e->pieces, q->kind->header, to, sizeof(to));
	for (unsigned int i = 0; i < LGUEST_PAGE_SIZE / DMA_NET_MAC; i++)
		if (i != my_peer(dev) && peer_wants(dev->page + (size_t)DMA_NET_MAC * i, to))
			send_to(q, dev->page_address + (uint64_t)DMA_NET_KEY * i);
}

static void push_out(struct dma_queue *q)
{
	for (; q->armed < q->synced; q->armed++) {
		const struct dma_entry *e = &q->entry[q->fifo[q->armed]];

		if (fill_list(q, q->list, e->piece, e->pieces, q->kind->header, UINT32_MAX) <= 0)
			continue;
		if (q->kind->header)
			send_frame(q, e);
		else
			send_to(q, q->key);
	}
}

static bool pull_out(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	*used = (unsigned long)virtio_iov_length(e->piece, e->pieces);
	return true;
}

/* --- what is received ----------------------------------------------------------------------------------------------- */

static void push_in(struct dma_queue *q)
{
	/* A batch is under way. */
	if (q->armed)
		return;
	q->taken = 0;
	for (; q->armed < q->synced && q->armed < q->kind->lists; q->armed++) {
		const struct dma_entry *e = &q->entry[q->fifo[q->armed]];

		fill_list(q, list_at(q, q->armed), e->piece, e->pieces, q->kind->header, UINT32_MAX);
		store32(list_at(q, q->armed) + DMA_USED_LEN, 0);
	}
}

static bool pull_in(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	static const uint8_t header[VIRTIO_NET_HDR_LONG];
	uint64_t room = virtio_iov_length(e->piece, e->pieces), len = load32(list_at(q, q->taken) + DMA_USED_LEN);

	if (!len)
		return false;
	q->taken++;
	virtio_iov_write(e->piece, e->pieces, 0, header, q->kind->header);
	len += q->kind->header;
	*used = (unsigned long)(len < room ? len : room);
	return true;
}

/* --- a disk --------------------------------------------------------------------------------------------------------- */

/* List 0 is bound, and filled by reads; list 1 is sent. */
enum { BLOCK_BOUND, BLOCK_SENT, BLOCK_LISTS };

static bool valid_request(const struct dma_entry *e)
{
	return e->out && e->out < e->pieces && e->piece[0].len >= VIRTIO_BLOCK_HDR_LEN;
}

static uint64_t data_length(const struct dma_entry *e)
{
	return virtio_iov_length(e->piece + 1, e->pieces - 2);
}

/* Begin the next transfer of the request, or have it end with a status. */
static void transfer(struct dma_queue *q, const struct dma_entry *e)
{
	struct lguest_dma_device *dev = of(q->vq.vdev);
	uint8_t *bound = list_at(q, BLOCK_BOUND), *sent = list_at(q, BLOCK_SENT), *list;
	const uint8_t *header = e->piece[0].base;
	uint32_t type = virtio_get32(false, header) & ~VIRTIO_BLOCK_T_BARRIER;
	uint64_t sector = virtio_get64(false, header + 8) + e->done / VIRTIO_BLOCK_SECTOR;
	int64_t bytes;

	q->chunk = 0;
	q->status = type == VIRTIO_BLOCK_T_IN || type == VIRTIO_BLOCK_T_OUT ? VIRTIO_BLOCK_S_IOERR : VIRTIO_BLOCK_S_UNSUPP;
	if (q->status == VIRTIO_BLOCK_S_UNSUPP || sector > UINT32_MAX || data_length(e) % VIRTIO_BLOCK_SECTOR)
		return;
	list = type == VIRTIO_BLOCK_T_IN ? bound : sent;
	virtio_zero(bound + DMA_ADDR, DMA_BYTES - DMA_ADDR);
	virtio_zero(sent, DMA_BYTES);
	bytes = fill_list(q, list, e->piece + 1, e->pieces - 2, e->done, UINT32_MAX);
	/* Sixteen sections of an odd buffer may end within a sector. */
	if (bytes > 0 && bytes % VIRTIO_BLOCK_SECTOR)
		bytes = fill_list(q, list, e->piece + 1, e->pieces - 2, e->done,
				  (uint64_t)bytes - (uint64_t)bytes % VIRTIO_BLOCK_SECTOR);
	if (bytes <= 0)
		return;
	q->chunk = (uint32_t)bytes;
	store32(bound + DMA_USED_LEN, 0);
	virtio_put32(false, dev->page + DMA_BLOCK_TYPE, type == VIRTIO_BLOCK_T_OUT);
	virtio_put32(false, dev->page + DMA_BLOCK_SECTOR, (uint32_t)sector);
	virtio_put32(false, dev->page + DMA_BLOCK_LENGTH, q->chunk);
	store32(dev->page + DMA_BLOCK_RESULT, 0);
	call(q, LGUEST_SEND_DMA, q->key, q->list_address + DMA_BYTES * BLOCK_SENT, 0);
}

static void push_request(struct dma_queue *q)
{
	if (q->armed || !q->synced)
		return;
	q->armed = 1;
	q->entry[q->fifo[0]].done = 0;
	transfer(q, &q->entry[q->fifo[0]]);
}

static bool pull_request(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	const struct virtio_iov *last = &e->piece[e->pieces - 1];

	while (q->chunk) {
		uint32_t result = load32(of(q->vq.vdev)->page + DMA_BLOCK_RESULT);

		if (!result)
			return false;
		if (result != DMA_BLOCK_OK) {
			q->chunk = 0;
			q->status = VIRTIO_BLOCK_S_IOERR;
			break;
		}
		e->done += q->chunk;
		q->chunk = 0;
		q->status = VIRTIO_BLOCK_S_OK;
		if (e->done == data_length(e))
			break;
		transfer(q, e);
	}
	*((uint8_t *)last->base + last->len - 1) = q->status;
	*used = 1 + (e->out == 1 && q->status == VIRTIO_BLOCK_S_OK ? e->done : 0);
	return true;
}

/* --- the five operations -------------------------------------------------------------------------------------------- */

static void finish(struct dma_entry *e, unsigned long value)
{
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	__atomic_store_n(e->used, value, __ATOMIC_RELEASE);
	e->used = NULL;
}

/* Forget the entry of rank @i. */
static void drop(struct dma_queue *q, unsigned int i)
{
	q->count--;
	q->synced -= i < q->synced;
	q->armed -= i < q->armed;
	for (; i < q->count; i++)
		q->fifo[i] = q->fifo[i + 1];
}

static unsigned int dma_harvest(struct virtio_queue *vq)
{
	struct dma_queue *q = queue_of(vq);
	unsigned int count = 0;
	unsigned long used;

	if (q->dead)
		return 0;
	do {
		while (q->armed && q->kind->pull(q, &q->entry[q->fifo[0]], &used)) {
			struct dma_entry *e = &q->entry[q->fifo[0]];

			drop(q, 0);
			finish(e, used);
			count++;
		}
		if (q->armed || !q->synced)
			break;
		q->kind->push(q);
	} while (q->armed);
	return count;
}

static void dma_sync(struct virtio_queue *vq)
{
	struct dma_queue *q = queue_of(vq);

	if (q->dead)
		return;
	q->synced = q->count;
	q->kind->push(q);
}

static long add(struct dma_queue *q, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	struct dma_entry e = { .used = used, .pieces = num, .out = out };
	long id = 0;

	if (q->dead)
		return -VIRTIO_ENODEV;
	if (!used || !sg || !num || num > DMA_QUEUE_PIECES)
		return -VIRTIO_EINVAL;
	for (unsigned int i = 0; i < num; i++) {
		if (!sg[i].len)
			return -VIRTIO_EINVAL;
		if (virtio_mem_address(q->vq.vdev->platform->mem, sg[i].base, sg[i].len) == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		e.piece[i] = sg[i];
	}
	if (q->kind->valid && !q->kind->valid(&e))
		return -VIRTIO_EINVAL;
	if (q->count == DMA_QUEUE_ENTRIES)
		return -VIRTIO_ENOSPC;
	while (q->entry[id].used)
		id++;
	q->entry[id] = e;
	q->fifo[q->count++] = (uint8_t)id;
	*used = VIRTIO_PENDING;
	return id;
}

static long dma_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(queue_of(vq), sg, num, num, used);
}

static long dma_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			  unsigned long *used)
{
	return out < num ? add(queue_of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static bool bind_lists(struct dma_queue *q)
{
	/* A disk has one list that is bound; the other is sent. */
	unsigned int lists = q->kind->push == push_request ? 1 : q->kind->lists;

	return call(q, LGUEST_BIND_DMA, q->key, q->list_address, lists << 8 | of(q->vq.vdev)->irq);
}

/* After this, the host fills no list of ours. */
static void unbind(struct dma_queue *q)
{
	call(q, LGUEST_BIND_DMA, q->key, q->list_address, 0);
	for (unsigned int i = 0; i < q->kind->lists; i++)
		store32(list_at(q, i) + DMA_USED_LEN, 1);
}

static void dma_detach(struct virtio_queue *vq, long id)
{
	struct dma_queue *q = queue_of(vq);
	unsigned int rank = 0;

	dma_harvest(vq);
	while (rank < q->count && q->fifo[rank] != id)
		rank++;
	if (rank == q->count)
		return;
	if (rank < q->armed && q->kind->push == push_request) {
		virtio_device_reset(vq->vdev);
		return;
	}
	if (rank < q->armed) {
		unbind(q);
		/* All lists are ours now; those who stay are handed over again. */
		q->armed = 0;
		drop(q, rank);
		finish(&q->entry[id], VIRTIO_CANCELLED);
		if (bind_lists(q))
			q->kind->push(q);
		else
			virtio_device_reset(vq->vdev);
		return;
	}
	drop(q, rank);
	finish(&q->entry[id], VIRTIO_CANCELLED);
}

/* An interrupt that nobody wants costs little, and cannot be declined. */
static bool dma_interrupts(struct virtio_queue *vq, bool on)
{
	return false;
}

static unsigned int dma_room(struct virtio_queue *vq)
{
	return queue_of(vq)->dead ? 0 : DMA_QUEUE_ENTRIES - queue_of(vq)->count;
}

static void dma_cancel(struct virtio_queue *vq)
{
	struct dma_queue *q = queue_of(vq);

	q->dead = true;
	q->count = q->synced = q->armed = 0;
	for (unsigned int i = 0; i < DMA_QUEUE_ENTRIES; i++)
		if (q->entry[i].used)
			finish(&q->entry[i], VIRTIO_CANCELLED);
}

static const struct virtio_ops dma_ops = {
	.add_outbuf = dma_add_outbuf,
	.add_inbuf = dma_add_inbuf,
	.sync = dma_sync,
	.detach_outbuf = dma_detach,
	.detach_inbuf = dma_detach,
	.harvest = dma_harvest,
	.interrupts = dma_interrupts,
	.room = dma_room,
	.cancel = dma_cancel,
};

static const struct dma_queue_kind console_in = { .lists = 4, .bound = true, .push = push_in, .pull = pull_in };
static const struct dma_queue_kind console_out = { .lists = 1, .push = push_out, .pull = pull_out };
static const struct dma_queue_kind net_in = {
	.lists = 8, .header = VIRTIO_NET_HDR_LEN, .bound = true, .push = push_in, .pull = pull_in };
static const struct dma_queue_kind net_out = { .lists = 1, .header = VIRTIO_NET_HDR_LEN, .push = push_out, .pull = pull_out };
static const struct dma_queue_kind disk = {
	.lists = BLOCK_LISTS, .bound = true, .valid = valid_request, .push = push_request, .pull = pull_request };

/* --- the bus -------------------------------------------------------------------------------------------------------- */

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
	size_t size = config(of(vdev), space);

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
	return (uint8_t)virtio_get16(false, of(vdev)->slot + DMA_SLOT_STATUS);
}

static void show_peer(struct lguest_dma_device *dev, bool up)
{
	uint8_t mac[CONFIG_MAX];

	config(dev, mac);
	if (!up)
		virtio_zero(mac, sizeof(mac));
	if (my_peer(dev) < LGUEST_PAGE_SIZE / DMA_NET_MAC)
		virtio_copy(dev->page + (size_t)DMA_NET_MAC * my_peer(dev), mac, DMA_NET_MAC);
}

/* The host expects bits only to be added. */
static void dma_set_status(struct virtio_device *vdev, uint8_t status)
{
	struct lguest_dma_device *dev = of(vdev);

	virtio_put16(false, dev->slot + DMA_SLOT_STATUS, virtio_get16(false, dev->slot + DMA_SLOT_STATUS) | status);
	if (vdev->id == VIRTIO_ID_NET && (status & VIRTIO_STATUS_DRIVER_OK))
		show_peer(dev, true);
}

/* There is no such thing, so take back what the host could still fill; a disk's request can only be waited for. */
static void dma_reset(struct virtio_device *vdev)
{
	struct lguest_dma_device *dev = of(vdev);

	if (vdev->id == VIRTIO_ID_NET)
		show_peer(dev, false);
	for (unsigned int i = 0; i < 2; i++) {
		struct dma_queue *q = &dev->queue[i];

		if (!vdev->queues[i] || q->dead || !q->kind->bound)
			continue;
		while (q->chunk && !load32(dev->page + DMA_BLOCK_RESULT))
			if (vdev->platform->wait)
				vdev->platform->wait(vdev->platform->opaque);
		unbind(q);
	}
}

static const struct dma_queue_kind *kind_of(const struct virtio_device *vdev, unsigned int index)
{
	if (index > 1 || (vdev->id == VIRTIO_ID_BLOCK && index))
		return NULL;
	if (vdev->id == VIRTIO_ID_BLOCK)
		return &disk;
	if (vdev->id == VIRTIO_ID_NET)
		return index == VIRTIO_NET_QUEUE_RX ? &net_in : &net_out;
	return index ? &console_out : &console_in;
}

static uint64_t key_of(const struct lguest_dma_device *dev)
{
	if (dev->vdev.id == VIRTIO_ID_NET)
		return dev->page_address + (uint64_t)DMA_NET_KEY * my_peer(dev);
	return dev->vdev.id == VIRTIO_ID_BLOCK ? dev->page_address : DMA_CONSOLE_KEY;
}

static int dma_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	const struct dma_queue_kind *kind = kind_of(vdev, index);
	const struct virtio_platform *platform = vdev->platform;
	struct lguest_dma_device *dev = of(vdev);
	struct dma_queue *q = &dev->queue[index & 1];

	if (!kind)
		return -VIRTIO_ENOENT;
	*q = (struct dma_queue){
		.vq = { .vdev = vdev, .ops = &dma_ops, .index = index, .size = DMA_QUEUE_ENTRIES, .irq = dev->irq },
		.kind = kind,
		.key = key_of(dev),
	};
	q->list = platform->alloc ? platform->alloc(platform->opaque, (size_t)DMA_BYTES * kind->lists, 4) : NULL;
	if (!q->list)
		return -VIRTIO_ENOMEM;
	q->list_address = virtio_mem_address(platform->mem, q->list, (size_t)DMA_BYTES * kind->lists);
	/* A list in our hands. */
	for (unsigned int i = 0; i < kind->lists; i++)
		store32(list_at(q, i) + DMA_USED_LEN, 1);
	if (kind->bound && !bind_lists(q)) {
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
	struct dma_queue *q = queue_of(vq);

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
	return irq && irq <= DMA_SLOTS && bus->device[irq - 1] && virtio_device_interrupt(&bus->device[irq - 1]->vdev);
}
