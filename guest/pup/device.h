/* SPDX-License-Identifier: MIT */
/* device.h - the devices that were found, as libvirtio's drivers. */
#ifndef PUP_DEVICE_H
#define PUP_DEVICE_H

#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#define DISK_COUNT 4

extern struct virtio_block disks[DISK_COUNT];
extern unsigned int disk_count;

/* vdev is NULL where there is no such device. */
extern struct virtio_console virtio_console;
extern struct virtio_net virtio_net;
extern struct virtio_rng virtio_rng;

/*
 * Drivers are used with interrupts off, because interrupts use them too. device_enter() turns them off; while a driver then waits
 * for its device it sleeps, if they were on before.
 */
uint32_t device_enter(void);
void device_leave(uint32_t flags);

/* The NOTIFY call, for queues, descriptors and strings: a physical address. */
void device_notify(void *opaque, uint64_t address);

#endif
