/* SPDX-License-Identifier: MIT */
/* page-bus-guest.c - reading the page of descriptions, and a queue on a ring that the host placed. */
#include <transport/page-bus.h>
#include <virtio/vring-driver.h>

#define FEATURE_BYTES 4u

uint8_t *page_desc_queue(const struct page_desc *desc, unsigned int index)
{
	return desc->at + PAGE_DESC_HEADER + (size_t)desc->vq_bytes * index;
}

static uint8_t *features_of(const struct page_desc *desc)
{
	return page_desc_queue(desc, desc->at[PAGE_DESC_NUM_VQ]);
}

static uint8_t *config_of(const struct page_desc *desc)
{
	return features_of(desc) + (size_t)2 * desc->at[PAGE_DESC_FEATURE_LEN];
}

uint32_t page_desc_offered(const struct page_desc *desc)
{
	const uint8_t *offered = features_of(desc);
	uint32_t features = 0;

	for (unsigned int i = 0; i < desc->at[PAGE_DESC_FEATURE_LEN] && i < FEATURE_BYTES; i++)
		features |= (uint32_t)offered[i] << 8 * i;
	return features;
}

void page_desc_accept(const struct page_desc *desc, uint32_t features)
{
	unsigned int len = desc->at[PAGE_DESC_FEATURE_LEN];
	uint8_t *accepted = features_of(desc) + len;

	for (unsigned int i = 0; i < len; i++)
		accepted[i] = i < FEATURE_BYTES ? (uint8_t)(features >> 8 * i) : 0;
}

static bool in_config(const struct page_desc *desc, size_t offset, size_t len)
{
	size_t size = desc->at[PAGE_DESC_CONFIG_LEN];

	return offset <= size && len <= size - offset;
}

int page_desc_get(const struct page_desc *desc, size_t offset, void *buf, size_t len)
{
	if (!in_config(desc, offset, len))
		return -VIRTIO_ERANGE;
	virtio_copy(buf, config_of(desc) + offset, len);
	return 0;
}

int page_desc_set(const struct page_desc *desc, size_t offset, const void *buf, size_t len)
{
	if (!in_config(desc, offset, len))
		return -VIRTIO_ERANGE;
	virtio_copy(config_of(desc) + offset, buf, len);
	return 0;
}

bool page_desc_next(uint8_t *page, unsigned int *next, unsigned int vq_bytes, struct page_desc *desc)
{
	uint8_t *d;
	size_t bytes;

	if (!page || *next > PAGE_BUS_PAGE - PAGE_DESC_HEADER)
		return false;
	d = page + *next;
	/* acquire: pairs with the host's release of the type, when it adds a device to a running guest. */
	if (!__atomic_load_n(&d[PAGE_DESC_TYPE], __ATOMIC_ACQUIRE))
		return false;
	bytes = page_desc_bytes(vq_bytes, d[PAGE_DESC_NUM_VQ], d[PAGE_DESC_FEATURE_LEN], d[PAGE_DESC_CONFIG_LEN]);
	if (bytes > PAGE_BUS_PAGE - *next)
		return false;
	*desc = (struct page_desc){ d, vq_bytes };
	*next += (unsigned int)bytes;
	return true;
}

int page_ring_create(struct virtio_device *vdev, unsigned int index, uint32_t num, uint64_t address, struct virtio_queue **vq)
{
	uint8_t *ring;
	int ret;

	if (!vring_size_valid(num))
		return -VIRTIO_EINVAL;
	ring = virtio_mem_at(vdev->platform->mem, address, page_ring_bytes(num));
	if (!ring)
		return -VIRTIO_EFAULT;
	ret = vring_driver_create(vdev, index, num, ring, ring + vring_desc_bytes(num),
				  ring + vring_used_offset(num, VRING_LEGACY_ALIGN), vq);
	if (!ret)
		(*vq)->handle = address;
	return ret;
}
