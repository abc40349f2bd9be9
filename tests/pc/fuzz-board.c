/* SPDX-License-Identifier: MIT */
/*
 * fuzz-board.c - a guest that does what it likes at every port, while time passes and things happen outside. See tests/virtio/fuzz.h.
 *
 * What must hold whatever it does: nothing crashes, no call takes long, deadlines lie in the future once they have been served.
 */
#include <stdlib.h>

#include "machine/pc/acpi_tables.h"
#include "machine/pc/board.h"
#include "machine/pc/kvmclock.h"
#include "tests/virtio/fuzz.h"

#define SECOND	UINT64_C(1000000000)

static uint64_t clock_ns;
static struct board board;

static uint64_t monotonic(void *opaque)
{
	return clock_ns;
}

static uint64_t realtime(void *opaque)
{
	return clock_ns + 1795261827 * SECOND;
}

static void wake(void *opaque)
{
}

static bool restart;

static void ended(void *opaque, enum board_end how)
{
	restart = true;
}

static size_t swallow(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	return iov->len;
}

static void input_ready(struct console_backend *be)
{
	/* At once, from within, and more than there is room for. */
	be->input(be->opaque, "abcdefghijklmnopqrstuvwxyz", 26);
}

static const struct console_backend_ops serial_ops = { .write = swallow, .input_ready = input_ready };
static struct console_backend serial = { .ops = &serial_ops };

/* Mostly where somebody answers. */
static uint16_t pick_port(struct fuzz_input *in)
{
	static const uint16_t interesting[] = {
		0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x64, 0x70, 0x71, 0x71, 0x92, 0x3f8, 0x3f9, 0x3fa, 0x3fb,
		0x3fc, 0x3fd, 0x3fe, 0x3ff, 0xa78, 0xa7a, 0x604, 0x608, 0xcf8, 0xcf9, 0x1f, 0x3f7,
	};
	uint8_t choice = fuzz_u8(in);

	return choice < 0xf0 ? interesting[choice % 32] : fuzz_u16(in);
}

static void pass_time(struct fuzz_input *in)
{
	uint8_t amount = fuzz_u8(in);

	/* From nanoseconds to weeks. */
	clock_ns += (uint64_t)(amount & 31) << (amount >> 5) * 7;
}

/* As the machine does before it enters the guest: a bounded number of turns is enough, however late we are. */
static void serve(void)
{
	unsigned int turns = 0;

	while (board_deadline(&board) <= clock_ns) {
		board_poll(&board);
		if (++turns > 64)
			abort();
	}
	if (pic_pending(&board.pic))
		pic_acknowledge(&board.pic);
}

static void do_kvmclock(struct fuzz_input *in)
{
	static uint8_t memory[256];
	struct virtio_mem mem = { .base = memory, .start = 0x1000, .size = sizeof(memory) };
	struct kvmclock clock;
	uint32_t regs[4], low = fuzz_u32(in);
	uint64_t value = low | (uint64_t)(fuzz_u8(in) & 1 ? fuzz_u32(in) : 0) << 32;

	kvmclock_init(&clock, &mem, fuzz_u32(in), monotonic, monotonic, realtime, NULL);
	kvmclock_cpuid(&clock, 0x40000000 + fuzz_u8(in), regs);
	if (kvmclock_write(&clock, KVMCLOCK_MSR_WALL + (fuzz_u8(in) & 3), value) && value > 0x2000 && (value & 1))
		abort();
}

static void step(struct fuzz_input *in)
{
	unsigned int size = 1u << fuzz_u8(in) % 3;
	uint8_t what = fuzz_u8(in);

	if (what < 0x70)
		ports_out(&board.ports, pick_port(in), size, fuzz_u32(in));
	else if (what < 0xb0)
		ports_in(&board.ports, pick_port(in), size);
	else if (what < 0xd0)
		pass_time(in);
	else if (what < 0xe8)
		serve();
	else if (what < 0xf0)
		pic_set_irq(&board.pic, fuzz_u8(in), what & 1);
	else if (what < 0xf8)
		serial.input(serial.opaque, "input", 5);
	else if (what < 0xfc)
		board_press_power_button(&board);
	else if (what < 0xff)
		do_kvmclock(in);
	else
		board_reset(&board);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { .data = data, .left = size };
	struct board_config config = {
		.memory = 64 << 20, .serial = &serial, .level_lines = 0xffff, .wake = wake, .ended = ended, .monotonic = monotonic,
		.realtime = realtime,
	};

	clock_ns = SECOND;
	if (board_init(&board, &config))
		abort();
	while (in.left) {
		step(&in);
		if (restart)
			board_reset(&board);
		restart = false;
	}
	board_disconnect(&board);
	return 0;
}
