/* SPDX-License-Identifier: MIT */
/*
 * pci.h - the part of PCI that both ends here speak: the header of a function's configuration space, type 0 (PCI Local Bus 3.0, 6.1 and
 * 6.2), and configuration mechanism 1 (3.2.2.3.2). Offsets in bytes; everything is little-endian.
 */
#ifndef KENNEL_TRANSPORT_PCI_PCI_H
#define KENNEL_TRANSPORT_PCI_PCI_H

#define PCI_CONFIG_SIZE		256u
#define PCI_BARS		6u
#define PCI_SLOTS		32u	/* of one bus */

#define PCI_VENDOR_ID		0x00	/* u16 */
#define PCI_DEVICE_ID		0x02	/* u16 */
#define PCI_COMMAND		0x04	/* u16 */
#define PCI_STATUS		0x06	/* u16 */
#define PCI_REVISION		0x08	/* u8 */
#define PCI_CLASS		0x09	/* u8 interface, u8 subclass, u8 class */
#define PCI_HEADER_TYPE		0x0e	/* u8 */
#define PCI_BAR0		0x10	/* u32 each */
#define PCI_SUBSYSTEM_VENDOR	0x2c	/* u16 */
#define PCI_SUBSYSTEM_ID	0x2e	/* u16 */
#define PCI_CAPABILITIES	0x34	/* u8: offset of the first */
#define PCI_INTERRUPT_LINE	0x3c	/* u8: written by firmware, read by the system */
#define PCI_INTERRUPT_PIN	0x3d	/* u8: 1 = INTA */
#define PCI_HEADER_END		0x40	/* the device's own part begins */

#define PCI_COMMAND_IO		0x0001u	/* answers to its I/O ports */
#define PCI_COMMAND_MEMORY	0x0002u
#define PCI_COMMAND_MASTER	0x0004u	/* may access memory by itself */
#define PCI_COMMAND_NO_INTX	0x0400u
#define PCI_STATUS_INTERRUPT	0x0008u	/* wants INTx, masked or not */
#define PCI_STATUS_CAPABILITIES	0x0010u

#define PCI_BAR_IO		0x1u	/* bit 0 of a BAR: it asks for ports */
#define PCI_BAR_IO_FLAGS	0x3u
#define PCI_BAR_MEMORY_64	0x4u	/* of one that asks for memory: it takes the next BAR too */

#define PCI_CAP_ID		0	/* u8 */
#define PCI_CAP_NEXT		1	/* u8; 0 = the last */
#define PCI_CAP_VENDOR		0x09	/* ids: specific to the vendor */
#define PCI_CAP_MSIX		0x11	/* message interrupts (6.8.2) */

#define PCI_MSIX_CONTROL	2	/* u16: entries of the table - 1, and: */
#define PCI_MSIX_MASK		0x4000u	/* no entry sends */
#define PCI_MSIX_ENABLE		0x8000u	/* messages, and no INTx */
#define PCI_MSIX_TABLE		4	/* u32: offset in a window, and in bits 0 to 2 which */
#define PCI_MSIX_PBA		8	/* u32, likewise: a bit for each message that is held back */
#define PCI_MSIX_BYTES		12

/* An entry of the table: u64 address, u32 data, u32 control. */
#define PCI_MSIX_ENTRY		16u
#define PCI_MSIX_ENTRY_DATA	8
#define PCI_MSIX_ENTRY_CONTROL	12	/* bit 0: masked */

/* Configuration mechanism 1. */
#define PCI_CONFIG_ADDRESS	0xcf8	/* u32 only: enable, bus << 16, slot << 11, function << 8, register */
#define PCI_CONFIG_DATA		0xcfc	/* u8, u16 or u32, up to 0xcff */
#define PCI_CONFIG_ENABLE	0x80000000u

#endif
