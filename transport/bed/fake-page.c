/* SPDX-License-Identifier: MIT */
/* fake-page.c - the buses of the test bed that are pages above the top of memory: three generations of lguest's, and s390's. */
#include "transport/bed/fake-internal.h"

/* --- lguest of Linux 2.6.23 ----------------------------------------------------------------------------------------- */

static void dma_raise(void *opaque, unsigned int irq)
{
	((struct virtio_fake *)opaque)->dma.irqs |= UINT32_C(1) << irq;
}

static void dma_wake(void *opaque)
{
	((struct virtio_fake *)opaque)->dma.woken = true;
}

static uint32_t dma_call(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq)
{
	struct virtio_fake *fake = opaque;
	int ret = number == LGUEST_BIND_DMA ? lguest_dma_bind(&fake->dma.host, key, address, count_irq) :
					      lguest_dma_send(&fake->dma.host, key, address);

	if (ret < 0)
		fake_complain(fake, NULL, "the guest gave an address that is none, and would be killed");
	return ret > 0;
}

static int dma_init(struct virtio_fake *fake)
{
	static const struct lguest_dma_ops ops = { .raise = dma_raise, .wake = dma_wake, .complain = fake_complain };

	return lguest_dma_init(&fake->dma.host, &fake->mem, fake->top, fake->mem.size, fake->private, LGUEST_DMA_PRIVATE, &ops,
			       fake);
}

static int dma_add(struct virtio_fake *fake, unsigned int index)
{
	return lguest_dma_add(&fake->dma.host, fake->dev[index], NULL);
}

static int dma_boot(struct virtio_fake *fake)
{
	return lguest_dma_guest_init(&fake->dma.guest, &fake->platform, fake->top, 1, dma_call, fake);
}

static int dma_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->dma.device[index].vdev;
	return lguest_dma_guest_next(&fake->dma.guest, &fake->dma.device[index]) ? 0 : -VIRTIO_ENOENT;
}

static bool dma_deliver(struct virtio_fake *fake)
{
	bool woken = fake->dma.woken;
	uint32_t irqs;

	fake->dma.woken = false;
	if (woken)
		lguest_dma_poll(&fake->dma.host);
	irqs = fake->dma.irqs;
	fake->dma.irqs = 0;
	for (unsigned int i = 0; i < LGUEST_MAX_IRQS; i++)
		if (irqs >> i & 1)
			lguest_dma_guest_interrupt(&fake->dma.guest, i);
	return woken || irqs;
}

const struct fake_bus fake_lguest_dma = {
	.name = "lguest-dma",
	.never_big = true,
	.device_space = true,
	.private = LGUEST_DMA_PRIVATE,
	.init = dma_init,
	.add = dma_add,
	.boot = dma_boot,
	.find = dma_find,
	.deliver = dma_deliver,
};

/* --- lguest of Linux 2.6.24 ----------------------------------------------------------------------------------------- */

static void tlv_raise(void *opaque, unsigned int irq)
{
	((struct virtio_fake *)opaque)->tlv.irqs |= UINT32_C(1) << irq;
}

static void tlv_notify(void *opaque, uint64_t address)
{
	lguest_tlv_notify(&((struct virtio_fake *)opaque)->tlv.host, address);
}

static int tlv_init(struct virtio_fake *fake)
{
	int ret = lguest_tlv_init(&fake->tlv.host, &fake->mem, fake->top, fake->mem.size, tlv_raise, fake);

	fake->tlv.host.complain = fake_complain;
	return ret;
}

static int tlv_add(struct virtio_fake *fake, unsigned int index)
{
	return lguest_tlv_add(&fake->tlv.host, fake->dev[index], NULL);
}

static int tlv_boot(struct virtio_fake *fake)
{
	return lguest_tlv_bus_init(&fake->tlv.guest, &fake->platform, fake->top, tlv_notify, fake);
}

static int tlv_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->tlv.device[index].vdev;
	return lguest_tlv_bus_next(&fake->tlv.guest, &fake->tlv.device[index]) ? 0 : -VIRTIO_ENOENT;
}

static bool tlv_deliver(struct virtio_fake *fake)
{
	uint32_t irqs = fake->tlv.irqs;

	fake->tlv.irqs = 0;
	for (unsigned int i = 0; i < LGUEST_MAX_IRQS; i++)
		if (irqs >> i & 1)
			lguest_tlv_bus_interrupt(&fake->tlv.guest, i);
	return irqs;
}

const struct fake_bus fake_lguest_tlv = {
	.name = "lguest-tlv",
	.never_big = true,
	.device_space = true,
	.init = tlv_init,
	.add = tlv_add,
	.boot = tlv_boot,
	.find = tlv_find,
	.deliver = tlv_deliver,
};

/* --- lguest of later Linux ------------------------------------------------------------------------------------------ */

static void lguest_raise(void *opaque, unsigned int irq)
{
	((struct virtio_fake *)opaque)->lguest.irqs |= UINT32_C(1) << irq;
}

static void lguest_notify(void *opaque, uint64_t address)
{
	lguest_page_notify(&((struct virtio_fake *)opaque)->lguest.host, address);
}

static int lguest_init(struct virtio_fake *fake)
{
	int ret = lguest_page_init(&fake->lguest.host, &fake->mem, fake->top, fake->mem.size, lguest_raise, fake);

	fake->lguest.host.complain = fake_complain;
	return ret;
}

static int lguest_add(struct virtio_fake *fake, unsigned int index)
{
	return lguest_page_add(&fake->lguest.host, fake->dev[index], NULL);
}

static int lguest_boot(struct virtio_fake *fake)
{
	return lguest_bus_init(&fake->lguest.guest, &fake->platform, fake->top, lguest_notify, fake);
}

static int lguest_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->lguest.device[index].vdev;
	return lguest_bus_next(&fake->lguest.guest, &fake->lguest.device[index]) ? 0 : -VIRTIO_ENOENT;
}

static bool lguest_deliver(struct virtio_fake *fake)
{
	uint32_t irqs = fake->lguest.irqs;

	fake->lguest.irqs = 0;
	for (unsigned int i = 0; i < LGUEST_MAX_IRQS; i++)
		if (irqs >> i & 1)
			lguest_bus_interrupt(&fake->lguest.guest, i);
	return irqs;
}

const struct fake_bus fake_lguest_page = {
	.name = "lguest-page",
	.never_big = true,
	.device_space = true,
	.init = lguest_init,
	.add = lguest_add,
	.boot = lguest_boot,
	.find = lguest_find,
	.deliver = lguest_deliver,
};

/* --- s390 ----------------------------------------------------------------------------------------------------------- */

/* Equal events that nobody has taken yet are one, which no guest can tell, so that the list has an end. */
static void s390_raise(void *opaque, uint32_t reason, uint64_t token)
{
	struct virtio_fake *fake = opaque;

	for (unsigned int i = 0; i < fake->s390.events; i++)
		if (fake->s390.event[i].reason == reason && fake->s390.event[i].token == token)
			return;
	if (fake->s390.events == FAKE_EVENTS)
		return;
	fake->s390.event[fake->s390.events].reason = reason;
	fake->s390.event[fake->s390.events++].token = token;
}

static int64_t s390_call(void *opaque, uint64_t number, uint64_t argument)
{
	return s390_page_call(&((struct virtio_fake *)opaque)->s390.host, number, argument);
}

static int s390_init(struct virtio_fake *fake)
{
	int ret = s390_page_init(&fake->s390.host, &fake->mem, fake->top, fake->mem.size, s390_raise, fake);

	fake->s390.host.complain = fake_complain;
	fake->s390.host.reasons = true;
	return ret;
}

static int s390_add(struct virtio_fake *fake, unsigned int index)
{
	return s390_page_add(&fake->s390.host, fake->dev[index], NULL);
}

static int s390_boot(struct virtio_fake *fake)
{
	return s390_bus_init(&fake->s390.guest, &fake->platform, fake->top, s390_call, fake);
}

static int s390_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->s390.device[index].vdev;
	return s390_bus_next(&fake->s390.guest, &fake->s390.device[index]) ? 0 : -VIRTIO_ENOENT;
}

/* One event a round, as a processor takes one interrupt a time. */
static bool s390_deliver(struct virtio_fake *fake)
{
	struct virtio_device *changed;
	uint32_t reason;
	uint64_t token;

	if (!fake->s390.events)
		return false;
	reason = fake->s390.event[0].reason;
	token = fake->s390.event[0].token;
	fake->s390.events--;
	for (unsigned int i = 0; i < fake->s390.events; i++)
		fake->s390.event[i] = fake->s390.event[i + 1];
	s390_bus_interrupt(&fake->s390.guest, reason, token, &changed);
	if (changed)
		fake_config_changed(fake, changed);
	return true;
}

const struct fake_bus fake_s390_page = {
	.name = "s390-page",
	.never_little = true,
	.device_space = true,
	.init = s390_init,
	.add = s390_add,
	.boot = s390_boot,
	.find = s390_find,
	.deliver = s390_deliver,
};
