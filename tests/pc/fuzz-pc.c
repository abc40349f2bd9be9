/* SPDX-License-Identifier: MIT */
/*
 * fuzz-pc.c - a whole PC whose guest does what it likes with everything that a guest can reach: ports of all widths, configuration
 * registers and windows of every PCI function, rings in memory, MSRs, CPUID, halting, faulting, resetting; while input arrives from
 * outside. Instructions are not part of it: the processor is tests/machine/fake_cpu.c. See tests/virtio/fuzz.h.
 *
 * What must hold: nothing crashes, and the machine comes back from its loop in a way that the command knows.
 */
#include <stdlib.h>
#include <string.h>

#include "host/loop/loop.h"
#include "tests/pc/bed.h"
#include "tests/virtio/fuzz.h"

/* Offsets in a window where a structure or a register begins (transport/pci/virtio-pci.h). */
enum { WINDOW = 0x100, PAGE = 4096 };

static struct pc_bed bed;
static struct fuzz_input in;
static unsigned int lives;

/* --- values that mean something more often than others ---------------------------------------------------------------------- */

static unsigned int any_size(void)
{
	return 1u << fuzz_u8(&in) % 3;
}

static uint32_t any_value(void)
{
	uint8_t kind = fuzz_u8(&in);

	switch (kind & 7) {
	case 0:
		return fuzz_u32(&in);
	case 1:
		return fuzz_u16(&in);
	case 2:
		return (uint32_t)fuzz_u8(&in) * PAGE;
	case 3:
		return ~0u;
	default:
		return kind >> 3;
	}
}

static uint16_t any_port(void)
{
	static const uint16_t chips[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x64, 0x70, 0x71, 0x92, 0x3f8, 0x3f9, 0x3fa, 0x3fb,
		0x3fc, 0x3fd, 0x3fe, 0x3ff, 0xa78, 0xa7a, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0x80, 0xed,
	};
	uint8_t choice = fuzz_u8(&in);

	if (choice < 0x60)
		return chips[choice % 32];
	/* Windows of functions lie from here on, unless they were moved. */
	if (choice < 0xf0)
		return (uint16_t)(PCI_PORTS_FIRST + choice % 24 * WINDOW + fuzz_u8(&in));
	return fuzz_u16(&in);
}

static uint32_t any_msr(void)
{
	static const uint32_t known[] = {0x10, 0x48, 0x49, 0x8b, 0x10a, 0x140, 0x1a0, 0xc0010015, 0xc0011029, 0xc0010000,
					 KVMCLOCK_MSR_WALL, KVMCLOCK_MSR_SYSTEM};
	uint8_t choice = fuzz_u8(&in);

	return choice < 0xe0 ? known[choice % (sizeof(known) / sizeof(known[0]))] : fuzz_u32(&in);
}

/* --- what the guest does ------------------------------------------------------------------------------------------------------ */

static void use_port(void)
{
	uint16_t port = any_port();
	unsigned int size = any_size();

	if (fuzz_u8(&in) & 1)
		pc_bed_in(&bed, port, size);
	else
		pc_bed_out(&bed, port, size, any_value());
}

static void use_config(void)
{
	uint8_t slot = fuzz_u8(&in), at = fuzz_u8(&in);

	pc_bed_out(&bed, 0xcf8, 4, 0x80000000u | (slot % 8u) << 11 | (at & 0xfc));
	if (slot & 0x80)
		pc_bed_in(&bed, 0xcfc + (at & 3), any_size());
	else
		pc_bed_out(&bed, 0xcfc + (at & 3), any_size(), any_value());
}

static void use_msr(void)
{
	uint32_t index = any_msr();
	bool write = fuzz_u8(&in) & 1;
	uint64_t value = any_value() | (uint64_t)(write && fuzz_u8(&in) > 0xe0 ? fuzz_u32(&in) : 0) << 32;

	bed.cpu->ops->msr(bed.cpu->opaque, index, write, &value);
}

static void ask_cpuid(void)
{
	static const uint32_t first[] = {0, 0x40000000, 0x80000000};
	uint32_t regs[4] = {fuzz_u8(&in), ~0u, ~0u, ~0u};

	bed.cpu->ops->cpuid(bed.cpu->opaque, first[fuzz_u8(&in) % 3] + fuzz_u8(&in), fuzz_u8(&in), regs);
}

static void write_memory(void)
{
	uint32_t at = fuzz_u8(&in) * PAGE + fuzz_u8(&in) * 8;
	uint32_t words[2] = {any_value(), any_value()};

	memcpy(bed.pc->ram.base + at, words, sizeof(words));
}

/* Set a queue of a function up as a legacy driver would, in a page of its own, so that there is something to ring for. */
static void set_up_queue(void)
{
	uint8_t slot = 1 + fuzz_u8(&in) % 4;
	uint16_t window = (uint16_t)(pc_bed_config(&bed, slot, 0x10) & 0xfffc);

	pc_bed_out(&bed, 0xcf8, 4, 0x80000000u | (uint32_t)slot << 11 | 4);
	pc_bed_out(&bed, 0xcfc, 2, 5);
	pc_bed_out(&bed, window + 4, 4, any_value());
	pc_bed_out(&bed, window + 14, 2, fuzz_u8(&in) % 4);
	pc_bed_out(&bed, window + 8, 4, 1 + fuzz_u8(&in) % 8);
	pc_bed_out(&bed, window + 18, 1, 7);
	pc_bed_out(&bed, window + 16, 2, fuzz_u8(&in) % 4);
}

static void take_interrupt(void)
{
	int vector = bed.cpu->ops->interrupt(bed.cpu->opaque);

	if (vector < -1 || vector > 255)
		abort();
}

static void outside(void)
{
	io_lock();
	if (bed.console.be.input)
		bed.console.be.input(bed.console.be.opaque, "input", 5);
	if (fuzz_u8(&in) & 1 && bed.net.be.receiver.receive) {
		uint8_t frame[64] = {0};
		struct virtio_iov iov = {frame, sizeof(frame)};
		struct virtio_net_offload none = {0};

		bed.net.be.receiver.receive(bed.net.be.receiver.opaque, &iov, 1, &none);
	}
	io_unlock();
	fake_disk_run(&bed.disk);
	bed.disk.hold = fuzz_u8(&in) & 1;
}

static void act(void)
{
	static void (*const acts[])(void) = {use_port, use_port, use_port, use_port, use_config, use_config, use_msr, ask_cpuid,
					     write_memory, write_memory, set_up_queue, take_interrupt, outside};

	acts[fuzz_u8(&in) % (sizeof(acts) / sizeof(acts[0]))]();
}

/* Some acts, then a reason to come back. Never a sleep: that is a halt with IF, and the time is real. */
static void live(struct cpu *cpu)
{
	static const enum cpu_exit_kind kinds[] = {EXIT_KICK, EXIT_KICK, EXIT_KICK, EXIT_KICK, EXIT_KICK, EXIT_KICK, EXIT_HALT, EXIT_SHUTDOWN};

	for (unsigned int i = 0; i < 32 && in.left && !bed.pc->ended; i++)
		act();
	cpu->exit = (struct cpu_exit){.kind = kinds[fuzz_u8(&in) % 8], .vector = fuzz_u8(&in), .error = any_value(), .eip = any_value()};
	if (!in.left)
		pc_machine.stop(&bed.pc->machine);
}

static void start(void)
{
	pc_bed_create(&bed, "console=hvc0");
	bed.console.discard = true;
	bed.cpu->step = live;
	/* What is said about broken rings has been said often enough. */
	bed.pc->devices.complaints = 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error error;
	enum machine_end end;

	/* A new machine now and then; otherwise the restart has to do, which is a test of that. */
	if (lives++ % 256 == 0) {
		if (bed.pc)
			pc_bed_destroy(&bed);
		start();
	}
	in = (struct fuzz_input){.data = data, .left = size};
	atomic_store(&bed.pc->stop, 0);
	do {
		end = pc_machine.run(&bed.pc->machine);
		if (end > MACHINE_STOPPED || bed.cpu->fpu_released != true || io_locked())
			abort();
		if (end == MACHINE_CRASHED && !*bed.pc->machine.last_words.text)
			abort();
		fake_disk_run(&bed.disk);
		if (pc_machine.reset(&bed.pc->machine, &error))
			abort();
	} while (end != MACHINE_STOPPED && in.left);
	return 0;
}
