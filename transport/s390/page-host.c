/* SPDX-License-Identifier: MIT */
/*
 * page-host.c - the host's end of the s390 bus (layout and sources: s390/page.h).
 *
 * The page is shared with the guest, so it is something we say, not something we remember: offsets, ring addresses and the
 * features offered are kept in struct s390_slot.
 *
 * Order of events for one device: RESET; status 1, then 3, each with SET_STATUS; the accepted features and the queues' tokens,
 * silently; maybe a first kick, for old drivers fill their rings early; status 7 with SET_STATUS. So the features are final at
 * the first kick or at DRIVER_OK, whichever comes first, and the device begins then.
 *
 * A token belongs to the guest: we hand back what it stored, and nothing while that is 0, which it would follow as a pointer.
 * What the guest writes into a device's configuration is told with its next call for that device.
 *
 * RESET clears the tokens, because those of a driver that is gone are no better.
 */
#include <transport/page-bus.h>
#include <transport/s390/page-host.h>

#define TEXT_MAX 4096u			/* characters of the early console in one call; guests send 16 */

static uint8_t *page_at(const struct s390_page *bus, const struct s390_slot *slot, unsigned int offset)
{
	return page_space_at(&bus->space, slot->offset + offset);
}

static unsigned int features_at(const struct s390_slot *slot)
{
	return PAGE_DESC_HEADER + S390_DESC_VQ * slot->dev->num_queues;
}

static uint8_t *config_of(const struct s390_page *bus, const struct s390_slot *slot)
{
	return page_at(bus, slot, features_at(slot) + 2 * S390_FEATURE_LEN);
}

/* The type comes last: a running guest that looks at the page meanwhile takes the list to end here. */
static void write_descriptor(const struct s390_page *bus, struct s390_slot *slot)
{
	uint8_t *d = page_at(bus, slot, 0), *vq = d + PAGE_DESC_HEADER;

	virtio_zero(d + 1, slot->length - 1u);
	d[PAGE_DESC_NUM_VQ] = (uint8_t)slot->dev->num_queues;
	d[PAGE_DESC_FEATURE_LEN] = S390_FEATURE_LEN;
	d[PAGE_DESC_CONFIG_LEN] = (uint8_t)slot->dev->config_len;
	for (unsigned int i = 0; i < slot->dev->num_queues; i++, vq += S390_DESC_VQ) {
		virtio_put64(true, vq + S390_VQ_ADDRESS, slot->ring[i]);
		virtio_put16(true, vq + S390_VQ_NUM, slot->dev->queues[i].num_max);
	}
	/* A bitmap of bytes: little-endian in any byte order. */
	virtio_put32(false, vq, slot->offered);
	page_config_write(&slot->config, slot->dev, config_of(bus, slot));
	/* release: pairs with the guest's reading of the type, before all else. */
	__atomic_store_n(&d[PAGE_DESC_TYPE], (uint8_t)slot->dev->id, __ATOMIC_RELEASE);
}

/* --- what devices tell the guest ------------------------------------------------------------------------------------ */

/* The token of @queue, as the guest has stored it; 0 = the queue is not in use. */
static uint64_t token_of(const struct s390_slot *slot, unsigned int queue)
{
	uint64_t raw;

	virtio_copy(&raw, page_at(slot->bus, slot, PAGE_DESC_HEADER + S390_DESC_VQ * queue + S390_VQ_TOKEN), sizeof(raw));
	return virtio_get64(true, &raw);
}

static void s390_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct s390_slot *slot = dev->transport_data;
	uint64_t token = token_of(slot, queue);

	if (token)
		slot->bus->raise(slot->bus->opaque, S390_REASON_QUEUE, token);
}

static void s390_config_changed(struct virtio_dev *dev)
{
	struct s390_slot *slot = dev->transport_data;

	page_config_changed(&slot->config, dev, config_of(slot->bus, slot));
	if (!slot->bus->reasons || !dev->live)
		return;
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		uint64_t token = token_of(slot, i);

		if (token) {
			slot->bus->raise(slot->bus->opaque, S390_REASON_CONFIG, token);
			return;
		}
	}
}

static void s390_broken(struct virtio_dev *dev)
{
	struct s390_slot *slot = dev->transport_data;

	if (slot->bus->complain)
		slot->bus->complain(slot->bus->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops s390_transport = {
	.interrupt = s390_interrupt,
	.config_changed = s390_config_changed,
	.broken = s390_broken,
};

/* --- building ------------------------------------------------------------------------------------------------------- */

int s390_page_init(struct s390_page *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		   void (*raise)(void *opaque, uint32_t reason, uint64_t token), void *opaque)
{
	if (!bus || !raise)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->raise = raise;
	bus->opaque = opaque;
	return page_space_init(&bus->space, mem, top, limit, S390_MAX_DEVICES, 0);
}

int s390_page_add(struct s390_page *bus, struct virtio_dev *dev, const char **reason)
{
	bool valid = bus && page_device_valid(dev, S390_MAX_QUEUES);
	const char *why = "this device cannot be described in an s390 device page";
	struct s390_slot new = { .bus = bus, .dev = dev }, *slot;

	if (valid) {
		new.offset = (uint16_t)bus->space.used;
		new.length = (uint16_t)page_desc_bytes(S390_DESC_VQ, dev->num_queues, S390_FEATURE_LEN, (unsigned int)dev->config_len);
		new.offered = (uint32_t)dev->offered;
		why = page_space_take(&bus->space, dev, new.length, new.ring);
	}
	if (reason)
		*reason = why;
	if (why)
		return valid ? -VIRTIO_ENOSPC : -VIRTIO_EINVAL;
	slot = &bus->slot[bus->space.count - 1];
	*slot = new;

	dev->transport = &s390_transport;
	dev->transport_data = slot;
	dev->mem = bus->space.mem;
	dev->legacy_big_endian = true;
	virtio_dev_reset(dev);
	page_rings_zero(&bus->space, dev, slot->ring);
	/* What the guest may have written behind the last descriptor must not become a list that goes on. */
	if (bus->space.used < S390_PAGE_SIZE)
		*page_at(bus, slot, slot->length) = 0;
	write_descriptor(bus, slot);
	if (bus->running && bus->reasons)
		bus->raise(bus->opaque, S390_REASON_ADDED, 0);
	return 0;
}

uint64_t s390_page_end(const struct s390_page *bus)
{
	return bus ? bus->space.next : 0;
}

/* --- what the guest tells devices ----------------------------------------------------------------------------------- */

static void reset(struct s390_page *bus, struct s390_slot *slot)
{
	virtio_dev_reset(slot->dev);
	page_rings_zero(&bus->space, slot->dev, slot->ring);
	write_descriptor(bus, slot);
}

/* The driver begins to use the device: what it accepted is final. */
static void begin(struct s390_page *bus, struct s390_slot *slot)
{
	struct virtio_dev *dev = slot->dev;
	uint8_t raw[S390_FEATURE_LEN];
	uint32_t accepted;

	if (dev->live || dev->broken)
		return;
	virtio_copy(raw, page_at(bus, slot, features_at(slot) + S390_FEATURE_LEN), sizeof(raw));
	accepted = virtio_get32(false, raw);
	/* 2.2.1: the driver accepts only what was offered. */
	if ((accepted & ~slot->offered) || virtio_dev_set_features(dev, accepted)) {
		virtio_dev_break(dev, "the driver accepted features that the device does not offer together (virtio 1.2, 2.2.1)");
		return;
	}
	page_rings_start(dev, slot->ring);
}

static void set_status(struct s390_page *bus, struct s390_slot *slot)
{
	struct virtio_dev *dev = slot->dev;
	uint8_t status = *(const volatile uint8_t *)page_at(bus, slot, PAGE_DESC_STATUS);
	bool fresh = status & ~dev->status & VIRTIO_STATUS_DRIVER_OK;

	if (!status) {
		reset(bus, slot);
	} else if (status & VIRTIO_STATUS_FAILED) {
		/* The driver gave up: use nothing of its any more. */
		virtio_dev_reset(dev);
		dev->status = status;
	} else {
		dev->status = (uint8_t)(status | (dev->status & VIRTIO_STATUS_NEEDS_RESET));
		if (status & VIRTIO_STATUS_DRIVER_OK)
			begin(bus, slot);
		if (fresh)
			virtio_dev_driver_ok(dev);
	}
}

static void print(struct s390_page *bus, uint64_t at)
{
	char text[64];
	size_t len = 0;

	for (unsigned int i = 0; i < TEXT_MAX; i++) {
		const char *c = at + i < bus->space.top ? virtio_mem_at(bus->space.mem, at + i, 1) : NULL;
		char copy = c ? *(const volatile char *)c : '\0';

		if (copy)
			text[len++] = copy;
		if (len == sizeof(text) || (!copy && len)) {
			bus->print(bus->opaque, text, len);
			len = 0;
		}
		if (!copy)
			return;
	}
}

static void kick(struct s390_page *bus, struct s390_slot *slot, unsigned int queue)
{
	page_config_take(&slot->config, slot->dev, config_of(bus, slot));
	if ((slot->dev->status & (VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED)) == VIRTIO_STATUS_DRIVER)
		begin(bus, slot);
	virtio_dev_kick(slot->dev, queue);
}

static int64_t notify(struct s390_page *bus, uint64_t address)
{
	if (address < bus->space.top) {
		if (bus->print)
			print(bus, address);
		return 0;
	}
	for (unsigned int i = 0; i < bus->space.count; i++) {
		for (unsigned int q = 0; q < bus->slot[i].dev->num_queues; q++) {
			if (bus->slot[i].ring[q] == address) {
				kick(bus, &bus->slot[i], q);
				return 0;
			}
		}
	}
	return -VIRTIO_EINVAL;
}

int64_t s390_page_call(struct s390_page *bus, uint64_t number, uint64_t argument)
{
	if (!bus)
		return -VIRTIO_EINVAL;
	bus->running = true;
	if (number == S390_NOTIFY)
		return notify(bus, argument);
	if (number != S390_RESET && number != S390_SET_STATUS)
		return -VIRTIO_EINVAL;
	for (unsigned int i = 0; i < bus->space.count; i++) {
		if (bus->space.top + bus->slot[i].offset == argument) {
			page_config_take(&bus->slot[i].config, bus->slot[i].dev, config_of(bus, &bus->slot[i]));
			(number == S390_RESET ? reset : set_status)(bus, &bus->slot[i]);
			return 0;
		}
	}
	return -VIRTIO_EINVAL;
}

void s390_page_restart(struct s390_page *bus)
{
	if (!bus)
		return;
	page_space_clear(&bus->space);
	bus->running = false;
	for (unsigned int i = 0; i < bus->space.count; i++)
		reset(bus, &bus->slot[i]);
}
