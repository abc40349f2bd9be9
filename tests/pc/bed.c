/* SPDX-License-Identifier: MIT */
#include "tests/pc/bed.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/machine/images.h"
#include "tests/pc/test.h"

void pc_bed_create(struct pc_bed *bed, const char *command_line)
{
	static struct block_backend *disks[1];
	static struct net_backend *nets[1];
	struct image image = image_vmlinux();
	struct machine_config config = {.kernel = &bed->kernel, .command_line = command_line, .memory = PC_BED_RAM};
	struct error error;
	struct machine *machine;

	fake_console_init(&bed->console);
	fake_disk_init(&bed->disk);
	fake_net_init(&bed->net, true);
	fake_entropy_init(&bed->entropy);
	disks[0] = &bed->disk.be;
	nets[0] = &bed->net.be;
	config.devices = (struct machine_devices){.disks = disks, .disk_count = 1, .nets = nets, .net_count = 1, .entropy = &bed->entropy.be,
						  .console = &bed->console.be};
	if (kernel_open(&bed->kernel, image_file(image.data, image.size), &error))
		abort();
	image_free(image);
	image_cleanup();
	machine = pc_machine.create(&config, &error);
	if (!machine) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	bed->pc = (struct pc *)machine;
	bed->cpu = bed->pc->cpu;
	cpu_fpu_acquire(bed->cpu);
}

void pc_bed_destroy(struct pc_bed *bed)
{
	pc_machine.destroy(&bed->pc->machine);
	kernel_close(&bed->kernel);
}

uint32_t pc_bed_in(struct pc_bed *bed, uint16_t port, unsigned int size)
{
	uint32_t value = 0;

	bed->cpu->ops->io(bed->cpu->opaque, port, size, false, &value);
	return value;
}

void pc_bed_out(struct pc_bed *bed, uint16_t port, unsigned int size, uint32_t value)
{
	bed->cpu->ops->io(bed->cpu->opaque, port, size, true, &value);
}

uint32_t pc_bed_config(struct pc_bed *bed, unsigned int slot, unsigned int at)
{
	pc_bed_out(bed, 0xcf8, 4, 0x80000000u | slot << 11 | at);
	return pc_bed_in(bed, 0xcfc, 4);
}

void pc_bed_open_lines(struct pc_bed *bed)
{
	static const uint8_t words[][2] = {{0x20, 0x11}, {0x21, 0x30}, {0x21, 0x04}, {0x21, 0x01}, {0xa0, 0x11},
					   {0xa1, 0x38}, {0xa1, 0x02}, {0xa1, 0x01}, {0x21, 0x00}, {0xa1, 0x00}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		pc_bed_out(bed, words[i][0], 1, words[i][1]);
}

void pc_bed_print(struct pc_bed *bed, const char *text)
{
	for (; *text; text++)
		pc_bed_out(bed, 0x3f8, 1, (uint8_t)*text);
}
