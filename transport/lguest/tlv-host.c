/* SPDX-License-Identifier: MIT */
/*
 * tlv-host.c - the host's end of the lguest bus of Linux 2.6.24 (layout and sources: lguest/tlv.h).
 *
 * Nobody says when a device begins. So it begins at the first kick of one of its rings, unless the driver has given up by then;
 * a driver that gives up later is taken notice of at its next kick, and its rings are emptied, in case another one follows.
 */
#include <transport/lguest/tlv-host.h>

static uint8_t *page_at(const struct lguest_tlv *bus, const struct lguest_tlv_slot *slot, unsigned int offset)
{
	return page_space_at(&bus->space, slot->offset + offset);
}

/* Does the device have the bytes that field @f tells? */
static bool tells(const struct virtio_dev *dev, const struct tlv_config *f)
{
	return f->id == dev->id && (dev->offered & f->feature) == f->feature && f->offset + (size_t)f->len <= dev->config_len;
}

static unsigned int fields_bytes(const struct virtio_dev *dev)
{
	unsigned int bytes = (TLV_FIELD_HEADER + LGUEST_DESC_VQ) * dev->num_queues;

	for (unsigned int i = 0; i < TLV_CONFIGS; i++)
		if (tells(dev, &tlv_configs[i]))
			bytes += TLV_FIELD_HEADER + tlv_configs[i].len;
	return bytes;
}

/* Write a field's header; returns where its data go. */
static uint8_t *begin_field(uint8_t *at, unsigned int type, unsigned int len)
{
	at[TLV_FIELD_TYPE] = (uint8_t)type;
	at[TLV_FIELD_LEN] = (uint8_t)len;
	return at + TLV_FIELD_HEADER;
}

static void write_descriptor(const struct lguest_tlv *bus, const struct lguest_tlv_slot *slot)
{
	struct virtio_dev *dev = slot->dev;
	uint8_t *d = page_at(bus, slot, 0), *at = d + TLV_DESC_HEADER;

	d[TLV_DESC_TYPE] = (uint8_t)dev->id;
	d[TLV_DESC_CONFIG_LEN] = (uint8_t)(slot->length - TLV_DESC_HEADER);
	d[TLV_DESC_STATUS] = 0;
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		at = begin_field(at, TLV_TYPE_QUEUE, LGUEST_DESC_VQ);
		virtio_put16(false, at + LGUEST_VQ_NUM, dev->queues[i].num_max);
		virtio_put16(false, at + LGUEST_VQ_IRQ, (uint16_t)(slot->first_irq + i));
		virtio_put32(false, at + LGUEST_VQ_PFN, (uint32_t)(slot->ring[i] / LGUEST_PAGE_SIZE));
		at += LGUEST_DESC_VQ;
	}
	for (unsigned int i = 0; i < TLV_CONFIGS; i++) {
		const struct tlv_config *f = &tlv_configs[i];

		if (!tells(dev, f))
			continue;
		at = begin_field(at, f->type, f->len);
		virtio_dev_config_read(dev, f->offset, at, f->len);
		at += f->len;
	}
}

/* --- what devices tell the guest ------------------------------------------------------------------------------------ */

static void tlv_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct lguest_tlv_slot *slot = dev->transport_data;

	slot->bus->raise(slot->bus->opaque, slot->first_irq + queue);
}

static void tlv_broken(struct virtio_dev *dev)
{
	struct lguest_tlv_slot *slot = dev->transport_data;

	if (slot->bus->complain)
		slot->bus->complain(slot->bus->opaque, dev, dev->broken);
}

/* A guest reads its devices' configuration once, and there is no way to make it read again. */
static const struct virtio_transport_ops tlv_transport = {
	.interrupt = tlv_interrupt,
	.broken = tlv_broken,
};

/* --- building ------------------------------------------------------------------------------------------------------- */

int lguest_tlv_init(struct lguest_tlv *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		    void (*raise)(void *opaque, unsigned int irq), void *opaque)
{
	/* A ring's place is told as a 32-bit page frame number, and NOTIFY carries a 32-bit address. */
	if (!bus || !raise || limit > UINT64_C(1) << 32)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->raise = raise;
	bus->opaque = opaque;
	return page_space_init(&bus->space, mem, top, limit, LGUEST_TLV_DEVICES, LGUEST_MAX_IRQS);
}

static void start_anew(struct lguest_tlv *bus, struct lguest_tlv_slot *slot)
{
	virtio_dev_reset(slot->dev);
	page_rings_zero(&bus->space, slot->dev, slot->ring);
	write_descriptor(bus, slot);
}

int lguest_tlv_add(struct lguest_tlv *bus, struct virtio_dev *dev, const char **reason)
{
	bool valid = bus && page_device_valid(dev, LGUEST_MAX_IRQS - 1) && fields_bytes(dev) <= 255;
	const char *why = "this device cannot be described in an lguest page";
	struct lguest_tlv_slot new = { .bus = bus, .dev = dev }, *slot;

	if (valid) {
		new.offset = (uint16_t)bus->space.used;
		new.length = (uint16_t)(TLV_DESC_HEADER + fields_bytes(dev));
		new.first_irq = (uint8_t)bus->space.next_irq;
		why = page_space_take(&bus->space, dev, new.length, new.ring);
	}
	if (reason)
		*reason = why;
	if (why)
		return valid ? -VIRTIO_ENOSPC : -VIRTIO_EINVAL;
	slot = &bus->slot[bus->space.count - 1];
	*slot = new;

	dev->transport = &tlv_transport;
	dev->transport_data = slot;
	dev->mem = bus->space.mem;
	dev->legacy_big_endian = false;
	dev->early = true;
	start_anew(bus, slot);
	return 0;
}

uint64_t lguest_tlv_end(const struct lguest_tlv *bus)
{
	return bus ? bus->space.next : 0;
}

/* --- what the guest tells devices ----------------------------------------------------------------------------------- */

static void begin(struct lguest_tlv_slot *slot)
{
	struct virtio_dev *dev = slot->dev;

	if (dev->live || dev->broken)
		return;
	if (virtio_dev_set_features(dev, 0))
		virtio_dev_break(dev, "the device does not work without features, and this bus has none");
	else
		page_rings_start(dev, slot->ring);
}

static void kick(struct lguest_tlv *bus, struct lguest_tlv_slot *slot, unsigned int queue)
{
	struct virtio_dev *dev = slot->dev;
	uint8_t status = *(const volatile uint8_t *)page_at(bus, slot, TLV_DESC_STATUS);

	if (status & VIRTIO_STATUS_FAILED) {
		/* The driver gave up: use nothing of its any more. */
		if (dev->live) {
			virtio_dev_reset(dev);
			page_rings_zero(&bus->space, dev, slot->ring);
		}
		return;
	}
	begin(slot);
	virtio_dev_kick(dev, queue);
}

bool lguest_tlv_notify(struct lguest_tlv *bus, uint64_t address)
{
	for (unsigned int i = 0; bus && i < bus->space.count; i++) {
		for (unsigned int q = 0; q < bus->slot[i].dev->num_queues; q++) {
			if (bus->slot[i].ring[q] == address) {
				kick(bus, &bus->slot[i], q);
				return true;
			}
		}
	}
	return false;
}

void lguest_tlv_restart(struct lguest_tlv *bus)
{
	if (!bus)
		return;
	page_space_clear(&bus->space);
	for (unsigned int i = 0; i < bus->space.count; i++)
		start_anew(bus, &bus->slot[i]);
}
