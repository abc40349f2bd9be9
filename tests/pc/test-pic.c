/* SPDX-License-Identifier: MIT */
/* The 8259A as its datasheet describes it, through the ports, initialised as Linux does it. */
#include <pthread.h>

#include "machine/pc/pic.h"
#include "tests/pc/test.h"

static struct ports ports;
static struct pic pic;
static unsigned int raised, taken;
static int last_taken;

static void out(uint16_t port, uint8_t value)
{
	ports_out(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)ports_in(&ports, port, 1);
}

static void on_raised(void *opaque)
{
	raised++;
}

static void on_taken(void *opaque, unsigned int line)
{
	taken++;
	last_taken = (int)line;
}

static void init_chips(uint8_t icw4)
{
	out(0x20, 0x11);
	out(0x21, 0x30);
	out(0x21, 0x04);
	out(0x21, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x38);
	out(0xa1, 0x02);
	out(0xa1, icw4);
}

static int setup(void **state)
{
	ports_init(&ports, NULL, NULL, NULL);
	pic_init(&pic);
	pic.raised = on_raised;
	pic.taken = on_taken;
	assert_int_equal(pic_add_ports(&pic, &ports), 0);
	init_chips(0x01);
	raised = taken = 0;
	return 0;
}

static void pulse(unsigned int line)
{
	pic_set_irq(&pic, line, false);
	pic_set_irq(&pic, line, true);
}

static void linux_finds_it(void **state)
{
	/* arch/x86/kernel/i8259.c, probe_8259A() */
	out(0xa1, 0xff);
	out(0x21, 0xfb);
	assert_int_equal(in(0x21), 0xfb);
	assert_int_equal(in(0xa1), 0xff);
}

static void masked_after_reset(void **state)
{
	pic_reset(&pic);
	pic_set_irq(&pic, 4, true);
	assert_false(pic_pending(&pic));
	assert_int_equal(raised, 0);
	assert_int_equal(in(0x20), 0x10);
}

static void an_edge_is_served_once(void **state)
{
	assert_false(pic_pending(&pic));
	pic_set_irq(&pic, 4, true);
	assert_int_equal(raised, 1);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	assert_int_equal(last_taken, 4);
	assert_false(pic_pending(&pic));
	out(0x20, 0x20);
	assert_false(pic_pending(&pic));	/* still high: no new edge */
	pic_set_irq(&pic, 4, true);
	assert_int_equal(raised, 1);
	pulse(4);
	assert_true(pic_pending(&pic));
}

static void a_level_is_served_until_it_falls(void **state)
{
	out(0x4d1, 0x08);	/* line 11 */
	assert_int_equal(in(0x4d1), 0x08);
	pic_set_irq(&pic, 11, true);
	assert_int_equal(pic_acknowledge(&pic), 0x3b);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x3b);
	pic_set_irq(&pic, 11, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_false(pic_pending(&pic));
}

static void some_lines_are_always_edges(void **state)
{
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8);
	assert_int_equal(in(0x4d1), 0xde);
}

static void lower_priority_waits(void **state)
{
	pic_set_irq(&pic, 4, true);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	pic_set_irq(&pic, 5, true);
	assert_false(pic_pending(&pic));
	pic_set_irq(&pic, 1, true);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x12);	/* in service: 1 and 4 */
	out(0x20, 0x20);			/* ends 1, the higher */
	assert_int_equal(in(0x20), 0x10);
	assert_false(pic_pending(&pic));
	out(0x20, 0x64);			/* specific: 4 */
	assert_int_equal(pic_acknowledge(&pic), 0x35);
}

static void the_slave_comes_through_input_2(void **state)
{
	pic_set_irq(&pic, 14, true);
	pic_set_irq(&pic, 8, true);
	out(0x20, 0x0a);
	assert_int_equal(in(0x20) & 0x04, 0x04);
	assert_int_equal(pic_acknowledge(&pic), 0x38);
	assert_int_equal(last_taken, 8);
	assert_false(pic_pending(&pic));
	out(0xa0, 0x20);
	assert_false(pic_pending(&pic));	/* the master's input 2 is in service still */
	out(0x20, 0x62);
	assert_int_equal(pic_acknowledge(&pic), 0x3e);
	/* A higher input of the same slave does not nest, unless specially. */
	pic_set_irq(&pic, 9, true);
	assert_false(pic_pending(&pic));
}

static void special_fully_nested(void **state)
{
	init_chips(0x11);
	pic_set_irq(&pic, 14, true);
	assert_int_equal(pic_acknowledge(&pic), 0x3e);
	pic_set_irq(&pic, 9, true);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x39);
}

static void masking(void **state)
{
	out(0x21, 0x10);
	pic_set_irq(&pic, 4, true);
	assert_int_equal(raised, 0);
	assert_false(pic_pending(&pic));
	out(0x21, 0x00);
	assert_true(pic_pending(&pic));
	assert_int_equal(in(0x21), 0x00);
}

static void spurious(void **state)
{
	pic_set_irq(&pic, 4, true);
	assert_true(pic_pending(&pic));
	pic_set_irq(&pic, 4, false);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
	/* And of the slave: the request went after the master was served. */
	assert_int_equal(taken, 0);
	pic_set_irq(&pic, 12, true);
	assert_true(pic_pending(&pic));
	pic_set_irq(&pic, 12, false);
	assert_false(pic_pending(&pic));
}

static void automatic_end(void **state)
{
	init_chips(0x03);
	pic_set_irq(&pic, 4, true);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0);
	pulse(6);
	assert_int_equal(pic_acknowledge(&pic), 0x36);
	/* Rotating: 6 becomes the lowest, so 7 comes before 0. */
	out(0x20, 0x80);
	pulse(6);
	assert_int_equal(pic_acknowledge(&pic), 0x36);
	pulse(0);
	pulse(7);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
	assert_int_equal(pic_acknowledge(&pic), 0x30);
}

static void rotation(void **state)
{
	pulse(3);
	assert_int_equal(pic_acknowledge(&pic), 0x33);
	out(0x20, 0xa0);		/* end, and 3 becomes the lowest */
	pulse(3);
	pulse(4);
	assert_int_equal(pic_acknowledge(&pic), 0x34);
	out(0x20, 0xe4);		/* specific */
	out(0x20, 0xc6);		/* 6 the lowest */
	pulse(7);
	assert_int_equal(pic_acknowledge(&pic), 0x37);
}

static void special_mask(void **state)
{
	pulse(1);
	assert_int_equal(pic_acknowledge(&pic), 0x31);
	out(0x21, 0x02);
	out(0x20, 0x68);
	pulse(5);
	assert_true(pic_pending(&pic));
	assert_int_equal(pic_acknowledge(&pic), 0x35);
	out(0x20, 0x20);		/* ends 5, not the masked 1 */
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x02);
	out(0x20, 0x20);
	assert_int_equal(in(0x20), 0x02);
	out(0x20, 0x48);
	pulse(6);
	assert_false(pic_pending(&pic));
}

static void polling(void **state)
{
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0);
	pulse(5);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x85);
	assert_int_equal(last_taken, 5);
	out(0x20, 0x0b);
	assert_int_equal(in(0x20), 0x20);
	assert_false(pic_pending(&pic));
}

static void initialising_forgets_edges(void **state)
{
	pic_set_irq(&pic, 4, true);
	init_chips(0x01);
	assert_false(pic_pending(&pic));
	pulse(4);
	assert_true(pic_pending(&pic));
}

/* One thread raises and lowers, the other serves: every edge that is announced is found. */
static _Atomic int seen;

static void *raiser(void *unused)
{
	for (int i = 0; i < 20000; i++) {
		pic_set_irq(&pic, 5, true);
		while (atomic_load(&seen) <= i)
			;
		pic_set_irq(&pic, 5, false);
	}
	return NULL;
}

static void from_another_thread(void **state)
{
	pthread_t thread;

	atomic_store(&seen, 0);
	pthread_create(&thread, NULL, raiser, NULL);
	for (int i = 0; i < 20000; i++) {
		out(0x21, 0xff);
		out(0x21, 0xdf);
		while (!pic_pending(&pic))
			;
		assert_int_equal(pic_acknowledge(&pic), 0x35);
		out(0x20, 0x20);
		assert_false(pic_pending(&pic));
		atomic_store(&seen, i + 1);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(linux_finds_it, setup),
		cmocka_unit_test_setup(masked_after_reset, setup),
		cmocka_unit_test_setup(an_edge_is_served_once, setup),
		cmocka_unit_test_setup(a_level_is_served_until_it_falls, setup),
		cmocka_unit_test_setup(some_lines_are_always_edges, setup),
		cmocka_unit_test_setup(lower_priority_waits, setup),
		cmocka_unit_test_setup(the_slave_comes_through_input_2, setup),
		cmocka_unit_test_setup(special_fully_nested, setup),
		cmocka_unit_test_setup(masking, setup),
		cmocka_unit_test_setup(spurious, setup),
		cmocka_unit_test_setup(automatic_end, setup),
		cmocka_unit_test_setup(rotation, setup),
		cmocka_unit_test_setup(special_mask, setup),
		cmocka_unit_test_setup(polling, setup),
		cmocka_unit_test_setup(initialising_forgets_edges, setup),
		cmocka_unit_test_setup(from_another_thread, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
