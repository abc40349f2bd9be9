/* SPDX-License-Identifier: MIT */
/* rng.c - the command `rng`: random bytes from the host. */
#include "pup.h"
#include "device.h"

int rng_command(int argc, char **argv)
{
	uint8_t bytes[32] = { 0 };
	uint32_t flags, any = 0;
	int error;

	if (!virtio_rng.vdev) {
		report(false, "rng-present");
		return 1;
	}
	flags = device_enter();
	error = virtio_rng_read(&virtio_rng, bytes, sizeof(bytes));
	device_leave(flags);
	print("rng: ");
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		any |= bytes[i];
		print("%02x", bytes[i]);
	}
	print("\n");
	report(!error && any, "rng");
	return error != 0;
}
