/* SPDX-License-Identifier: MIT */
/*
 * fake-register.c - the buses of the test bed that are registers: MMIO, and a PCI bus with its configuration mechanism and
 * ports.
 */
#include "transport/bed/fake-internal.h"

/* --- MMIO ----------------------------------------------------------------------------------------------------------- */

#define WINDOW_FIRST	0xf0000000u
#define WINDOW_STEP	0x1000u

static void mmio_irq(void *opaque, bool level)
{
	/* The level is asked for when interrupts are delivered. */
}

static uint32_t mmio_read(void *opaque, uint64_t address, unsigned int size)
{
	struct virtio_fake *fake = opaque;
	uint64_t index = (address - WINDOW_FIRST) / WINDOW_STEP;

	return index < fake->count ? virtio_mmio_read(&fake->mmio.host[index], (uint32_t)address % WINDOW_STEP, size) : 0;
}

static void mmio_write(void *opaque, uint64_t address, unsigned int size, uint32_t value)
{
	struct virtio_fake *fake = opaque;
	uint64_t index = (address - WINDOW_FIRST) / WINDOW_STEP;

	if (index < fake->count)
		virtio_mmio_write(&fake->mmio.host[index], (uint32_t)address % WINDOW_STEP, size, value);
}

static int mmio_init(struct virtio_fake *fake)
{
	fake->mmio.access = (struct virtio_mmio_access){ .read = mmio_read, .write = mmio_write, .opaque = fake };
	return 0;
}

static int mmio_add(struct virtio_fake *fake, unsigned int index)
{
	uint32_t version = fake->bus == &fake_mmio ? VIRTIO_MMIO_MODERN : VIRTIO_MMIO_LEGACY;
	int ret = virtio_mmio_init(&fake->mmio.host[index], fake->dev[index], version, fake->options.big_endian, &fake->mem,
				   mmio_irq, fake, NULL);

	fake->mmio.host[index].complain = fake_complain;
	return ret;
}

static int mmio_find(struct virtio_fake *fake, unsigned int index)
{
	fake->vdev[index] = &fake->mmio.device[index].vdev;
	return virtio_mmio_probe(&fake->mmio.device[index], &fake->platform, &fake->mmio.access,
				 WINDOW_FIRST + WINDOW_STEP * index, VIRTIO_MMIO_WINDOW, fake->options.big_endian);
}

static bool mmio_deliver(struct virtio_fake *fake)
{
	bool any = false;

	for (unsigned int i = 0; i < fake->count; i++) {
		bool config;

		if (!fake->mmio.host[i].asserted)
			continue;
		any |= virtio_mmio_device_interrupt(&fake->mmio.device[i], &config);
		if (config)
			fake_config_changed(fake, fake->vdev[i]);
	}
	return any;
}

const struct fake_bus fake_mmio_legacy = {
	.name = "mmio-legacy",
	.init = mmio_init,
	.add = mmio_add,
	.find = mmio_find,
	.deliver = mmio_deliver,
};

const struct fake_bus fake_mmio = {
	.name = "mmio",
	.init = mmio_init,
	.add = mmio_add,
	.find = mmio_find,
	.deliver = mmio_deliver,
};

/* --- PCI ------------------------------------------------------------------------------------------------------------ */

#define PORT_FIRST	0x1000u
#define PORT_STEP	0x800u		/* from one function's windows to the next's, of 256 ports at most each */

/* The function that the configuration address names; function n is in slot n. */
static struct pci_function *selected(struct virtio_fake *fake)
{
	uint32_t slot = (fake->pci.address & ~PCI_CONFIG_ENABLE) >> 11;

	return (fake->pci.address & PCI_CONFIG_ENABLE) && !(fake->pci.address & 0x700) && slot < fake->count
		       ? &fake->pci.host[slot].pci
		       : NULL;
}

/* The function and window that answer to @port; NULL: none does. */
static struct pci_function *decode(struct virtio_fake *fake, unsigned int port, unsigned int *bar, uint32_t *offset)
{
	for (unsigned int i = 0; i < fake->count; i++) {
		struct pci_function *fn = &fake->pci.host[i].pci;

		for (*bar = 0; *bar < PCI_BARS; ++*bar) {
			int32_t base = pci_function_port(fn, *bar);

			if (base < 0 || port < (uint32_t)base || port - (uint32_t)base >= fn->bar_size[*bar])
				continue;
			*offset = port - (uint32_t)base;
			return fn;
		}
	}
	return NULL;
}

static uint32_t port_in(void *opaque, uint16_t port, unsigned int size)
{
	struct virtio_fake *fake = opaque;
	struct pci_function *fn = selected(fake);
	unsigned int bar;
	uint32_t offset;

	if (port == PCI_CONFIG_ADDRESS)
		return fake->pci.address;
	if (port >= PCI_CONFIG_DATA && port < PCI_CONFIG_DATA + 4)
		return fn ? pci_config_read(fn, (fake->pci.address & 0xfc) + (port & 3), size) : ~0u;
	fn = decode(fake, port, &bar, &offset);
	return fn ? pci_bar_read(fn, bar, offset, size) : ~0u;
}

static void port_out(void *opaque, uint16_t port, unsigned int size, uint32_t value)
{
	struct virtio_fake *fake = opaque;
	struct pci_function *fn = selected(fake);
	unsigned int bar;
	uint32_t offset;

	if (port == PCI_CONFIG_ADDRESS) {
		fake->pci.address = value;
	} else if (port >= PCI_CONFIG_DATA && port < PCI_CONFIG_DATA + 4) {
		if (fn)
			pci_config_write(fn, (fake->pci.address & 0xfc) + (port & 3), size, value);
	} else {
		fn = decode(fake, port, &bar, &offset);
		if (fn)
			pci_bar_write(fn, bar, offset, size, value);
	}
}

static int pci_init(struct virtio_fake *fake)
{
	fake->pci.ports = (struct virtio_pci_ports){ .in = port_in, .out = port_out, .opaque = fake };
	return 0;
}

/* Messages are stores to an address nobody else has; data is a device's number and a vector. */
#define MESSAGE_ADDRESS	UINT64_C(0x1fee00000)
#define MESSAGE_STEP	32u
#define MEMORY_FIRST	0xe0000000u
#define MEMORY_STEP	0x10000u

static bool pci_is_legacy(const struct virtio_fake *fake)
{
	return fake->bus == &fake_pci_legacy || fake->bus == &fake_pci_msix_legacy;
}

static bool pci_has_messages(const struct virtio_fake *fake)
{
	return fake->bus == &fake_pci_msix || fake->bus == &fake_pci_msix_legacy;
}

static void pci_send(void *opaque, uint64_t address, uint32_t data)
{
	struct virtio_fake *fake = opaque;

	if (address == MESSAGE_ADDRESS && data / MESSAGE_STEP < fake->count)
		fake->pci.messages[data / MESSAGE_STEP] |= UINT32_C(1) << data % MESSAGE_STEP;
}

static void memory_write(void *opaque, uint64_t address, uint32_t value)
{
	struct virtio_fake *fake = opaque;

	for (unsigned int i = 0; i < fake->count; i++) {
		struct pci_function *fn = &fake->pci.host[i].pci;
		int64_t base = pci_function_memory(fn, VIRTIO_PCI_BAR_MSIX);

		if (base >= 0 && address >= (uint64_t)base && address - (uint64_t)base < fn->bar_size[VIRTIO_PCI_BAR_MSIX])
			pci_bar_write(fn, VIRTIO_PCI_BAR_MSIX, (uint32_t)(address - (uint64_t)base), 4, value);
	}
}

static int pci_add(struct virtio_fake *fake, unsigned int index)
{
	struct virtio_pci *vp = &fake->pci.host[index];
	int ret = virtio_pci_init(vp, fake->dev[index], pci_is_legacy(fake) ? VIRTIO_PCI_TRANSITIONAL : VIRTIO_PCI_MODERN,
				  &fake->mem, NULL);

	if (!ret && pci_has_messages(fake))
		ret = virtio_pci_add_msix(vp, pci_send, fake);
	if (ret < 0)
		return ret;
	vp->complain = fake_complain;
	vp->opaque = fake;
	fake->dev[index]->legacy_big_endian = fake->options.big_endian;
	virtio_dev_reset(fake->dev[index]);
	/* What firmware does. */
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		if (vp->pci.bar_size[bar])
			pci_config_write(&vp->pci, PCI_BAR0 + 4 * bar, 4, vp->pci.memory_bars >> bar & 1 ?
					 MEMORY_FIRST + MEMORY_STEP * index : PORT_FIRST + PORT_STEP * index + 256 * bar);
	return 0;
}

static int pci_boot(struct virtio_fake *fake)
{
	virtio_pci_bus_init(&fake->pci.guest, &fake->platform, &fake->pci.ports);
	fake->pci.guest.prefer_legacy = pci_is_legacy(fake);
	return 0;
}

static int pci_find(struct virtio_fake *fake, unsigned int index)
{
	struct virtio_pci_device *device = &fake->pci.device[index];

	if (!virtio_pci_bus_next(&fake->pci.guest, device))
		return -VIRTIO_ENOENT;
	device->vdev.legacy_big_endian = fake->options.big_endian;
	fake->vdev[index] = &device->vdev;
	if (pci_has_messages(fake)) {
		const struct virtio_pci_messages messages = {
			.write = memory_write, .opaque = fake, .address = MESSAGE_ADDRESS, .data = MESSAGE_STEP * index };
		int ret = virtio_pci_device_messages(device, &messages);

		return ret < 0 ? ret : 0;
	}
	return 0;
}

static bool deliver_messages(struct virtio_fake *fake, unsigned int index)
{
	uint32_t messages = fake->pci.messages[index];

	fake->pci.messages[index] = 0;
	if (messages & 1)
		fake_config_changed(fake, fake->vdev[index]);
	for (unsigned int vector = 1; vector < MESSAGE_STEP; vector++)
		if (messages >> vector & 1)
			virtio_pci_device_message(&fake->pci.device[index], vector);
	return messages;
}

static bool pci_deliver(struct virtio_fake *fake)
{
	bool any = false;

	for (unsigned int i = 0; i < fake->count; i++) {
		bool config;

		any |= deliver_messages(fake, i);
		if (!fake->pci.host[i].pci.asserted)
			continue;
		any |= virtio_pci_device_interrupt(&fake->pci.device[i], &config);
		if (config)
			fake_config_changed(fake, fake->vdev[i]);
	}
	return any;
}

const struct fake_bus fake_pci_legacy = {
	.name = "pci-legacy",
	.init = pci_init,
	.add = pci_add,
	.boot = pci_boot,
	.find = pci_find,
	.deliver = pci_deliver,
};

const struct fake_bus fake_pci_msix_legacy = {
	.name = "pci-msix-legacy",
	.init = pci_init,
	.add = pci_add,
	.boot = pci_boot,
	.find = pci_find,
	.deliver = pci_deliver,
};

const struct fake_bus fake_pci_msix = {
	.name = "pci-msix",
	.init = pci_init,
	.add = pci_add,
	.boot = pci_boot,
	.find = pci_find,
	.deliver = pci_deliver,
};

const struct fake_bus fake_pci = {
	.name = "pci",
	.init = pci_init,
	.add = pci_add,
	.boot = pci_boot,
	.find = pci_find,
	.deliver = pci_deliver,
};
