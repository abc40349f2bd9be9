/* SPDX-License-Identifier: MIT */
/*
 * devices.h - the virtio devices of a guest: made from what stands behind them, in the order in which a guest finds them, and put on
 * whatever bus the machine has.
 */
#ifndef KENNEL_MACHINE_DEVICES_H
#define KENNEL_MACHINE_DEVICES_H

#include "device/device.h"
#include "machine/machine.h"

#define DEVICES_MAX 31

struct devices {
	struct virtio_dev *dev[DEVICES_MAX];
	unsigned int count;
	unsigned int complaints;
};

/* Put @dev on the bus. 0; or a negative number, and *@reason is a sentence. */
typedef int devices_attach(void *opaque, struct virtio_dev *dev, const char **reason);

/**
 * devices_create - make all devices of @config, and attach each with @attach(@opaque, ...)
 * @devices: zeroed. On failure it holds those that were made; devices_destroy() either way. Under the I/O lock.
 * @config: what stands behind them belongs to the devices from now on, and is closed with them; or at once, if there are too many.
 * Returns 0, or a negative errno and a sentence.
 */
int devices_create(struct devices *devices, const struct machine_devices *config, devices_attach *attach, void *opaque,
		   struct error *error);

/** devices_refuse - for a machine that cannot be made: close what would have stood behind its devices */
void devices_refuse(const struct machine_devices *config);

/** devices_destroy - and close what stands behind them. Under the I/O lock, after the processor has stopped. */
void devices_destroy(struct devices *devices);

/**
 * devices_complain - tell the person at the terminal why @dev is no longer served: its driver broke the contract
 * For the complain() of a bus. A guest that does nothing else is heard a few times only.
 */
void devices_complain(struct devices *devices, const struct virtio_dev *dev, const char *reason);

#endif
