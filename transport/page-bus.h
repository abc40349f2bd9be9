/* SPDX-License-Identifier: MIT */
/*
 * page-bus.h - what the buses with a page of descriptions above the top of guest memory have in common: the host places the
 * rings, in the pages behind that page, and (but for the first of these buses) a descriptor has the same parts.
 *
 *	u8 type, u8 num_vq, u8 feature_len, u8 config_len, u8 status
 *	num_vq descriptions of rings, which differ from bus to bus
 *	u8 offered[feature_len], u8 accepted[feature_len]	feature bit n = byte n / 8, bit n % 8
 *	u8 config[config_len]
 *
 * Descriptors are packed byte by byte, one after the other; type 0 ends the list, as does the end of the page. A ring is one
 * block on pages of its own: descriptor table, available ring, and the used ring on the next 4096 boundary.
 */
#ifndef KENNEL_TRANSPORT_PAGE_BUS_H
#define KENNEL_TRANSPORT_PAGE_BUS_H

#include <virtio/virtio.h>
#include <virtio/vring.h>

struct virtio_dev;
struct virtio_device;
struct virtio_queue;

#define PAGE_BUS_PAGE		4096u

#define PAGE_DESC_TYPE		0
#define PAGE_DESC_NUM_VQ	1
#define PAGE_DESC_FEATURE_LEN	2
#define PAGE_DESC_CONFIG_LEN	3
#define PAGE_DESC_STATUS	4
#define PAGE_DESC_HEADER	5	/* bytes before the rings */

/* Bytes of a descriptor; @vq_bytes: of one ring's description. */
static inline size_t page_desc_bytes(unsigned int vq_bytes, unsigned int num_vq, unsigned int feature_len,
				     unsigned int config_len)
{
	return PAGE_DESC_HEADER + (size_t)vq_bytes * num_vq + 2 * (size_t)feature_len + config_len;
}

/* Bytes of one ring, whole pages. */
static inline uint64_t page_ring_bytes(uint32_t num)
{
	return (vring_bytes(num, VRING_LEGACY_ALIGN) + PAGE_BUS_PAGE - 1) & ~(uint64_t)(PAGE_BUS_PAGE - 1);
}

/* --- the host's end ------------------------------------------------------------------------------------------------- */

/* The page and what lies behind it, and what of both has been given to devices. */
struct page_space {
	const struct virtio_mem *mem;
	uint64_t top;			/* guest-physical address of the page: the end of RAM */
	uint64_t limit;			/* end of the space for rings */
	uint64_t next;			/* first address not yet handed out */
	unsigned int used;		/* bytes of the page */
	unsigned int count, devices;	/* that there are, and that there may be */
	unsigned int next_irq, irqs;	/* likewise lines, one per queue; irqs 0: this bus has none */
};

/*
 * All of [@top, @limit), with the page zeroed, for at most @devices and with lines 1 to @irqs - 1. 0; -VIRTIO_EINVAL: no memory, not
 * whole pages; -VIRTIO_EFAULT: @mem does not cover it.
 */
int page_space_init(struct page_space *space, const struct virtio_mem *mem, uint64_t top, uint64_t limit, unsigned int devices,
		    unsigned int irqs);

/* Byte @offset of the page. */
uint8_t *page_space_at(const struct page_space *space, unsigned int offset);

/* Zero the page, with all that was given out; nothing if page_space_init() has failed. */
void page_space_clear(const struct page_space *space);

/*
 * Give @dev the next @bytes of the page, a line per queue, and rings of the largest sizes, their addresses into @ring. NULL, or why
 * not: then nothing has changed but @ring.
 */
const char *page_space_take(struct page_space *space, const struct virtio_dev *dev, size_t bytes, uint64_t *ring);

/* Can a descriptor hold this device, with fewer than @max_queues + 1 queues? */
bool page_device_valid(const struct virtio_dev *dev, unsigned int max_queues);

/* Zero the rings. */
void page_rings_zero(const struct page_space *space, const struct virtio_dev *dev, const uint64_t *ring);

/* The features are final: set the queues up on their rings, and serve them. */
void page_rings_start(struct virtio_dev *dev, const uint64_t *ring);

/*
 * A device's configuration, which lies in the page at @config and is the guest's to write too; it makes no call for that. So the host
 * keeps what it has seen there, and looks at the page whenever the guest calls for another reason.
 */
struct page_config {
	uint8_t seen[255];
};

/* The descriptor is written: show the configuration of @dev. */
void page_config_write(struct page_config *c, struct virtio_dev *dev, uint8_t *config);

/* Tell @dev what the guest has written, by the word. Each byte is read once; one that is changing meanwhile is seen next time. */
void page_config_take(struct page_config *c, struct virtio_dev *dev, const uint8_t *config);

/* The device's configuration has changed: show what did, once the guest's own writes are taken. */
void page_config_changed(struct page_config *c, struct virtio_dev *dev, uint8_t *config);

/* --- the guest's end ------------------------------------------------------------------------------------------------ */

/* A descriptor found; the host may change it at any time, but then it is the host's own devices that suffer. */
struct page_desc {
	uint8_t *at;			/* in our addresses */
	unsigned int vq_bytes;		/* of one ring's description */
};

/* The description of ring @index, and (behind the last one) the bitmap of offered features. */
uint8_t *page_desc_queue(const struct page_desc *desc, unsigned int index);

/* At most 32 feature bits exist on these buses. */
uint32_t page_desc_offered(const struct page_desc *desc);
void page_desc_accept(const struct page_desc *desc, uint32_t features);

/* Configuration bytes; -VIRTIO_ERANGE outside. */
int page_desc_get(const struct page_desc *desc, size_t offset, void *buf, size_t len);
int page_desc_set(const struct page_desc *desc, size_t offset, const void *buf, size_t len);

/*
 * The descriptor at *@next of @page into @desc, and *@next behind it. False: there is none (yet), or one that reaches out of
 * the page; or no page.
 */
bool page_desc_next(uint8_t *page, unsigned int *next, unsigned int vq_bytes, struct page_desc *desc);

/*
 * A queue on the zeroed ring of @num entries that the host placed at @address, which becomes the queue's handle. 0 and *@vq;
 * -VIRTIO_EINVAL, -VIRTIO_EFAULT: the host describes nonsense; -VIRTIO_ENOMEM.
 */
int page_ring_create(struct virtio_device *vdev, unsigned int index, uint32_t num, uint64_t address, struct virtio_queue **vq);

#endif
