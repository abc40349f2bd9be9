/* SPDX-License-Identifier: MIT */
/*
 * fake.c - the test bed of <virtio/fake.h>: guest memory, the list of devices, and the bus without a bus. The others are in
 * fake-page.c, fake-register.c and fake-stream.c.
 */
#include <stdlib.h>

#include "transport/bed/fake-internal.h"

#define MEMORY_DEFAULT	(4u * 1024 * 1024)
#define MEMORY_LEAST	65536u

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* A piece that was given back; lies in the piece itself. */
struct fake_free {
	struct fake_free *next;
	size_t size;
};

/* A piece given back that has exactly this size and at least this alignment: what a driver takes that is probed once more. */
static void *reuse(struct virtio_fake *fake, size_t size, size_t align)
{
	for (struct fake_free **link = &fake->freed; *link; link = &(*link)->next) {
		struct fake_free *piece = *link;

		if (piece->size != size || (uintptr_t)piece & (align - 1))
			continue;
		*link = piece->next;
		virtio_zero(piece, size);
		return piece;
	}
	return NULL;
}

void *virtio_fake_alloc(struct virtio_fake *fake, size_t size, size_t align)
{
	size_t at;
	void *piece;

	if (!fake || !align || (align & (align - 1)))
		return NULL;
	piece = reuse(fake, size, align);
	if (piece)
		return piece;
	at = (fake->next + align - 1) & ~(align - 1);
	if (at > fake->top || size > fake->top - at)
		return NULL;
	fake->next = at + size;
	return fake->memory + at;
}

/* Does [@ptr, @ptr + @size) lie in what was given out? */
static bool given(const struct virtio_fake *fake, const void *ptr, size_t size)
{
	uintptr_t at = (uintptr_t)ptr - (uintptr_t)fake->memory;

	return (uintptr_t)ptr >= (uintptr_t)fake->memory && at <= fake->next && size <= fake->next - at;
}

void virtio_fake_free(struct virtio_fake *fake, void *ptr, size_t size)
{
	struct fake_free *piece = ptr;

	if (!fake || !given(fake, ptr, size) || size < sizeof(*piece) || (uintptr_t)ptr % _Alignof(struct fake_free))
		return;
	for (const struct fake_free *other = fake->freed; other; other = other->next)
		if (other == piece)
			return;
	*piece = (struct fake_free){ fake->freed, size };
	fake->freed = piece;
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	return virtio_fake_alloc(opaque, size, align);
}

static void platform_free(void *opaque, void *ptr, size_t size)
{
	virtio_fake_free(opaque, ptr, size);
}

static void platform_wait(void *opaque)
{
	struct virtio_fake *fake = opaque;

	virtio_fake_deliver(fake);
	if (fake->options.idle)
		fake->options.idle(fake->options.opaque);
}

/* --- the bus without a bus ------------------------------------------------------------------------------------------ */

static int direct_add(struct virtio_fake *fake, unsigned int index)
{
	struct virtio_direct *direct = &fake->direct[index];
	int ret = virtio_direct_init(direct, fake->dev[index], &fake->platform, fake->options.big_endian);

	direct->complain = fake_complain;
	direct->opaque = fake;
	return ret;
}

static int direct_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->direct[index].vdev;
	return 0;
}

static bool direct_deliver(struct virtio_fake *fake)
{
	bool any = false;

	for (unsigned int i = 0; i < fake->count; i++) {
		bool config;

		any |= virtio_direct_deliver(&fake->direct[i], &config);
		if (config)
			fake_config_changed(fake, fake->vdev[i]);
	}
	return any;
}

static const struct fake_bus fake_direct = {
	.name = "direct",
	.add = direct_add,
	.find = direct_find,
	.deliver = direct_deliver,
};

static const struct fake_bus *const buses[VIRTIO_FAKE_BUSES] = {
	[VIRTIO_FAKE_DIRECT] = &fake_direct,
	[VIRTIO_FAKE_STREAM] = &fake_stream,
	[VIRTIO_FAKE_LGUEST_DMA] = &fake_lguest_dma,
	[VIRTIO_FAKE_LGUEST_TLV] = &fake_lguest_tlv,
	[VIRTIO_FAKE_LGUEST_PAGE] = &fake_lguest_page,
	[VIRTIO_FAKE_S390_PAGE] = &fake_s390_page,
	[VIRTIO_FAKE_MMIO_LEGACY] = &fake_mmio_legacy,
	[VIRTIO_FAKE_MMIO] = &fake_mmio,
	[VIRTIO_FAKE_PCI_LEGACY] = &fake_pci_legacy,
	[VIRTIO_FAKE_PCI_MSIX_LEGACY] = &fake_pci_msix_legacy,
	[VIRTIO_FAKE_PCI] = &fake_pci,
	[VIRTIO_FAKE_PCI_MSIX] = &fake_pci_msix,
};

/* --- what all buses need -------------------------------------------------------------------------------------------- */

void fake_complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	struct virtio_fake *fake = opaque;

	fake->complaint = reason;
	fake->complained = dev;
}

void fake_config_changed(struct virtio_fake *fake, struct virtio_device *vdev)
{
	if (fake->options.config_changed)
		fake->options.config_changed(fake->options.opaque, vdev);
}

/* --- the bed -------------------------------------------------------------------------------------------------------- */

static bool valid(const struct virtio_fake_options *o)
{
	if ((unsigned int)o->bus >= VIRTIO_FAKE_BUSES || (o->memory && o->memory < MEMORY_LEAST))
		return false;
	return !(o->big_endian ? buses[o->bus]->never_big : buses[o->bus]->never_little);
}

int virtio_fake_create(const struct virtio_fake_options *options, struct virtio_fake **result)
{
	struct virtio_fake *fake;
	size_t size;
	int ret;

	if (!options || !result || !valid(options))
		return -VIRTIO_EINVAL;
	fake = calloc(1, sizeof(*fake));
	if (!fake)
		return -VIRTIO_ENOMEM;
	fake->options = *options;
	fake->bus = buses[options->bus];
	fake->top = (options->memory ? options->memory : MEMORY_DEFAULT) & ~(size_t)4095;
	size = (size_t)fake->top + (fake->bus->device_space ? FAKE_SPACE : 0);
	fake->memory = aligned_alloc(4096, size);
	/* Address 0 is a null pointer to somebody. */
	fake->next = 4096;
	fake->mem = (struct virtio_mem){ .base = fake->memory, .size = size };
	fake->platform = (struct virtio_platform){
		.mem = &fake->mem, .alloc = platform_alloc, .free = platform_free, .wait = platform_wait, .opaque = fake };
	if (fake->memory)
		virtio_zero(fake->memory, size);
	if (fake->bus->private)
		fake->private = aligned_alloc(4096, fake->bus->private);
	if (!fake->memory || (fake->bus->private && !fake->private))
		ret = -VIRTIO_ENOMEM;
	else
		ret = fake->bus->init ? fake->bus->init(fake) : 0;
	if (ret < 0) {
		virtio_fake_destroy(fake);
		return ret;
	}
	*result = fake;
	return 0;
}

int virtio_fake_add(struct virtio_fake *fake, struct virtio_dev *dev)
{
	int ret;

	if (!fake || !dev)
		return -VIRTIO_EINVAL;
	for (unsigned int i = 0; i < fake->count; i++)
		if (fake->dev[i] == dev)
			return -VIRTIO_EINVAL;
	if (fake->booted)
		return -VIRTIO_EBUSY;
	if (fake->count == VIRTIO_FAKE_DEVICES)
		return -VIRTIO_ENOSPC;
	dev->offered &= ~fake->options.without;
	fake->dev[fake->count] = dev;
	ret = fake->bus->add(fake, fake->count);
	fake->count += !ret;
	return ret;
}

/* The driver's end looks at the bus, which has the devices in the order in which they were added. */
static int boot(struct virtio_fake *fake)
{
	int ret = fake->bus->boot ? fake->bus->boot(fake) : 0;

	for (unsigned int i = 0; !ret && i < fake->count; i++)
		ret = fake->bus->find(fake, i);
	fake->booted = true;
	return ret;
}

int virtio_fake_find(struct virtio_fake *fake, unsigned int index, struct virtio_device **vdev)
{
	int ret;

	if (!fake || !vdev)
		return -VIRTIO_EINVAL;
	ret = fake->booted ? 0 : boot(fake);
	if (ret < 0)
		return ret;
	if (index >= fake->count || !fake->vdev[index])
		return -VIRTIO_ENOENT;
	*vdev = fake->vdev[index];
	return 0;
}

unsigned int virtio_fake_deliver(struct virtio_fake *fake)
{
	unsigned int rounds = 0;

	while (fake && fake->booted && fake->bus->deliver(fake))
		rounds++;
	return rounds;
}

const struct virtio_mem *virtio_fake_mem(const struct virtio_fake *fake)
{
	return fake ? &fake->mem : NULL;
}

const char *virtio_fake_broken(struct virtio_fake *fake, const struct virtio_dev **dev)
{
	const char *reason = fake ? fake->complaint : NULL;

	if (dev)
		*dev = fake ? fake->complained : NULL;
	if (!reason)
		return NULL;
	fake->complaint = NULL;
	fake->complained = NULL;
	return reason;
}

const char *virtio_fake_name(enum virtio_fake_bus bus)
{
	return (unsigned int)bus < VIRTIO_FAKE_BUSES ? buses[bus]->name : "?";
}

void virtio_fake_destroy(struct virtio_fake *fake)
{
	if (!fake)
		return;
	for (unsigned int i = 0; i < fake->count; i++)
		virtio_dev_destroy(fake->dev[i]);
	if (fake->bus->destroy)
		fake->bus->destroy(fake);
	free(fake->private);
	free(fake->memory);
	free(fake);
}
