/* SPDX-License-Identifier: MIT */
/*
 * device.h - the devices: each is made from the backend behind it and handed to a transport as a struct virtio_dev.
 *
 * A device sees buffers and its backend, never a descriptor, a bus or a host file. A created device owns its backend: it fills in
 * the backend's callbacks, and virtio_dev_destroy() closes it. All calls, and all callbacks of backends, under the I/O lock.
 * Creation returns NULL when memory is short (the backend is then still the caller's).
 */
#ifndef KENNEL_DEVICE_DEVICE_H
#define KENNEL_DEVICE_DEVICE_H

#include <device/backend.h>
#include <virtio/device.h>

struct virtio_dev *console_device_create(struct console_backend *backend);

/* A port of a console device that has several. */
struct console_port {
	struct console_backend *backend;	/* NULL: no port has this number */
	const char *name;			/* for the guest to find it by; borrowed while the device lives; NULL: none */
	bool terminal;				/* for people */
};

#define CONSOLE_PORTS_MAX	8

/* Port 0 is the one that a driver without VIRTIO_CONSOLE_F_MULTIPORT sees. @count: 1 to CONSOLE_PORTS_MAX. */
struct virtio_dev *ports_device_create(const struct console_port *ports, unsigned int count);
struct virtio_dev *block_device_create(struct block_backend *backend);
struct virtio_dev *net_device_create(struct net_backend *backend);
struct virtio_dev *rng_device_create(struct entropy_backend *backend);
struct virtio_dev *balloon_device_create(struct balloon_backend *backend);
struct virtio_dev *p9_device_create(struct share_backend *backend);

#endif
