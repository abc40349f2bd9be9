/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci.h - virtio over PCI, what both ends know (virtio 1.2, 4.1).
 *
 * A modern driver finds five structures through capabilities of the vendor's kind, each an id, a BAR, an offset and a length. A legacy
 * driver (4.1.4.10) finds one window in BAR 0. A transitional device has both, and the ids of the legacy one; which of the two a driver
 * is, is known by VIRTIO_F_VERSION_1, which only a modern one can accept.
 *
 * Modern structures are little-endian; in the legacy window the guest's own byte order rules.
 */
#ifndef KENNEL_TRANSPORT_PCI_VIRTIO_PCI_H
#define KENNEL_TRANSPORT_PCI_VIRTIO_PCI_H

#include <transport/pci/pci.h>
#include <virtio/virtio.h>

#define VIRTIO_PCI_VENDOR		0x1af4u
#define VIRTIO_PCI_MODERN_ID		0x1040u	/* 4.1.2: plus the virtio device id */
#define VIRTIO_PCI_LEGACY_FIRST		0x1000u	/* 4.1.2.1: transitional ids; the device id is the subsystem's */
#define VIRTIO_PCI_LEGACY_LAST		0x103fu

/* Capability (4.1.4): u8 id, u8 next, u8 len, u8 type, u8 bar, u8 id, u8 padding[2], u32 offset, u32 length. */
#define VIRTIO_PCI_CAP_LEN		2
#define VIRTIO_PCI_CAP_TYPE		3
#define VIRTIO_PCI_CAP_BAR		4
#define VIRTIO_PCI_CAP_OFFSET		8
#define VIRTIO_PCI_CAP_LENGTH		12
#define VIRTIO_PCI_CAP_BYTES		16
#define VIRTIO_PCI_CAP_MULTIPLIER	16	/* NOTIFY only: u32 notify_off_multiplier */
#define VIRTIO_PCI_CAP_DATA		16	/* PCI_CFG only: u8 pci_cfg_data[4] */
#define VIRTIO_PCI_CAP_LONG		20	/* bytes of these two */

#define VIRTIO_PCI_CAP_COMMON		1
#define VIRTIO_PCI_CAP_NOTIFY		2
#define VIRTIO_PCI_CAP_ISR		3
#define VIRTIO_PCI_CAP_DEVICE		4
#define VIRTIO_PCI_CAP_PCI_CFG		5

/* Common configuration structure (4.1.4.3). */
#define VIRTIO_PCI_DEVICE_FEATURE_SELECT 0	/* u32 */
#define VIRTIO_PCI_DEVICE_FEATURE	4	/* u32, read-only */
#define VIRTIO_PCI_DRIVER_FEATURE_SELECT 8	/* u32 */
#define VIRTIO_PCI_DRIVER_FEATURE	12	/* u32 */
#define VIRTIO_PCI_CONFIG_VECTOR	16	/* u16 */
#define VIRTIO_PCI_NUM_QUEUES		18	/* u16, read-only */
#define VIRTIO_PCI_STATUS		20	/* u8 */
#define VIRTIO_PCI_GENERATION		21	/* u8, read-only */
#define VIRTIO_PCI_QUEUE_SELECT		22	/* u16 */
#define VIRTIO_PCI_QUEUE_SIZE		24	/* u16 */
#define VIRTIO_PCI_QUEUE_VECTOR		26	/* u16 */
#define VIRTIO_PCI_QUEUE_ENABLE		28	/* u16 */
#define VIRTIO_PCI_QUEUE_NOTIFY_OFF	30	/* u16, read-only */
#define VIRTIO_PCI_QUEUE_DESC		32	/* u64, as two u32 */
#define VIRTIO_PCI_QUEUE_DRIVER		40	/* u64: the available ring */
#define VIRTIO_PCI_QUEUE_DEVICE		48	/* u64: the used ring */
#define VIRTIO_PCI_QUEUE_NOTIFY_DATA	56	/* u16, read-only: of a feature that we do not offer */
#define VIRTIO_PCI_QUEUE_RESET		58	/* u16: 1 resets the queue */
#define VIRTIO_PCI_COMMON_LEN		60

#define VIRTIO_PCI_NO_VECTOR		0xffffu	/* a vector that is not there */

/* Legacy window (4.1.4.10). While MSI-X is enabled, two vectors lie in front of the device's configuration. */
#define VIRTIO_PCI_LEGACY_DEVICE_FEATURES 0	/* u32, read-only */
#define VIRTIO_PCI_LEGACY_DRIVER_FEATURES 4	/* u32 */
#define VIRTIO_PCI_LEGACY_QUEUE_PFN	8	/* u32: address / 4096; 0 = none */
#define VIRTIO_PCI_LEGACY_QUEUE_SIZE	12	/* u16, read-only */
#define VIRTIO_PCI_LEGACY_QUEUE_SELECT	14	/* u16 */
#define VIRTIO_PCI_LEGACY_QUEUE_NOTIFY	16	/* u16 */
#define VIRTIO_PCI_LEGACY_STATUS	18	/* u8 */
#define VIRTIO_PCI_LEGACY_ISR		19	/* u8 */
#define VIRTIO_PCI_LEGACY_CONFIG	20	/* the device's own, or with MSI-X: */
#define VIRTIO_PCI_LEGACY_CONFIG_VECTOR	20	/* u16 */
#define VIRTIO_PCI_LEGACY_QUEUE_VECTOR	22	/* u16 */
#define VIRTIO_PCI_LEGACY_MSIX_CONFIG	24	/* the device's own */
#define VIRTIO_PCI_LEGACY_PAGE		4096u	/* unit of QUEUE_PFN, and alignment of the used ring */

/* ISR status (4.1.4.5): why INTx is asserted. Reading it acknowledges. */
#define VIRTIO_PCI_ISR_QUEUE		1u
#define VIRTIO_PCI_ISR_CONFIG		2u

#endif
