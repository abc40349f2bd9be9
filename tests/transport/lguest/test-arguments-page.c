/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to lguest's page: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/lguest/page-guest.h>
#include <transport/lguest/page-host.h>

static struct lguest_page page;

static int page_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_page_add(&page, dev, reason);
}

static void lguest_page_host(void **state)
{
	for (unsigned int i = 0; i < num_spaces; i++)
		assert_int_equal(lguest_page_init(&page, &m.mem, spaces[i].top, spaces[i].limit, raise_irq, NULL), spaces[i].error);
	assert_int_equal(lguest_page_init(&page, &m.mem, TOP, BEYOND_4G, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&page, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&page, NULL, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(NULL, &m.mem, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	/* A bus that could not be made is empty. */
	lguest_page_restart(&page);
	assert_false(lguest_page_notify(&page, TOP));

	assert_int_equal(lguest_page_init(&page, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	refuse_all_but(NULL, page_add);
	m.toy.dev.config_len = 256;
	assert_int_equal(page_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.config_len = 255;
	assert_int_equal(lguest_page_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_end(&page), TOP + 4096);
	assert_int_equal(page_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_page_end(NULL), 0);
	assert_false(lguest_page_notify(NULL, TOP));
	assert_false(lguest_page_notify(&page, 0));
	assert_false(lguest_page_notify(&page, TOP + 1));
	assert_false(lguest_page_notify(&page, UINT64_MAX));
	lguest_page_restart(NULL);
	assert_true(lguest_page_notify(&page, TOP));
}

static void notify(void *opaque, uint64_t address)
{
}

static void lguest_page_guest(void **state)
{
	static struct lguest_bus bus;
	struct lguest_device device;

	assert_false(lguest_bus_next(&bus, &device));
	for (unsigned int i = 0; i < num_pages; i++) {
		assert_int_equal(lguest_bus_init(&bus, pages[i].platform, pages[i].address, notify, NULL), pages[i].error);
		assert_false(lguest_bus_next(&bus, &device));
	}
	assert_int_equal(lguest_bus_init(NULL, &m.platform, TOP, notify, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_page_init(&page, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	assert_int_equal(page_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_bus_init(&bus, &m.platform, TOP, notify, NULL), 0);
	assert_false(lguest_bus_next(NULL, &device));
	assert_false(lguest_bus_next(&bus, NULL));
	assert_true(lguest_bus_next(&bus, &device));
	assert_false(lguest_bus_next(&bus, &device));
	assert_false(lguest_bus_interrupt(NULL, 1));
	assert_false(lguest_bus_interrupt(&bus, 1));
	assert_false(lguest_bus_interrupt(&bus, LGUEST_MAX_IRQS));
	assert_false(lguest_bus_interrupt(&bus, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(lguest_page_host),
		ARGUMENTS_TEST(lguest_page_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
