/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "machine/pc/ports.h"
#include "tests/pc/test.h"

static struct ports ports;
static unsigned int entered, left;

/* A device that shows where it was read and remembers what was written. */
struct fake {
	uint8_t reg[16];
	uint32_t offset, value;
	unsigned int size, outs;
};

static uint32_t fake_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct fake *fake = opaque;

	fake->offset = offset;
	fake->size = size;
	return 0xaabbcc00u | fake->reg[offset & 15];
}

static void fake_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct fake *fake = opaque;

	fake->offset = offset;
	fake->size = size;
	fake->value = value;
	fake->outs++;
	fake->reg[offset & 15] = (uint8_t)value;
}

static const struct port_ops bytes = { .in = fake_in, .out = fake_out, .min_size = 1, .max_size = 1 };
static const struct port_ops all = { .in = fake_in, .out = fake_out, .min_size = 1, .max_size = 4 };
static const struct port_ops dwords = { .in = fake_in, .out = fake_out, .min_size = 4, .max_size = 4 };
static const struct port_ops cold = { .in = fake_in, .out = fake_out, .min_size = 1, .max_size = 1, .cold = true };
static const struct port_ops mute = { .min_size = 1, .max_size = 4 };

static void enter(void *opaque)
{
	assert_ptr_equal(opaque, &ports);
	entered++;
}

static void leave(void *opaque)
{
	left++;
}

static int setup(void **state)
{
	ports_init(&ports, enter, leave, &ports);
	entered = left = 0;
	return 0;
}

static void unclaimed_ports_are_all_ones(void **state)
{
	assert_int_equal(ports_in(&ports, 0x1234, 1), 0xff);
	assert_int_equal(ports_in(&ports, 0x1234, 2), 0xffff);
	assert_int_equal(ports_in(&ports, 0xffff, 4), 0xffffffff);
	ports_out(&ports, 0xffff, 4, 1);
}

static void a_byte_device_sees_wide_accesses_as_bytes(void **state)
{
	struct fake fake = { .reg = { 1, 2, 3, 4, 5 } };
	struct port_range range = { .first = 0x100, .count = 4, .ops = &bytes, .opaque = &fake };

	assert_int_equal(ports_add(&ports, &range), 0);
	assert_int_equal(ports_in(&ports, 0x100, 4), 0x04030201);
	assert_int_equal(ports_in(&ports, 0x101, 2), 0x0302);
	ports_out(&ports, 0x100, 4, 0x44332211);
	assert_int_equal(fake.outs, 4);
	assert_int_equal(fake.size, 1);
	assert_int_equal(ports_in(&ports, 0x100, 4), 0x44332211);
	/* Half inside, half outside; around the end of the port space. */
	assert_int_equal(ports_in(&ports, 0x103, 2), 0xff44);
	assert_int_equal(ports_in(&ports, 0xff, 2), 0x11ff);
}

static void a_wide_device_sees_one_access(void **state)
{
	struct fake fake = { 0 };
	struct port_range range = { .first = 0x200, .count = 8, .ops = &all, .opaque = &fake };

	assert_int_equal(ports_add(&ports, &range), 0);
	ports_out(&ports, 0x204, 4, 0x87654321);
	assert_int_equal(fake.outs, 1);
	assert_int_equal(fake.offset, 4);
	assert_int_equal(fake.value, 0x87654321);
	ports_out(&ports, 0x201, 2, 0x87654321);
	assert_int_equal(fake.value, 0x4321);
	assert_int_equal(ports_in(&ports, 0x201, 1), 0x21);
	/* The last two bytes are not ours. */
	ports_out(&ports, 0x206, 4, 0x11223344);
	assert_int_equal(fake.size, 2);
	assert_int_equal(fake.value, 0x3344);
}

static void widths_share_ports(void **state)
{
	struct fake reset = { 0 }, pci = { 0 };
	struct port_range one = { .first = 0xcf9, .count = 1, .ops = &bytes, .opaque = &reset };
	struct port_range two = { .first = 0xcf8, .count = 4, .ops = &dwords, .opaque = &pci };

	assert_int_equal(ports_add(&ports, &one), 0);
	assert_int_equal(ports_add(&ports, &two), 0);
	ports_out(&ports, 0xcf8, 4, 0x80000600);
	assert_int_equal(pci.value, 0x80000600);
	assert_int_equal(reset.outs, 0);
	ports_out(&ports, 0xcf9, 1, 6);
	assert_int_equal(reset.value, 6);
	assert_int_equal(pci.outs, 1);
	assert_int_equal(ports_in(&ports, 0xcf8, 1), 0xff);
}

static void overlapping_ranges_come_to_light_again(void **state)
{
	struct fake a = { 0 }, b = { 0 };
	struct port_range one = { .first = 0x300, .count = 8, .ops = &bytes, .opaque = &a };
	struct port_range two = { .first = 0x304, .count = 8, .ops = &bytes, .opaque = &b };

	assert_int_equal(ports_add(&ports, &one), 0);
	assert_int_equal(ports_add(&ports, &two), 0);
	assert_int_equal(ports_add(&ports, &two), -EINVAL);
	ports_out(&ports, 0x304, 1, 1);
	assert_int_equal(a.outs, 1);
	ports_out(&ports, 0x308, 1, 1);
	assert_int_equal(b.outs, 1);
	ports_remove(&ports, &one);
	ports_out(&ports, 0x304, 1, 1);
	assert_int_equal(b.outs, 2);
	assert_int_equal(ports_in(&ports, 0x300, 1), 0xff);
	ports_remove(&ports, &one);
	/* Moved elsewhere and added again, it is the younger one. */
	one.first = 0x306;
	assert_int_equal(ports_add(&ports, &one), 0);
	ports_out(&ports, 0x306, 1, 1);
	assert_int_equal(b.outs, 3);
	ports_out(&ports, 0x30d, 1, 1);
	assert_int_equal(a.offset, 7);
}

static void only_cold_ranges_are_bracketed(void **state)
{
	struct fake fake = { 0 };
	struct port_range hot_range = { .first = 0x10, .count = 1, .ops = &bytes, .opaque = &fake };
	struct port_range cold_range = { .first = 0x11, .count = 2, .ops = &cold, .opaque = &fake };

	assert_int_equal(ports_add(&ports, &hot_range), 0);
	assert_int_equal(ports_add(&ports, &cold_range), 0);
	ports_in(&ports, 0x10, 1);
	assert_int_equal(entered, 0);
	ports_in(&ports, 0x11, 2);
	ports_out(&ports, 0x11, 1, 0);
	assert_int_equal(entered, 3);
	assert_int_equal(left, 3);
}

static void limits(void **state)
{
	static struct port_range many[PORTS_MAX_RANGES + 1];
	struct port_range bad = { .first = 0xfff0, .count = 17, .ops = &mute };

	assert_int_equal(ports_add(&ports, &bad), -EINVAL);
	bad.count = 0;
	assert_int_equal(ports_add(&ports, &bad), -EINVAL);
	for (unsigned int i = 0; i <= PORTS_MAX_RANGES; i++) {
		many[i] = (struct port_range){ .first = (uint16_t)i, .count = 1, .ops = &mute };
		assert_int_equal(ports_add(&ports, &many[i]), i < PORTS_MAX_RANGES ? 0 : -ENOSPC);
	}
	assert_int_equal(ports_in(&ports, 5, 1), 0xff);
	ports_out(&ports, 5, 1, 0);
	ports_remove(&ports, &many[3]);
	assert_int_equal(ports_add(&ports, &many[PORTS_MAX_RANGES]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(unclaimed_ports_are_all_ones, setup),
		cmocka_unit_test_setup(a_byte_device_sees_wide_accesses_as_bytes, setup),
		cmocka_unit_test_setup(a_wide_device_sees_one_access, setup),
		cmocka_unit_test_setup(widths_share_ports, setup),
		cmocka_unit_test_setup(overlapping_ranges_come_to_light_again, setup),
		cmocka_unit_test_setup(only_cold_ranges_are_bracketed, setup),
		cmocka_unit_test_setup(limits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
