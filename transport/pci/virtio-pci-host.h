/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-host.h - the host's end of virtio over PCI (see virtio-pci.h): one struct virtio_pci makes one device a PCI
 * function.
 *
 * For a machine:
 *
 *	virtio_pci_init(&vp, dev, VIRTIO_PCI_TRANSITIONAL, &mem, &reason)
 *	put &vp.pci on the machine's bus (pci-function.h), which from then on reaches everything else
 *
 * All structures lie in I/O BARs, the modern ones too: a port access is a call in our translator, an access to device memory
 * would be a fault. The interrupt is INTx: level-triggered, acknowledged by reading ISR; or messages (MSI-X), where the machine
 * wants. Callers hold the I/O lock. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_PCI_VIRTIO_PCI_HOST_H
#define KENNEL_TRANSPORT_PCI_VIRTIO_PCI_HOST_H

#include <transport/pci/pci-function.h>
#include <transport/pci/virtio-pci.h>
#include <transport/registers.h>

VIRTIO_BEGIN_DECLS

enum virtio_pci_kind {
	VIRTIO_PCI_MODERN,
	VIRTIO_PCI_TRANSITIONAL,	/* where the device has a transitional id; otherwise modern */
};

/* Where the windows are. */
enum {
	VIRTIO_PCI_BAR_LEGACY = 0,	/* transitional devices only */
	VIRTIO_PCI_BAR_MODERN = 1,	/* COMMON, ISR and NOTIFY, at the offsets below */
	VIRTIO_PCI_BAR_MSIX = 3,	/* memory; after virtio_pci_add_msix() */
	VIRTIO_PCI_BAR_CONFIG = 2,	/* DEVICE; only of devices that have a configuration */
	VIRTIO_PCI_AT_COMMON = 0,
	VIRTIO_PCI_AT_ISR = 64,
	VIRTIO_PCI_AT_NOTIFY = 128,
	VIRTIO_PCI_NOTIFY_STEP = 4,	/* notify_off_multiplier: ports from one queue's to the next's */
};

struct virtio_pci {
	struct pci_function pci;	/* first: what the bus holds */
	struct virtio_regs regs;
	bool transitional;
	uint8_t access;			/* offset of the PCI_CFG capability in the configuration space */

	/* Message interrupts, after virtio_pci_add_msix(). */
	uint8_t msix;			/* offset of their capability; 0 = there are none */
	unsigned int vectors;
	uint64_t held;			/* messages that are masked, as bits: the PBA */
	uint8_t table[(VIRTIO_REGS_QUEUES + 1) * PCI_MSIX_ENTRY];
	void (*send)(void *opaque, uint64_t address, uint32_t data);
	void *send_opaque;

	/* A device stopped because its driver broke the contract; once per reset. Set after virtio_pci_init(); may be NULL. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
};

/*
 * Make @dev a PCI function. @mem: guest memory; outlives the device. On failure nothing has changed, and *@reason (unless
 * @reason is NULL) is a sentence. 0; -VIRTIO_EINVAL: null, no such kind, a device without VIRTIO_F_VERSION_1, with more than 32 queues,
 * of sizes that are no powers of two, or more than 232 bytes of configuration. The function does not own the device, and must not move.
 */
int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev, enum virtio_pci_kind kind, const struct virtio_mem *mem,
		    const char **reason);

/*
 * Have message interrupts too: for machines that have such, and memory windows on their bus. One vector for each queue, and one
 * for the configuration. @send(@opaque, address, data) stores the message. After virtio_pci_init(), before the function is on
 * its bus. 0; -VIRTIO_EINVAL: null, no device, or it has them already.
 */
int virtio_pci_add_msix(struct virtio_pci *vp, void (*send)(void *opaque, uint64_t address, uint32_t data), void *opaque);

VIRTIO_END_DECLS

#endif
