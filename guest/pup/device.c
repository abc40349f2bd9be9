/* SPDX-License-Identifier: MIT */
/*
 * device.c - finds the devices on the lguest bus and hands each to its driver. Bus and drivers are libvirtio's: the same sources
 * that its host-side tests run.
 *
 * The bus is a page right above the end of memory, followed by the rings: device memory, which the linear mapping does not show.
 */
#include "pup.h"
#include "device.h"

#include <transport/lguest/page-guest.h>

#define DEVICE_COUNT 16
#define WAIT_AGAIN   1000000	/* ns: how long to sleep for a device that might not interrupt */

struct virtio_block disks[DISK_COUNT];
unsigned int disk_count;
struct virtio_console virtio_console;
struct virtio_net virtio_net;
struct virtio_rng virtio_rng;

static struct lguest_bus bus;
static struct lguest_device devices[DEVICE_COUNT];
static bool may_sleep;

uint32_t device_enter(void)
{
	uint32_t flags = irq_save();

	if (flags & IRQ_ON)
		may_sleep = true;
	return flags;
}

void device_leave(uint32_t flags)
{
	if (flags & IRQ_ON)
		may_sleep = false;
	irq_restore(flags);
}

void device_notify(void *opaque, uint64_t address)
{
	hypercall(LHCALL_NOTIFY, address, 0, 0, 0);
}

/* --- what libvirtio needs of us ----------------------------------------------------------------------------------------- */

/* Device memory, asked for once for each ring. */
static void *map_device(void *opaque, uint64_t physical, uint64_t size)
{
	return physical + size <= 0xffffffff ? memory_map(physical, size) : NULL;
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	static uint8_t pool[96 * 1024] __attribute__((aligned(PAGE_SIZE)));
	static size_t used;
	size_t start = (used + align - 1) & ~(align - 1);

	if (align > PAGE_SIZE || start + size > sizeof(pool))
		return NULL;
	used = start + size;
	return pool + start;
}

static void wait(void *opaque)
{
	if (!may_sleep)
		return;
	clock_arm(clock_now() + WAIT_AGAIN);
	hypercall(LHCALL_HALT, 0, 0, 0, 0);
	irq_save();
}

static struct virtio_mem memory = {
	.base = (void *)PAGE_OFFSET,
	.translate = map_device,
};

static const struct virtio_platform platform = {
	.mem = &memory,
	.alloc = alloc,
	.wait = wait,
};

/* --- finding ------------------------------------------------------------------------------------------------------------ */

static void bus_interrupt(void *argument)
{
	lguest_bus_interrupt(&bus, (uint32_t)argument);
}

static int probe_device(struct virtio_device *device)
{
	int error = -VIRTIO_ENODEV;

	switch (device->id) {
	case VIRTIO_ID_CONSOLE:
		if (!virtio_console.vdev)
			error = virtio_console_probe(&virtio_console, device);
		break;
	case VIRTIO_ID_BLOCK:
		if (disk_count < DISK_COUNT) {
			error = virtio_block_probe(&disks[disk_count], device);
			if (!error)
				disk_count++;
		}
		break;
	case VIRTIO_ID_NET:
		if (!virtio_net.vdev)
			error = virtio_net_probe(&virtio_net, device);
		break;
	case VIRTIO_ID_RNG:
		if (!virtio_rng.vdev)
			error = virtio_rng_probe(&virtio_rng, device);
		break;
	}
	return error;
}

void device_init(void)
{
	static const char *const names[] = { "?", "net", "disk", "console", "rng", "balloon" };
	unsigned int count = 0;

	memory.size = machine.memory_end < LINEAR_LIMIT ? machine.memory_end : LINEAR_LIMIT;
	if (lguest_bus_init(&bus, &platform, machine.memory_end, device_notify, NULL) < 0)
		return;
	while (count < DEVICE_COUNT && lguest_bus_next(&bus, &devices[count])) {
		struct virtio_device *device = &devices[count++].vdev;
		int error = probe_device(device);

		print("pup: device %u: %s%s\n", count, device->id < ARRAY_SIZE(names) ? names[device->id] : "?",
		      error ? ", not used" : "");
	}
	for (uint32_t irq = 1; irq < IRQ_COUNT; irq++) {
		if (bus.irq[irq])
			irq_request(irq, bus_interrupt, (void *)irq);
	}
}
