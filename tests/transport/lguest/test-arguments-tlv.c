/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to lguest's page of fields of type, length and value: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/lguest/tlv-guest.h>
#include <transport/lguest/tlv-host.h>

static struct lguest_tlv tlv;

static int tlv_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_tlv_add(&tlv, dev, reason);
}

static void lguest_tlv_host(void **state)
{
	for (unsigned int i = 0; i < num_spaces; i++)
		assert_int_equal(lguest_tlv_init(&tlv, &m.mem, spaces[i].top, spaces[i].limit, raise_irq, NULL), spaces[i].error);
	assert_int_equal(lguest_tlv_init(&tlv, &m.mem, TOP, BEYOND_4G, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&tlv, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&tlv, NULL, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(NULL, &m.mem, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	lguest_tlv_restart(&tlv);
	assert_false(lguest_tlv_notify(&tlv, TOP));

	assert_int_equal(lguest_tlv_init(&tlv, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	refuse_all_but(NULL, tlv_add);
	assert_int_equal(lguest_tlv_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(tlv_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_tlv_end(NULL), 0);
	assert_false(lguest_tlv_notify(NULL, TOP));
	assert_false(lguest_tlv_notify(&tlv, TOP));
	assert_false(lguest_tlv_notify(&tlv, UINT64_MAX));
	lguest_tlv_restart(NULL);
	assert_true(lguest_tlv_notify(&tlv, TOP + 4096));
}

static void notify(void *opaque, uint64_t address)
{
}

static void lguest_tlv_guest(void **state)
{
	static struct lguest_tlv_bus bus;
	struct lguest_tlv_device device;

	assert_false(lguest_tlv_bus_next(&bus, &device));
	for (unsigned int i = 0; i < num_pages; i++) {
		assert_int_equal(lguest_tlv_bus_init(&bus, pages[i].platform, pages[i].address, notify, NULL), pages[i].error);
		assert_false(lguest_tlv_bus_next(&bus, &device));
	}
	assert_int_equal(lguest_tlv_bus_init(NULL, &m.platform, TOP, notify, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&tlv, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	assert_int_equal(tlv_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_tlv_bus_init(&bus, &m.platform, TOP, notify, NULL), 0);
	assert_false(lguest_tlv_bus_next(NULL, &device));
	assert_false(lguest_tlv_bus_next(&bus, NULL));
	assert_true(lguest_tlv_bus_next(&bus, &device));
	assert_false(lguest_tlv_bus_next(&bus, &device));
	assert_false(lguest_tlv_bus_interrupt(NULL, 1));
	assert_false(lguest_tlv_bus_interrupt(&bus, 1));
	assert_false(lguest_tlv_bus_interrupt(&bus, LGUEST_MAX_IRQS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(lguest_tlv_host),
		ARGUMENTS_TEST(lguest_tlv_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
