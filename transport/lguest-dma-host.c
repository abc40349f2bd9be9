/* SPDX-License-Identifier: MIT */
/*
 * lguest-dma-host.c - the host's end of the lguest bus of Linux 2.6.23 (layout and sources: lguest-dma.h).
 *
 * Our devices speak virtio, this guest does not. So each device here has a driver of libvirtio in front of it, joined by
 * direct.h, and what is left to do is to turn the guest's requests into calls of that driver. Rings, headers and the buffers of
 * frames and characters lie in private memory, at addresses (PRIVATE_BASE) that no guest has; data of disks goes to and from
 * guest memory without a copy.
 *
 * Nothing in guest memory is read twice: a scatter list is copied, then checked. Characters and frames are consumed within the
 * call, for the list lies on the guest's stack. Of a bound array the first free list is the next to be filled, as the original
 * host has it.
 */
#include <stdatomic.h>

#include <transport/lguest-dma-host.h>

#define PRIVATE_BASE	(UINT64_C(1) << 40)
#define INPUT_MAX	256u		/* characters handed over at a time */

/* --- memory --------------------------------------------------------------------------------------------------------- */

static void *mem_translate(void *opaque, uint64_t gpa, uint64_t len)
{
	struct lguest_dma_bus *bus = opaque;

	if (gpa < PRIVATE_BASE)
		return virtio_mem_at(bus->guest, gpa, len);
	gpa -= PRIVATE_BASE;
	return gpa <= bus->private_size && len <= bus->private_size - gpa ? bus->private + gpa : NULL;
}

static uint64_t mem_address(void *opaque, const void *ptr, size_t len)
{
	struct lguest_dma_bus *bus = opaque;
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)bus->private;

	if ((uintptr_t)ptr >= (uintptr_t)bus->private && offset <= bus->private_size && len <= bus->private_size - offset)
		return PRIVATE_BASE + offset;
	return virtio_mem_address(bus->guest, ptr, len);
}

static void mem_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	struct lguest_dma_bus *bus = opaque;

	if (gpa < PRIVATE_BASE && bus->guest->dirty)
		bus->guest->dirty(bus->guest->opaque, gpa, len);
}

static void *private_alloc(void *opaque, size_t size, size_t align)
{
	struct lguest_dma_bus *bus = opaque;
	size_t at = (bus->private_next + align - 1) & ~(align - 1);

	if (at > bus->private_size || size > bus->private_size - at)
		return NULL;
	bus->private_next = at + size;
	virtio_zero(bus->private + at, size);
	return bus->private + at;
}

static void put32(struct lguest_dma_bus *bus, uint64_t gpa, uint32_t value)
{
	uint8_t *p = virtio_mem_at(bus->guest, gpa, 4);

	mem_dirty(bus, gpa, 4);
	/* release: what the word announces was written before it. */
	atomic_thread_fence(memory_order_release);
	virtio_put32(false, p, value);
}

static uint32_t get32(struct lguest_dma_bus *bus, uint64_t gpa)
{
	uint8_t raw[4];

	virtio_copy(raw, virtio_mem_at(bus->guest, gpa, 4), 4);
	return virtio_get32(false, raw);
}

/* --- scatter lists -------------------------------------------------------------------------------------------------- */

struct list {
	struct virtio_iov iov[DMA_SECTIONS];
	uint32_t addr[DMA_SECTIONS];	/* of the same pieces */
	unsigned int count;
	uint32_t bytes;
};

/* The list at @at, copied and checked. 0, or -VIRTIO_EFAULT. */
static int get_list(struct lguest_dma_bus *bus, uint64_t at, struct list *list)
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

/* The first free list bound to @key, newest binding first. Its address, or 0; *@irq is the binding's in either case, or 0. */
static uint64_t free_list(struct lguest_dma_bus *bus, uint32_t key, unsigned int *irq)
{
	*irq = 0;
	for (unsigned int b = bus->bindings; b--; ) {
		if (bus->binding[b].key != key)
			continue;
		*irq = bus->binding[b].irq;
		for (unsigned int i = 0; i < bus->binding[b].count; i++) {
			uint64_t at = bus->binding[b].array + (uint64_t)DMA_BYTES * i;

			if (!get32(bus, at + DMA_USED_LEN))
				return at;
		}
		return 0;
	}
	return 0;
}

/* Hand @len bytes over under @key, as far as there is room in one list. False: there is no list, or it is broken. */
static bool hand_over(struct lguest_dma_bus *bus, uint32_t key, const void *data, size_t len)
{
	unsigned int irq;
	uint64_t at = free_list(bus, key, &irq);
	struct list list;
	size_t written;

	if (!at || get_list(bus, at, &list))
		return false;
	for (unsigned int i = 0; i < list.count; i++)
		mem_dirty(bus, list.addr[i], list.iov[i].len);
	written = virtio_iov_write(list.iov, list.count, 0, data, len);
	put32(bus, at + DMA_USED_LEN, (uint32_t)written);
	bus->ops->raise(bus->opaque, irq);
	return true;
}

/* --- the console ---------------------------------------------------------------------------------------------------- */

static struct lguest_dma_slot *console_of(struct lguest_dma_bus *bus)
{
	for (unsigned int i = 0; i < bus->count; i++)
		if (bus->slot[i].console)
			return &bus->slot[i];
	return NULL;
}

/* Characters are copied, because a driver's buffers lie in its own memory; there is room for 64 a turn behind the driver. */
#define PRINT_CHUNK 64u

static void print(struct lguest_dma_bus *bus, const struct list *list)
{
	struct lguest_dma_slot *slot = console_of(bus);
	char text[PRINT_CHUNK];
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

	while ((at = free_list(bus, DMA_CONSOLE_KEY, &irq))) {
		struct list list;
		size_t len;

		if (get_list(bus, at, &list) || !list.bytes)
			return;
		len = virtio_console_read(slot->console, text, list.bytes < sizeof(text) ? list.bytes : sizeof(text));
		if (!len || !hand_over(bus, DMA_CONSOLE_KEY, text, len))
			return;
	}
}

/* --- the network ---------------------------------------------------------------------------------------------------- */

/* A frame that cannot be sent now has used_len 0, which the guest counts as an error of the carrier. */
static void send_frame(struct lguest_dma_slot *slot, const struct list *list, uint64_t at)
{
	uint8_t frame[VIRTIO_NET_FRAME];

	if (list->bytes > sizeof(frame))
		return;
	virtio_iov_read(list->iov, list->count, 0, frame, sizeof(frame));
	if (!virtio_net_send(slot->net, frame, list->bytes))
		put32(slot->bus, at + DMA_USED_LEN, list->bytes);
}

/* Without a list there is nobody to take it, and it is lost, as on any network. */
static void poll_net(struct lguest_dma_slot *slot)
{
	uint8_t frame[VIRTIO_NET_FRAME];
	size_t len;

	while ((len = virtio_net_receive(slot->net, frame, sizeof(frame))))
		hand_over(slot->bus, slot->page + DMA_NET_KEY * DMA_NET_GUEST, frame, len);
}

/* --- the disk ------------------------------------------------------------------------------------------------------- */

static void finish(struct lguest_dma_slot *slot, bool ok)
{
	struct lguest_dma_bus *bus = slot->bus;
	unsigned int irq;
	uint64_t at = free_list(bus, slot->page, &irq);

	if (at && !slot->write)
		put32(bus, at + DMA_USED_LEN, ok ? slot->transfer : 0);
	ok = ok && slot->transfer == get32(bus, slot->page + DMA_BLOCK_LENGTH);
	put32(bus, slot->page + DMA_BLOCK_RESULT, ok ? DMA_BLOCK_OK : DMA_BLOCK_ERROR);
	if (irq)
		bus->ops->raise(bus->opaque, irq);
}

static void request_done(struct virtio_block_request *request, int error)
{
	/* A device that was reset has no guest to answer. */
	if (error != -VIRTIO_ENODEV)
		finish(request->opaque, !error);
}

static int request(struct lguest_dma_slot *slot, const struct list *sent)
{
	struct lguest_dma_bus *bus = slot->bus;
	const struct list *list = sent;
	struct list bound;
	unsigned int irq;
	uint64_t at;

	/* One at a time: the page has room for one. */
	if (!slot->request->finished)
		return 0;
	slot->write = get32(bus, slot->page + DMA_BLOCK_TYPE);
	if (!slot->write) {
		at = free_list(bus, slot->page, &irq);
		if (!at || get_list(bus, at, &bound)) {
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
				get32(bus, slot->page + DMA_BLOCK_SECTOR), list->iov, list->count)) {
		slot->request->finished = true;
		finish(slot, false);
		return 0;
	}
	virtio_sync(slot->block->queue);
	virtio_block_poll(slot->block);
	return 0;
}

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
	struct list list;
	int ret = get_list(bus, at, &list);

	if (ret < 0)
		return ret;
	if (key == DMA_CONSOLE_KEY)
		print(bus, &list);
	for (unsigned int i = 0; i < bus->count; i++) {
		struct lguest_dma_slot *slot = &bus->slot[i];

		if (!slot->page || key != slot->page || !slot->up)
			continue;
		if (slot->net)
			send_frame(slot, &list, at);
		else
			ret = request(slot, &list);
	}
	lguest_dma_poll(bus);
	return ret;
}

void lguest_dma_poll(struct lguest_dma_bus *bus)
{
	for (unsigned int i = 0; i < bus->count; i++) {
		struct lguest_dma_slot *slot = &bus->slot[i];

		if (!slot->up)
			continue;
		virtio_direct_deliver(&slot->direct, NULL);
		if (slot->console)
			poll_console(slot);
		else if (slot->net)
			poll_net(slot);
		else
			virtio_block_poll(slot->block);
	}
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

int lguest_dma_init(struct lguest_dma_bus *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit, void *private,
		    size_t size, const struct lguest_dma_ops *ops, void *opaque)
{
	if (!bus || !private || (uintptr_t) private % LGUEST_PAGE_SIZE || !ops || !ops->raise || !ops->wake ||
	    limit > UINT64_C(1) << 32)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->guest = mem;
	bus->mem = (struct virtio_mem){ .translate = mem_translate, .address = mem_address, .dirty = mem_dirty, .opaque = bus };
	bus->platform = (struct virtio_platform){ .mem = &bus->mem, .alloc = private_alloc, .opaque = bus };
	bus->private = private;
	bus->private_size = size;
	bus->top = top;
	bus->limit = limit;
	bus->next_page = top + LGUEST_PAGE_SIZE;
	bus->ops = ops;
	bus->opaque = opaque;
	return page_bus_clear(mem, top, limit);
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
		slot->console = private_alloc(bus, sizeof(*slot->console) + PRINT_CHUNK, 16);
		ret = slot->console ? virtio_console_probe(slot->console, vdev) : -VIRTIO_ENOSPC;
		break;
	case VIRTIO_ID_NET:
		slot->net = private_alloc(bus, sizeof(*slot->net), 16);
		ret = slot->net ? virtio_net_probe(slot->net, vdev) : -VIRTIO_ENOSPC;
		break;
	default:
		slot->block = private_alloc(bus, sizeof(*slot->block), 16);
		slot->request = private_alloc(bus, sizeof(*slot->request), 16);
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
	uint8_t *d = (uint8_t *)virtio_mem_at(bus->guest, bus->top, LGUEST_PAGE_SIZE) + (size_t)DMA_SLOT_BYTES * index;
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

static const char *why_not(struct lguest_dma_bus *bus, const struct virtio_dev *dev)
{
	if (dev->id != VIRTIO_ID_CONSOLE && dev->id != VIRTIO_ID_NET && dev->id != VIRTIO_ID_BLOCK)
		return "a guest of Linux 2.6.23 knows consoles, disks and network cards only";
	if (dev->id == VIRTIO_ID_CONSOLE && console_of(bus))
		return "a guest of Linux 2.6.23 knows one console only";
	return NULL;
}

int lguest_dma_add(struct lguest_dma_bus *bus, struct virtio_dev *dev, const char **reason)
{
	const char *why = dev ? why_not(bus, dev) : "there is no device";
	struct lguest_dma_slot *slot = &bus->slot[bus->count];
	bool page = dev && dev->id != VIRTIO_ID_CONSOLE;
	int ret = why ? -VIRTIO_EINVAL : 0;

	if (!why && bus->count == DMA_SLOTS) {
		why = "a guest of Linux 2.6.23 takes at most 16 devices; leave some out";
		ret = -VIRTIO_ENOSPC;
	} else if (!why && page && bus->next_page + LGUEST_PAGE_SIZE > bus->limit) {
		why = "no memory is left above the guest's RAM for the device's page";
		ret = -VIRTIO_ENOSPC;
	}
	if (!why) {
		*slot = (struct lguest_dma_slot){ .bus = bus, .dev = dev, .page = page ? (uint32_t)bus->next_page : 0 };
		ret = set_up(slot);
		why = ret < 0 ? "our own driver does not get along with the device, or the memory for it is used up" : NULL;
	}
	if (reason)
		*reason = why;
	if (ret < 0)
		return ret;
	bus->next_page += page ? LGUEST_PAGE_SIZE : 0;
	describe(bus, bus->count++);
	return 0;
}

uint64_t lguest_dma_end(const struct lguest_dma_bus *bus)
{
	return bus->next_page;
}

int lguest_dma_restart(struct lguest_dma_bus *bus)
{
	int ret = 0;

	bus->bindings = 0;
	page_bus_clear(bus->guest, bus->top, bus->limit);
	for (unsigned int i = 0; i < bus->count; i++) {
		bus->slot[i].up = false;
		virtio_device_remove(&bus->slot[i].direct.vdev);
	}
	bus->private_next = 0;
	for (unsigned int i = 0; i < bus->count && !ret; i++) {
		ret = set_up(&bus->slot[i]);
		if (!ret)
			describe(bus, i);
	}
	return ret;
}
