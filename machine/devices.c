/* SPDX-License-Identifier: MIT */
#include "machine/devices.h"

#include <errno.h>

#include "host/message.h"

#define COMPLAINTS_MAX 8

/* What is being made, and where it goes. */
struct making {
	struct devices *devices;
	devices_attach *attach;
	void *opaque;
	struct error *error;
};

static int add(struct making *making, struct virtio_dev *dev, const char *what)
{
	struct devices *devices = making->devices;
	const char *reason;

	if (!dev)
		return error_set(making->error, ENOMEM, "no memory for a %s device", what);
	devices->dev[devices->count++] = dev;
	if (making->attach(making->opaque, dev, &reason) < 0)
		return error_set(making->error, ENOSPC, "no room for another %s device: %s", what, reason);
	return 0;
}

/* After an error nothing more is made, and what would have stood behind it is closed. */
#define ADD(making, err, backend, create, what)                            \
	do {                                                               \
		if (!(err))                                                \
			(err) = add(making, create(backend), what);        \
		else if ((backend)->ops->close)                            \
			(backend)->ops->close(backend);                    \
	} while (0)

static int add_ports(struct making *making, const struct machine_devices *config, int err)
{
	struct virtio_dev *dev = err ? NULL : ports_device_create(config->ports, config->port_count);

	for (unsigned int i = 0; i < config->port_count && !dev; i++)
		if (config->ports[i].backend)
			config->ports[i].backend->ops->close(config->ports[i].backend);
	return err ? err : add(making, dev, "port");
}

static int add_all(struct making *making, const struct machine_devices *config, int err)
{
	for (unsigned int i = 0; i < config->disk_count; i++)
		ADD(making, err, config->disks[i], block_device_create, "disk");
	for (unsigned int i = 0; i < config->net_count; i++)
		ADD(making, err, config->nets[i], net_device_create, "network");
	for (unsigned int i = 0; i < config->share_count; i++)
		ADD(making, err, config->shares[i], p9_device_create, "share");
	if (config->entropy)
		ADD(making, err, config->entropy, rng_device_create, "entropy");
	if (config->balloon)
		ADD(making, err, config->balloon, balloon_device_create, "balloon");
	/* Last: an lguest guest without an I/O-APIC driver has only 15 interrupts for devices (lguest-pitfalls, C12). */
	if (config->console)
		ADD(making, err, config->console, console_device_create, "console");
	/* Behind it: a kernel that knows nothing of ports takes it for another console. */
	return config->port_count ? add_ports(making, config, err) : err;
}

int devices_create(struct devices *devices, const struct machine_devices *config, devices_attach *attach, void *opaque,
		   struct error *error)
{
	struct making making = {.devices = devices, .attach = attach, .opaque = opaque, .error = error};
	unsigned int wanted = config->disk_count + config->net_count + config->share_count + !!config->entropy +
			      !!config->balloon + !!config->console + !!config->port_count;
	int err = 0;

	if (wanted > DEVICES_MAX)
		err = error_set(error, ENOSPC, "too many devices: %u, at most %d are possible", wanted, DEVICES_MAX);
	return add_all(&making, config, err);
}

void devices_refuse(const struct machine_devices *config)
{
	add_all(NULL, config, -ECANCELED);
}

void devices_destroy(struct devices *devices)
{
	for (unsigned int i = 0; i < devices->count; i++)
		virtio_dev_destroy(devices->dev[i]);
	devices->count = 0;
}

void devices_complain(struct devices *devices, const struct virtio_dev *dev, const char *reason)
{
	if (devices->complaints == COMPLAINTS_MAX)
		return;
	message_warn("the guest's %s device stops until its driver resets it: %s%s", dev->ops->name, reason,
		     ++devices->complaints == COMPLAINTS_MAX ? " (further ones are not reported)" : "");
}
