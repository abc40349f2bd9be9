/* SPDX-License-Identifier: MIT */
/* fake-internal.h - the parts of the test bed of <virtio/fake.h>: fake.c, and a table of operations for each bus. */
#ifndef KENNEL_TRANSPORT_BED_FAKE_INTERNAL_H
#define KENNEL_TRANSPORT_BED_FAKE_INTERNAL_H

#include <transport/direct.h>
#include <transport/lguest/dma-guest.h>
#include <transport/lguest/dma-host.h>
#include <transport/lguest/page-guest.h>
#include <transport/lguest/page-host.h>
#include <transport/lguest/tlv-guest.h>
#include <transport/lguest/tlv-host.h>
#include <transport/mmio/virtio-mmio-guest.h>
#include <transport/mmio/virtio-mmio-host.h>
#include <transport/pci/virtio-pci-guest.h>
#include <transport/pci/virtio-pci-host.h>
#include <transport/s390/page-guest.h>
#include <transport/s390/page-host.h>
#include <virtio/fake.h>
#include <virtio/stream.h>

/* One bus. Operations return 0 or a negative error. */
struct fake_bus {
	const char *name;
	bool never_big, never_little;	/* byte orders that it never had */
	bool device_space;		/* pages and rings above the top of memory */
	size_t private;			/* bytes of memory that the host's end needs for itself */
	int (*init)(struct virtio_fake *fake);			/* may be NULL, as may boot */
	int (*add)(struct virtio_fake *fake, unsigned int index);	/* fake->dev[index] */
	int (*boot)(struct virtio_fake *fake);			/* the driver's end begins to look */
	int (*find)(struct virtio_fake *fake, unsigned int index);	/* sets fake->vdev[index] */
	bool (*deliver)(struct virtio_fake *fake);		/* one round; false: nothing was pending */
	void (*destroy)(struct virtio_fake *fake);		/* the devices are gone; may be NULL */
};

#define FAKE_SPACE	(4 * 1024 * 1024u)	/* of device space */
#define FAKE_EVENTS	256

struct virtio_fake {
	struct virtio_fake_options options;
	const struct fake_bus *bus;
	uint8_t *memory;
	uint8_t *private;		/* of the host's end; NULL unless the bus needs some */
	uint64_t top;			/* end of what is ordinary memory */
	size_t next;			/* of it, not yet given out */
	struct fake_free *freed;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_dev *dev[VIRTIO_FAKE_DEVICES];
	struct virtio_device *vdev[VIRTIO_FAKE_DEVICES];
	unsigned int count;
	bool booted;
	const char *complaint;
	const struct virtio_dev *complained;
	union {
		struct fake_stream *stream[VIRTIO_FAKE_DEVICES];
		struct virtio_direct direct[VIRTIO_FAKE_DEVICES];
		struct {
			struct lguest_dma_bus host;
			struct lguest_dma_guest guest;
			struct lguest_dma_device device[VIRTIO_FAKE_DEVICES];
			uint32_t irqs;
			bool woken;
		} dma;
		struct {
			struct lguest_tlv host;
			struct lguest_tlv_bus guest;
			struct lguest_tlv_device device[VIRTIO_FAKE_DEVICES];
			uint32_t irqs;
		} tlv;
		struct {
			struct lguest_page host;
			struct lguest_bus guest;
			struct lguest_device device[VIRTIO_FAKE_DEVICES];
			uint32_t irqs;
		} lguest;
		struct {
			struct s390_page host;
			struct s390_bus guest;
			struct s390_device device[VIRTIO_FAKE_DEVICES];
			struct {
				uint32_t reason;
				uint64_t token;
			} event[FAKE_EVENTS];
			unsigned int events;
		} s390;
		struct {
			struct virtio_mmio host[VIRTIO_FAKE_DEVICES];
			struct virtio_mmio_access access;
			struct virtio_mmio_device device[VIRTIO_FAKE_DEVICES];
		} mmio;
		struct {
			struct virtio_pci host[VIRTIO_FAKE_DEVICES];
			uint32_t address;	/* the register of configuration mechanism 1 */
			struct virtio_pci_ports ports;
			uint32_t messages[VIRTIO_FAKE_DEVICES];	/* that came, as bits */
			struct virtio_pci_bus guest;
			struct virtio_pci_device device[VIRTIO_FAKE_DEVICES];
		} pci;
	};
};

extern const struct fake_bus fake_stream, fake_lguest_dma, fake_lguest_tlv, fake_lguest_page, fake_s390_page;
extern const struct fake_bus fake_mmio_legacy, fake_mmio, fake_pci_legacy, fake_pci_msix_legacy, fake_pci, fake_pci_msix;

/* A device stopped: the complain operation of every bus. @opaque: the bed. */
void fake_complain(void *opaque, const struct virtio_dev *dev, const char *reason);

/* Tell the user that the driver of @vdev heard of a change. */
void fake_config_changed(struct virtio_fake *fake, struct virtio_device *vdev);

#endif
