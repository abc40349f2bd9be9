/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to s390's page: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/s390/page-guest.h>
#include <transport/s390/page-host.h>

static struct s390_page s390;

static void raise_event(void *opaque, uint32_t reason, uint64_t token)
{
}

static int s390_add(struct virtio_dev *dev, const char **reason)
{
	return s390_page_add(&s390, dev, reason);
}

static void s390_host(void **state)
{
	for (unsigned int i = 0; i < num_spaces; i++)
		assert_int_equal(s390_page_init(&s390, &m.mem, spaces[i].top, spaces[i].limit, raise_event, NULL), spaces[i].error);
	assert_int_equal(s390_page_init(&s390, &m.mem, UINT64_MAX & ~UINT64_C(4095), UINT64_MAX, raise_event, NULL), -VIRTIO_EFAULT);
	assert_int_equal(s390_page_init(&s390, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&s390, NULL, TOP, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(NULL, &m.mem, TOP, SIZE, raise_event, NULL), -VIRTIO_EINVAL);
	s390_page_restart(&s390);
	assert_int_equal(s390_page_call(&s390, S390_RESET, TOP), -VIRTIO_EINVAL);

	assert_int_equal(s390_page_init(&s390, &m.mem, TOP, SIZE, raise_event, NULL), 0);
	refuse_all_but(NULL, s390_add);
	m.toy.dev.num_queues = S390_MAX_QUEUES + 1;
	assert_int_equal(s390_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.num_queues = S390_MAX_QUEUES;
	assert_int_equal(s390_page_add(NULL, &m.toy.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_add(&m.toy.dev, NULL), 0);
	assert_int_equal(s390_page_end(NULL), 0);
	assert_int_equal(s390_page_call(NULL, S390_RESET, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&s390, 3, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&s390, UINT64_MAX, TOP), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&s390, S390_RESET, TOP + 1), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_call(&s390, S390_NOTIFY, TOP), -VIRTIO_EINVAL);
	s390_page_restart(NULL);
	assert_int_equal(s390_page_call(&s390, S390_RESET, TOP), 0);
}

static int64_t call_s390(void *opaque, uint64_t number, uint64_t argument)
{
	return 0;
}

static void s390_guest(void **state)
{
	struct virtio_device *changed = &(struct virtio_device){ 0 };
	static struct s390_bus bus;
	struct s390_device device;

	assert_false(s390_bus_next(&bus, &device));
	for (unsigned int i = 0; i < num_pages; i++) {
		assert_int_equal(s390_bus_init(&bus, pages[i].platform, pages[i].address, call_s390, NULL), pages[i].error);
		assert_false(s390_bus_next(&bus, &device));
	}
	assert_int_equal(s390_bus_init(NULL, &m.platform, TOP, call_s390, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_bus_init(&bus, &m.platform, TOP, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(s390_page_init(&s390, &m.mem, TOP, SIZE, raise_event, NULL), 0);
	assert_int_equal(s390_add(&m.toy.dev, NULL), 0);
	assert_int_equal(s390_bus_init(&bus, &m.platform, TOP, call_s390, NULL), 0);
	assert_false(s390_bus_next(NULL, &device));
	assert_false(s390_bus_next(&bus, NULL));
	assert_true(s390_bus_next(&bus, &device));
	assert_false(s390_bus_interrupt(NULL, S390_REASON_CONFIG, 2, &changed));
	assert_null(changed);
	assert_false(s390_bus_interrupt(&bus, S390_REASON_QUEUE, 0, NULL));
	assert_false(s390_bus_interrupt(&bus, S390_REASON_QUEUE, UINT64_MAX, &changed));
	assert_false(s390_bus_interrupt(&bus, UINT32_MAX, 2, &changed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(s390_host),
		ARGUMENTS_TEST(s390_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
