/* SPDX-License-Identifier: MIT */
/* fuzz-kernel.c - libFuzzer target: any bytes are a kernel that can be loaded, or a sentence. See tests/virtio/fuzz.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/boot/params.h"

enum { RAM = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *ram;
	static char path[32];
	static int fd = -1;
	struct kernel kernel;
	struct error error = {""};
	struct boot_params params = {.kernel = &kernel, .command_line = "quiet", .subarch = SUBARCH_LGUEST};

	if (fd < 0) {
		fd = memfd_create("kernel", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ram = malloc(RAM);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (kernel_open(&kernel, path, &error)) {
		if (!*error.text)
			abort();
		return 0;
	}
	memset(ram, 0, RAM);
	if (!kernel_load(&kernel, ram, RAM, &error))
		boot_params_write(&params, ram, RAM, &error);
	kernel_close(&kernel);
	return 0;
}
