/* SPDX-License-Identifier: MIT */
/*
 * page-host.c - the host's end of the lguest bus (layout and sources: lguest/page.h).
 *
 * The page is shared with the guest, so it is something we say, not something we remember: offsets, ring addresses and the features
 * offered are kept in struct lguest_slot. What the guest says there (status, accepted features, configuration) is read once per NOTIFY.
 *
 * Order of events for one device: status 0 and NOTIFY (reset); status 1, then 3, silently; the accepted features and NOTIFY; from then
 * on the rings are used. Status 7 comes later, silently: waiting for it would deadlock, because the guest's console driver prints, and
 * spins until it is printed, before it gets there.
 */
#include <transport/lguest/page-host.h>
#include <transport/page-bus.h>

static uint8_t *page_at(const struct lguest_page *bus, const struct lguest_slot *slot, unsigned int offset)
{
	return page_space_at(&bus->space, slot->offset + offset);
}

static unsigned int features_at(const struct lguest_slot *slot)
{
	return PAGE_DESC_HEADER + LGUEST_DESC_VQ * slot->num_vq;
}

static uint8_t *config_of(const struct lguest_page *bus, const struct lguest_slot *slot)
{
	return page_at(bus, slot, features_at(slot) + 2 * LGUEST_FEATURE_LEN);
}

static void write_descriptor(const struct lguest_page *bus, struct lguest_slot *slot)
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
	page_config_write(&slot->config, slot->dev, config_of(bus, slot));
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

	page_config_changed(&slot->config, dev, config_of(slot->bus, slot));
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
	bus->raise = raise;
	bus->opaque = opaque;
	return page_space_init(&bus->space, mem, top, limit, LGUEST_MAX_DEVICES, LGUEST_MAX_IRQS);
}

int lguest_page_add(struct lguest_page *bus, struct virtio_dev *dev, const char **reason)
{
	bool valid = bus && page_device_valid(dev, LGUEST_MAX_IRQS - 1);
	const char *why = "this device cannot be described in an lguest page";
	struct lguest_slot new = { .bus = bus, .dev = dev }, *slot;

	if (valid) {
		new.offset = (uint16_t)bus->space.used;
		new.length = (uint16_t)page_desc_bytes(LGUEST_DESC_VQ, dev->num_queues, LGUEST_FEATURE_LEN, (unsigned int)dev->config_len);
		new.num_vq = (uint8_t)dev->num_queues;
		new.config_len = (uint8_t)dev->config_len;
		new.first_irq = (uint8_t)bus->space.next_irq;
		new.offered = (uint32_t)dev->offered;
		why = page_space_take(&bus->space, dev, new.length, new.ring);
	}
	if (reason)
		*reason = why;
	if (why)
		return valid ? -VIRTIO_ENOSPC : -VIRTIO_EINVAL;
	slot = &bus->slot[bus->space.count - 1];
	*slot = new;

	dev->transport = &lguest_transport;
	dev->transport_data = slot;
	dev->mem = bus->space.mem;
	dev->legacy_big_endian = false;
	virtio_dev_reset(dev);
	page_rings_zero(&bus->space, dev, slot->ring);
	write_descriptor(bus, slot);
	return 0;
}

uint64_t lguest_page_end(const struct lguest_page *bus)
{
	return bus ? bus->space.next : 0;
}

/* --- what the guest tells devices ------------------------------------------------------------------------------------- */

static void reset(struct lguest_page *bus, struct lguest_slot *slot)
{
	virtio_dev_reset(slot->dev);
	virtio_zero(page_at(bus, slot, features_at(slot) + LGUEST_FEATURE_LEN), LGUEST_FEATURE_LEN);
	page_rings_zero(&bus->space, slot->dev, slot->ring);
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
		page_rings_zero(&bus->space, slot->dev, slot->ring);
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

	page_config_take(&slot->config, slot->dev, config_of(bus, slot));
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
	if (!bus || address < bus->space.top || address >= bus->space.next)
		return false;
	for (unsigned int i = 0; i < bus->space.count; i++) {
		struct lguest_slot *slot = &bus->slot[i];

		for (unsigned int q = 0; q < slot->num_vq; q++) {
			if (slot->ring[q] == address) {
				page_config_take(&slot->config, slot->dev, config_of(bus, slot));
				virtio_dev_kick(slot->dev, q);
				return true;
			}
		}
		if (bus->space.top + slot->offset == address) {
			descriptor_event(bus, slot);
			return true;
		}
	}
	return false;
}

void lguest_page_restart(struct lguest_page *bus)
{
	if (!bus)
		return;
	page_space_clear(&bus->space);
	for (unsigned int i = 0; i < bus->space.count; i++) {
		virtio_dev_reset(bus->slot[i].dev);
		page_rings_zero(&bus->space, bus->slot[i].dev, bus->slot[i].ring);
		write_descriptor(bus, &bus->slot[i]);
	}
}
