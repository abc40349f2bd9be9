/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to lguest's bus before virtio: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/lguest/dma-guest.h>
#include <transport/lguest/dma-host.h>

static _Alignas(4096) uint8_t corner[LGUEST_DMA_PRIVATE];
static struct lguest_dma_bus dma;

static void wake(void *opaque)
{
}

static const struct lguest_dma_ops dma_ops = { .raise = raise_irq, .wake = wake };

static int dma_init(void *private, const struct lguest_dma_ops *ops)
{
	return lguest_dma_init(&dma, &m.mem, TOP, SIZE, private, LGUEST_DMA_PRIVATE, ops, NULL);
}

static int dma_add(struct virtio_dev *dev, const char **reason)
{
	return lguest_dma_add(&dma, dev, reason);
}

static void lguest_dma_host(void **state)
{
	static const struct lguest_dma_ops no_raise = { .wake = wake }, no_wake = { .raise = raise_irq };
	struct toy console;
	const char *reason;

	toy_init(&console);
	console.dev.id = VIRTIO_ID_CONSOLE;
	assert_int_equal(dma_add(&console.dev, NULL), -VIRTIO_EINVAL);

	for (unsigned int i = 0; i < num_spaces; i++)
		assert_int_equal(lguest_dma_init(&dma, &m.mem, spaces[i].top, spaces[i].limit, corner, LGUEST_DMA_PRIVATE, &dma_ops, NULL),
				 spaces[i].error);
	assert_int_equal(lguest_dma_init(&dma, &m.mem, TOP, BEYOND_4G, corner, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(&dma, NULL, TOP, SIZE, corner, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(NULL, &m.mem, TOP, SIZE, corner, 4096, &dma_ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(NULL, &dma_ops), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(corner + 16, &dma_ops), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(corner, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(corner, &no_raise), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(corner, &no_wake), -VIRTIO_EINVAL);

	assert_int_equal(dma_init(corner, &dma_ops), 0);
	refuse_all_but(NULL, dma_add);
	assert_int_equal(dma_add(&m.toy.dev, &reason), -VIRTIO_EINVAL);
	assert_non_null(strstr(reason, "network cards only"));
	assert_int_equal(lguest_dma_add(NULL, &console.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_add(&console.dev, NULL), 0);
	assert_int_equal(dma_add(&console.dev, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_end(NULL), 0);
	assert_int_equal(lguest_dma_bind(NULL, 0, 0, 1 << 8 | 1), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_bind(&dma, 2, 0, 1 << 8 | 1), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&dma, 0, SIZE, 1 << 8 | 1), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&dma, 0, 0, 1 << 8 | LGUEST_MAX_IRQS), 0);
	assert_int_equal(lguest_dma_bind(&dma, 0, 0, UINT32_MAX), 0);
	assert_int_equal(lguest_dma_bind(&dma, 0, 0, 0), 0);
	assert_int_equal(lguest_dma_send(NULL, 0, 0), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_send(&dma, 0, SIZE - 4), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_send(&dma, 0, UINT32_MAX), -VIRTIO_EFAULT);
	lguest_dma_poll(NULL);
	assert_int_equal(lguest_dma_restart(NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_send(&dma, 0, 0), 0);
	assert_int_equal(lguest_dma_restart(&dma), 0);
}

static uint32_t call_dma(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq)
{
	return 1;
}

static void lguest_dma_guest(void **state)
{
	static struct lguest_dma_guest bus;
	struct lguest_dma_device device;

	assert_false(lguest_dma_guest_next(&bus, &device));
	for (unsigned int i = 0; i < num_pages; i++) {
		assert_int_equal(lguest_dma_guest_init(&bus, pages[i].platform, pages[i].address, 1, call_dma, NULL), pages[i].error);
		assert_false(lguest_dma_guest_next(&bus, &device));
	}
	assert_int_equal(lguest_dma_guest_init(NULL, &m.platform, TOP, 1, call_dma, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_guest_init(&bus, &m.platform, TOP, 1, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(dma_init(corner, &dma_ops), 0);
	m.toy.dev.id = VIRTIO_ID_CONSOLE;
	assert_int_equal(dma_add(&m.toy.dev, NULL), 0);
	assert_int_equal(lguest_dma_guest_init(&bus, &m.platform, TOP, 1, call_dma, NULL), 0);
	assert_false(lguest_dma_guest_next(NULL, &device));
	assert_false(lguest_dma_guest_next(&bus, NULL));
	assert_true(lguest_dma_guest_next(&bus, &device));
	assert_false(lguest_dma_guest_next(&bus, &device));
	assert_false(lguest_dma_guest_interrupt(NULL, 1));
	assert_false(lguest_dma_guest_interrupt(&bus, 0));
	assert_false(lguest_dma_guest_interrupt(&bus, 1));
	assert_false(lguest_dma_guest_interrupt(&bus, DMA_SLOTS + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(lguest_dma_host),
		ARGUMENTS_TEST(lguest_dma_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
