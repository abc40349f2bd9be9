/* SPDX-License-Identifier: MIT */
/*
 * bed.h - a whole PC on a processor that runs nothing (tests/machine/fake_cpu.h), with devices that a test can steer. What a guest does
 * is done by calling what the processor would call.
 */
#ifndef TESTS_PC_BED_H
#define TESTS_PC_BED_H

#include "machine/pc/pc.h"
#include "tests/device/bed.h"
#include "tests/machine/fake_cpu.h"

enum { PC_BED_RAM = 4 << 20 };

struct pc_bed {
	struct kernel kernel;
	struct pc *pc;
	struct cpu *cpu;
	struct fake_console console;
	struct fake_disk disk;
	struct fake_net net;
	struct fake_entropy entropy;
};

/* A PC with one of each device, started with @command_line; fails the test if it cannot be made. */
void pc_bed_create(struct pc_bed *bed, const char *command_line);
void pc_bed_destroy(struct pc_bed *bed);

/* What the processor does for IN and OUT. */
uint32_t pc_bed_in(struct pc_bed *bed, uint16_t port, unsigned int size);
void pc_bed_out(struct pc_bed *bed, uint16_t port, unsigned int size, uint32_t value);

/* A register of a PCI function. */
uint32_t pc_bed_config(struct pc_bed *bed, unsigned int slot, unsigned int at);

/* The interrupt controllers as Linux sets them up: vectors 0x30 to 0x3f, all lines open. */
void pc_bed_open_lines(struct pc_bed *bed);

/* Text on the serial port, byte by byte. */
void pc_bed_print(struct pc_bed *bed, const char *text);

#endif
