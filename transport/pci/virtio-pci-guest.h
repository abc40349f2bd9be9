/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-guest.h - the guest's end of virtio over PCI (see virtio-pci.h): finds the devices on bus 0 through configuration
 * mechanism 1 and gives drivers their bus operations, modern or legacy. Freestanding.
 *
 *	virtio_pci_bus_init(&bus, platform, &ports)
 *	while (virtio_pci_bus_next(&bus, &device))	one struct virtio_pci_device per device, kept by the caller
 *		switch (device.vdev.id) ...  virtio_block_probe(&block, &device.vdev)
 *	interrupt on device.line: virtio_pci_device_interrupt(&device), of every device that shares the line
 *
 * Firmware (or the hypervisor) has assigned the ports. Windows in device memory are left alone: a device that has its modern
 * structures there is driven through its legacy window, or not at all.
 */
#ifndef KENNEL_TRANSPORT_PCI_VIRTIO_PCI_GUEST_H
#define KENNEL_TRANSPORT_PCI_VIRTIO_PCI_GUEST_H

#include <transport/guest-ring.h>
#include <transport/pci/virtio-pci.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

/* The caller's IN and OUT; @size 1, 2 or 4. */
struct virtio_pci_ports {
	uint32_t (*in)(void *opaque, uint16_t port, unsigned int size);
	void (*out)(void *opaque, uint16_t port, unsigned int size, uint32_t value);
	void *opaque;
};

struct virtio_pci_bus {
	const struct virtio_platform *platform;
	const struct virtio_pci_ports *ports;
	unsigned int next;		/* slot where virtio_pci_bus_next() goes on */
	bool prefer_legacy;		/* drive transitional devices as a driver before virtio 1.0 would; set by the caller */
};

/* One device found. The caller keeps it as long as the device is used; it must not move once a driver has probed it. */
struct virtio_pci_device {
	struct virtio_device vdev;	/* for the driver */
	const struct virtio_pci_bus *bus;
	unsigned int slot;
	uint8_t line;			/* interrupt line, as firmware wrote it */
	/* First ports of the structures; the legacy window if @legacy, and then only @common and @config count. */
	bool legacy;
	uint16_t common, notify, isr, config;
	uint32_t config_len;
	uint32_t notify_step;
	unsigned int vectors;		/* message interrupts in use; 0 = INTx */
	struct guest_ring ring[VIRTIO_DRIVER_QUEUES];
};

/* Look at bus 0. @platform->alloc gives the rings' memory. Both must outlive the bus. 0, or -VIRTIO_EINVAL: null, or no memory. */
int virtio_pci_bus_init(struct virtio_pci_bus *bus, const struct virtio_platform *platform, const struct virtio_pci_ports *ports);

/* The next virtio device into @device, switched on; false: there is no more, or a pointer is null. */
bool virtio_pci_bus_next(struct virtio_pci_bus *bus, struct virtio_pci_device *device);

/*
 * The device's line was asserted: acknowledge, and let the queues harvest. True: it was this device. *@config (NULL: nobody asks) says
 * whether its configuration or status has changed. Null: false.
 */
bool virtio_pci_device_interrupt(struct virtio_pci_device *device, bool *config);

/*
 * Message interrupts instead of the line, where machine and device have such: vector 0 for the configuration, vector n + 1 for queue n.
 * The message of vector v is a store of @data + v to @address; @write stores a word to device memory.
 */
struct virtio_pci_messages {
	void (*write)(void *opaque, uint64_t address, uint32_t value);
	void *opaque;
	uint64_t address;
	uint32_t data;
};

/*
 * Use messages, before a driver probes the device. How many vectors there are now, of which at most 9 are used; -VIRTIO_EINVAL: null, or
 * an address that is no multiple of 4; -VIRTIO_EBUSY: they are in use already; -VIRTIO_EOPNOTSUPP: the device has no messages, or firmware
 * gave it no memory window.
 */
int virtio_pci_device_messages(struct virtio_pci_device *device, const struct virtio_pci_messages *messages);

/* The message of @vector came. True: its queue had something. For vector 0 the caller looks at the configuration. None, null: false. */
bool virtio_pci_device_message(struct virtio_pci_device *device, unsigned int vector);

/* Configuration space of @slot, function 0: @size 1, 2 or 4 bytes at @at, a multiple of it. All ones where nothing is. */
uint32_t virtio_pci_config_in(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size);
void virtio_pci_config_out(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size, uint32_t value);

VIRTIO_END_DECLS

#endif
