/* SPDX-License-Identifier: MIT */
/*
 * lguest-page-host.c - the host's end of the lguest bus (layout and sources: lguest-page.h).
 *
 * The page is shared with the guest, so it is something we say, not something we remember: offsets, ring addresses and the features
 * offered are kept in struct lguest_slot. What the guest says there (status, accepted features) is read once per NOTIFY.
 *
 * Order of events for one device: status 0 and NOTIFY (reset); status 1, then 3, silently; the accepted features and NOTIFY; from then
 * on the rings are used. Status 7 comes later, silently: waiting for it would deadlock, because the guest's console driver prints, and
 * spins until it is printed, before it gets there.
 */
#include <transport/lguest-page-host.h>
#include <transport/page-bus.h>

static uint8_t *page_at(const struct lguest_page *bus, const struct lguest_slot *slot, unsigned int offset)
{
	return (uint8_t *)virtio_mem_at(bus->mem, bus->top, LGUEST_PAGE_SIZE) + slot->offset + offset;
}

static unsigned int features_at(const struct lguest_slot *slot)
{
	return PAGE_DESC_HEADER + LGUEST_DESC_VQ * slot->num_vq;
}

static void write_config(const struct lguest_page *bus, const struct lguest_slot *slot)
{
	uint8_t *config = page_at(bus, slot, features_at(slot) + 2 * LGUEST_FEATURE_LEN);

	virtio_dev_config_read(slot->dev, 0, config, slot->config_len);
}

static void write_descriptor(const struct lguest_page *bus, const struct lguest_slot *slot)
{
	uint8_t *d = page_at(bus, slot, 0), *vq = d + PAGE_DESC_HEADER;

	virtio_zero(d, slot->length);
	d[PAGE_DESC_TYPE] = (uint8_t)slot->dev->id;
	d[PAGE_DESC_NUM_VQ] = slot->num_vq;
	d[PAGE_DESC_FEATURE_LEN] = LGUEST_FEATURE_LEN;
	d[PAGE_DESC_CONFIG_LEN] = slot->config_len;
	for (unsigned int i = 0; i < slot->num_vq; i++, vq += LGUEST_DESC_VQ) {
		virtio_put16(false, vq + LGUEST_VQ_NUM, slot->dev->queues[i].num_max);
		virtio_put16(false, vq + LGUEST_VQ_IRQ, (uint16_t)(slot->first_irq + i));
		virtio_put32(false, vq + LGUEST_VQ_PFN, (uint32_t)(slot->ring[i] / LGUEST_PAGE_SIZE));
	}
	virtio_put32(false, vq, slot->offered);
	write_config(bus, slot);
}

/* --- what devices tell the guest -------------------------------------------------------------------------------------- */

static void lguest_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct lguest_slot *slot = dev->transport_data;

	slot->bus->raise(slot->bus->opaque, slot->first_irq + queue);
}

/* There is no interrupt for this; a guest that looks again sees the new values. */
static void lguest_config_changed(struct virtio_dev *dev)
{
	struct lguest_slot *slot = dev->transport_data;

	write_config(slot->bus, slot);
}

static void lguest_broken(struct virtio_dev *dev)
{
	struct lguest_slot *slot = dev->transport_data;

	if (slot->bus->complain)
		slot->bus->complain(slot->bus->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops lguest_transport = {
	.interrupt = lguest_interrupt,
	.config_changed = lguest_config_changed,
	.broken = lguest_broken,
};

/* --- building --------------------------------------------------------------------------------------------------------- */

int lguest_page_init(struct lguest_page *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		     void (*raise)(void *opaque, unsigned int irq), void *opaque)
{
	/* A ring's place is told as a 32-bit page frame number, and NOTIFY carries a 32-bit address. */
	if (!bus || !raise || limit > UINT64_C(1) << 32)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->mem = mem;
	bus->top = top;
	bus->limit = limit;
	bus->next_ring = top + LGUEST_PAGE_SIZE;
	bus->next_irq = 1;
	bus->raise = raise;
	bus->opaque = opaque;
	return page_bus_clear(mem, top, limit);
}

/* Find a place for @dev. NULL, or why there is none. */
static const char *place(struct lguest_page *bus, const struct virtio_dev *dev, struct lguest_slot *slot)
{
	if (bus->count == LGUEST_MAX_DEVICES)
		return "an lguest guest takes at most 31 devices; leave some out";
	if (bus->next_irq + dev->num_queues > LGUEST_MAX_IRQS)
		return "an lguest guest has 31 device interrupts, one per queue, and they are used up; leave some devices out";
	slot->length = (uint16_t)page_desc_bytes(LGUEST_DESC_VQ, dev->num_queues, LGUEST_FEATURE_LEN, (unsigned int)dev->config_len);
	if (bus->used + slot->length > LGUEST_PAGE_SIZE)
		return "the descriptions of all devices must fit into one page, and it is full; leave some devices out";
	if (!page_rings_place(dev, &bus->next_ring, bus->limit, slot->ring))
		return "no memory is left above the guest's RAM for the device's rings";
	return NULL;
}

int lguest_page_add(struct lguest_page *bus, struct virtio_dev *dev, const char **reason)
{
	struct lguest_slot slot = { .bus = bus, .dev = dev };
	bool valid = page_device_valid(dev, LGUEST_MAX_IRQS - 1);
	const char *why = valid ? place(bus, dev, &slot) : "this device cannot be described in an lguest page";

	if (reason)
		*reason = why;
	if (why)
		return valid ? -VIRTIO_ENOSPC : -VIRTIO_EINVAL;

	slot.offset = (uint16_t)bus->used;
	slot.num_vq = (uint8_t)dev->num_queues;
	slot.config_len = (uint8_t)dev->config_len;
	slot.first_irq = (uint8_t)bus->next_irq;
	slot.offered = (uint32_t)dev->offered;
	bus->next_irq += dev->num_queues;
	bus->used += slot.length;
	bus->slot[bus->count] = slot;

	dev->transport = &lguest_transport;
	dev->transport_data = &bus->slot[bus->count];
	dev->mem = bus->mem;
	dev->legacy_big_endian = false;
	bus->count++;
	virtio_dev_reset(dev);
	page_rings_zero(bus->mem, dev, slot.ring);
	write_descriptor(bus, dev->transport_data);
	return 0;
}

uint64_t lguest_page_end(const struct lguest_page *bus)
{
	return bus->next_ring;
}

/* --- what the guest tells devices ------------------------------------------------------------------------------------- */

static void reset(struct lguest_page *bus, struct lguest_slot *slot)
{
	virtio_dev_reset(slot->dev);
	virtio_zero(page_at(bus, slot, features_at(slot) + LGUEST_FEATURE_LEN), LGUEST_FEATURE_LEN);
	page_rings_zero(bus->mem, slot->dev, slot->ring);
}

/* The accepted features are final: begin. */
static void finalize(struct lguest_page *bus, struct lguest_slot *slot, uint8_t status)
{
	uint32_t accepted = virtio_get32(false, page_at(bus, slot, features_at(slot) + LGUEST_FEATURE_LEN));
	struct virtio_dev *dev = slot->dev;

	/* Once more without a reset: nothing new means nothing to do; otherwise the driver begins anew, so the rings do. */
	if (dev->live) {
		if (accepted == dev->features)
			return;
		virtio_dev_reset(dev);
		page_rings_zero(bus->mem, slot->dev, slot->ring);
	}
	dev->status = status;
	if ((accepted & ~slot->offered) || virtio_dev_set_features(dev, accepted)) {
		virtio_dev_break(dev, "the driver accepted features that the device does not offer together");
		return;
	}
	page_rings_start(dev, slot->ring);
}

static void descriptor_event(struct lguest_page *bus, struct lguest_slot *slot)
{
	uint8_t status = *(const volatile uint8_t *)page_at(bus, slot, PAGE_DESC_STATUS);

	if (!status) {
		reset(bus, slot);
	} else if (status & VIRTIO_STATUS_FAILED) {
		/* The driver gave up: use nothing of its any more. The page stays as it left it, until it resets. */
		virtio_dev_reset(slot->dev);
		slot->dev->status = status;
	} else {
		finalize(bus, slot, status);
	}
}

bool lguest_page_notify(struct lguest_page *bus, uint64_t address)
{
	if (address < bus->top || address >= bus->next_ring)
		return false;
	for (unsigned int i = 0; i < bus->count; i++) {
		struct lguest_slot *slot = &bus->slot[i];

		for (unsigned int q = 0; q < slot->num_vq; q++) {
			if (slot->ring[q] == address) {
				virtio_dev_kick(slot->dev, q);
				return true;
			}
		}
		if (bus->top + slot->offset == address) {
			descriptor_event(bus, slot);
			return true;
		}
	}
	return false;
}

void lguest_page_restart(struct lguest_page *bus)
{
	page_bus_clear(bus->mem, bus->top, bus->limit);
	for (unsigned int i = 0; i < bus->count; i++) {
		virtio_dev_reset(bus->slot[i].dev);
		page_rings_zero(bus->mem, bus->slot[i].dev, bus->slot[i].ring);
		write_descriptor(bus, &bus->slot[i]);
	}
}
